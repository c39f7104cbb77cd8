"""What the sources measured: counts and latencies of both versions over one clock interval.

A stratum is the unit of evidence. Both arms share its interval, so whatever hits both (an outage, the daily curve, a
weight step) cancels out in a comparison. A request belongs to the stratum of its intended start, and a stratum is
handed over only when every request in it has an outcome: nothing slow can hide (no survivor bias).
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from math import ceil, floor, inf, log10


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """One version in one interval. latency maps a bucket's upper edge in seconds to the requests in the bucket."""

    requests: int = 0
    failures: int = 0
    latency: Mapping[float, int] = field(default_factory=dict)

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        latency = dict(self.latency)
        for edge, count in other.latency.items():
            latency[edge] = latency.get(edge, 0) + count
        return Counts(requests=self.requests + other.requests, failures=self.failures + other.failures, latency=latency)

    def in_order(self, before: "Counts") -> "Counts":
        """The same with rising edges, if any is new since *before*: sorting what is sorted costs next to nothing."""
        if len(self.latency) == len(before.latency):
            return self
        return Counts(requests=self.requests, failures=self.failures, latency=dict(sorted(self.latency.items())))

    def count_above(self, threshold_s: float) -> int:
        """Requests slower than *threshold_s*, to the resolution of the buckets."""
        return sum([count for edge, count in self.latency.items() if edge > threshold_s])

    @property
    def measured(self) -> int:
        """Requests with a latency."""
        return sum(self.latency.values())

    @property
    def error_rate(self) -> float | None:
        """Share of failures; None without requests."""
        return self.failures / self.requests if self.requests else None

    def quantile(self, q: float) -> float | None:
        """Upper edge in seconds of the bucket that holds the *q*-quantile; None without measurements."""
        return self.quantiles((q,))[0]

    def quantiles(self, shares: Iterable[float]) -> list[float | None]:
        """Several quantiles for one sorting of the buckets."""
        edges = sorted(self.latency)
        cumulative = list(accumulate(map(self.latency.__getitem__, edges)))
        measured = cumulative[-1] if cumulative else 0
        if not measured:
            return [None for _ in shares]
        return [edges[bisect_left(cumulative, min(max(share * measured, 1), measured))] for share in shares]

    def coarse(self) -> "Counts":
        """The same with buckets wide enough to be kept for as long as a rollout lasts."""
        latency: dict[float, int] = {}
        for edge, count in self.latency.items():
            wider = coarse_edge(edge)
            latency[wider] = latency.get(wider, 0) + count
        return Counts(requests=self.requests, failures=self.failures, latency=latency)


@lru_cache(maxsize=16_384)  # all edges of the load generator from 1 ms to 1 h: 512 per doubling
def coarse_edge(edge_s: float) -> float:
    """The next edge of a coarser scale: 160 to the decade, 1 to 2.5 % apart, round numbers to a reader.

    The load generator counts a thousand to the decade; totals of a step so fine would be most of the saved state.
    """
    if not 0 < edge_s < inf:
        return edge_s
    exponent = floor(log10(edge_s))
    first_digits = edge_s / 10.0**exponent
    per_unit = 50 if first_digits < 2 else 20 if first_digits < 5 else 10
    ticks = ceil(round(first_digits * per_unit, 6))
    return float(ticks * 10**exponent / per_unit if exponent >= 0 else ticks / (per_unit * 10**-exponent))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """Both arms over [start, end), in seconds of the injected clock."""

    start: float
    end: float
    stable: Counts
    canary: Counts
