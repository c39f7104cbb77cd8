"""Two runs, or two versions in one, held against each other: each difference with an interval, or it says nothing.

Differences are what the second has more than the first. A pair's ratio has a narrower interval than any difference of
two groups, because what the world did at a moment, it did to both: exp(mean -+ z sd / sqrt(n)) of the log ratios.
"""

import math
import re
from dataclasses import dataclass

from loadgen.core.histogram import Histogram, Sparse
from loadgen.core.interval import Interval, quantile_interval, share_interval, z_of
from loadgen.core.ledger import Cell
from loadgen.core.outcome import UNSENT, is_failure
from loadgen.core.pairs import PairSum
from loadgen.core.units import seconds, share

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
LIMIT = re.compile(r"\s*([a-z]+\d*)\s*>\s*\+?\s*(\S+?)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One number of both, and what the second has more."""

    name: str  # p50 to p99, errors
    first: Interval
    second: Interval
    difference: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How much more is too much: absolutely, or as a share of the first."""

    text: str
    name: str
    absolute: float | None
    relative: float | None


def differences(first: list[Cell], second: list[Cell], confidence: float) -> tuple[Difference, ...]:
    """Hold two groups of cells against each other; what one of them has no data for is left out."""
    found = []
    for name in (*QUANTILES, "errors"):
        one, other = interval_of(name, first, confidence), interval_of(name, second, confidence)
        if one is not None and other is not None:
            found.append(Difference(name=name, first=one, second=other, difference=other.minus(one)))
    return tuple(found)


def interval_of(name: str, cells: list[Cell], confidence: float) -> Interval | None:
    """Enclose one number of a group."""
    sent = [cell for cell in cells if cell.outcome not in UNSENT]
    if name == "errors":
        failed = sum(cell.count for cell in sent if is_failure(cell.outcome))
        return share_interval(failed, sum(cell.count for cell in sent), confidence)
    return quantile_interval(times_of(sent), QUANTILES[name], confidence)


def times_of(cells: list[Cell]) -> Sparse:
    """Add latencies up."""
    histogram = Histogram()
    for cell in cells:
        histogram.add(cell.latency)
    return histogram.sparse()


def parse_limit(text: str) -> Limit:
    """Read `p99>+25ms`, `p99>10%` or `errors>0.5%`; of errors a percentage is a difference in points. ValueError."""
    match = LIMIT.fullmatch(text)
    if match is None or match[1] not in {*QUANTILES, "errors"}:
        names = ", ".join((*QUANTILES, "errors"))
        raise ValueError(f"{text!r} is no limit: expected something like p99>+25ms or p99>10%, of {names}")
    name, limit = match[1], match[2]
    if name == "errors":
        return Limit(text=text, name=name, absolute=share(limit), relative=None)
    if limit.endswith("%"):
        return Limit(text=text, name=name, absolute=None, relative=share(limit))
    return Limit(text=text, name=name, absolute=seconds(limit), relative=None)


def is_exceeded(limit: Limit, found: tuple[Difference, ...]) -> bool:
    """Whether the difference is certainly more than the limit; what is not known exceeds nothing."""
    for one in found:
        if one.name == limit.name:
            allowed = limit.absolute if limit.absolute is not None else one.first.value * (limit.relative or 0.0)
            return one.difference.lower > allowed
    return False


def ratio_of(pairs: PairSum, confidence: float) -> Interval | None:
    """Enclose the ratio of a pair's latencies; two pairs are the least that have a deviation."""
    if pairs.count < 2:
        return None
    mean = pairs.log_ratio / pairs.count
    variance = max(0.0, pairs.log_ratio_squared - pairs.count * mean * mean) / (pairs.count - 1)
    half = z_of(confidence) * math.sqrt(variance / pairs.count)
    return Interval(value=math.exp(mean), lower=math.exp(mean - half), upper=math.exp(mean + half))
