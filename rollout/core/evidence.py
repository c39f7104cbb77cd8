"""What the sources measured: counts and latencies of both versions over one clock interval.

A stratum is the unit of evidence. Both arms share its interval, so whatever hits both (an outage, the daily curve, a
weight step) cancels out in a comparison. A request belongs to the stratum of its intended start, and a stratum is
handed over only when every request in it has an outcome: nothing slow can hide (no survivor bias).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


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

    def count_above(self, threshold_s: float) -> int:
        """Requests slower than *threshold_s*, to the resolution of the buckets."""
        return sum(count for edge, count in self.latency.items() if edge > threshold_s)

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
        rank, seen = q * self.measured, 0
        for edge in sorted(self.latency):
            seen += self.latency[edge]
            if seen >= rank and seen:
                return edge
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """Both arms over [start, end), in seconds of the injected clock."""

    start: float
    end: float
    stable: Counts
    canary: Counts
