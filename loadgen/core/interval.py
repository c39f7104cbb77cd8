"""How far a number can be trusted when it comes from so many requests and no more.

A quantile's interval needs no model of the latencies: the number of requests below the true quantile q is binomial, so
the requests of rank n q -+ z sqrt(n q (1 - q)) enclose it. A share's interval is Wilson's score interval. A difference
takes the distances of both intervals from their estimates, squared and added (MOVER; for shares it is Newcombe's):

    lower = d - sqrt((a - lower(a))^2 + (upper(b) - b)^2)        for d = a - b, and the upper limit accordingly

It is approximate and slightly conservative, and it asks for nothing but the two intervals.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from statistics import NormalDist

from loadgen.core.histogram import Sparse, middle_s, quantile_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate and what encloses it; an end is infinite when the data do not reach it."""

    value: float
    lower: float
    upper: float

    def minus(self, other: "Interval") -> "Interval":
        """Give the difference, with an interval of its own."""
        value = self.value - other.value
        return Interval(
            value=value,
            lower=value - math.hypot(self.value - self.lower, other.upper - other.value),
            upper=value + math.hypot(self.upper - self.value, other.value - other.lower),
        )

    @property
    def excludes_zero(self) -> bool:
        """Whether the sign is known."""
        return self.lower > 0 or self.upper < 0


def z_of(confidence: float) -> float:
    """Give the normal deviate of a two-sided confidence."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def quantile_interval(ordered: Sparse, share: float, confidence: float) -> Interval | None:
    """Enclose a quantile, None without data; below the first and above the last request nothing is known."""
    total = sum(count for _, count in ordered)
    value = quantile_of(ordered, total, share)
    if value is None:
        return None
    spread = z_of(confidence) * math.sqrt(total * share * (1 - share))
    low, high = math.floor(total * share - spread), math.ceil(total * share + spread) + 1
    return Interval(
        value=value,
        lower=at_rank(ordered, low) if low >= 1 else 0.0,
        upper=at_rank(ordered, high) if high <= total else math.inf,
    )


def at_rank(ordered: Sparse, rank: int) -> float:
    """Give the value of the request of a rank that exists, counted from 1."""
    ranks = list(accumulate(count for _, count in ordered))
    return middle_s(ordered[bisect_left(ranks, rank)][0])


def share_interval(part: int, total: int, confidence: float) -> Interval | None:
    """Enclose a share (Wilson 1927), None without data."""
    if not total:
        return None
    z = z_of(confidence)
    share = part / total
    scale = 1 + z * z / total
    middle = (share + z * z / (2 * total)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return Interval(value=share, lower=max(0.0, middle - half), upper=min(1.0, middle + half))
