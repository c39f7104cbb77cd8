"""T5: is the canary slower, judged from histogram buckets?

`histogram_quantile` interpolates inside a bucket: on Istio's default boundaries a true p99 of 202 ms reads 242, twice
that reads 473 and never crosses 500. So nothing is interpolated here. A request above a bucket boundary is an event,
the count above a boundary is exact, and T1 compares it between the versions, once per boundary; the average over the
boundaries is a bet again. Which boundaries are worth a stake is decided beforehand, on the stable version's earlier
buckets.

The buckets of both versions must be the increments over the *same* interval (difference of raw counters, aware of
resets).
"""

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isfinite
from typing import Self

from rollout.core.sequential.ratio import RatioE
from rollout.core.sequential.stakes import Side, log_average
from rollout.core.sequential.tally import Tally

TAIL_SHARE_MIN = 0.002  # fewer than 1 in 500 above the boundary: too rare to learn from
TAIL_SHARE_MAX = 0.6  # above it the boundary lies left of the median, where a slow-down hardly shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets:
    """A cumulative histogram: `cumulative[i]` of `total` requests took at most `bounds[i]`; +Inf is `total`."""

    bounds: tuple[float, ...]
    cumulative: tuple[float, ...]
    total: float

    def __post_init__(self) -> None:
        counts = (0.0, *self.cumulative, self.total)
        if len(self.bounds) != len(self.cumulative) or not (self.total < inf and _ascends(counts)):
            raise ValueError(f"cumulative counts must not fall: {self.cumulative} of {self.total} at {self.bounds}")
        if not (
            _ascends(self.bounds) and len(set(self.bounds)) == len(self.bounds) and all(map(isfinite, self.bounds))
        ):
            raise ValueError(f"bucket bounds must rise and be finite: {self.bounds}")

    def above(self, bound: float) -> Tally:
        """How many requests took longer than one of the bounds."""
        position = bisect_left(self.bounds, bound)
        if self.bounds[position : position + 1] != (bound,):
            raise ValueError(f"no bucket ends at {bound}: {self.bounds}")
        return Tally(events=self.total - self.cumulative[position], exposure=self.total)


def _ascends(values: tuple[float, ...]) -> bool:
    return all(before <= after for before, after in pairwise(values))


def usable_bounds(earlier_stable: Buckets) -> tuple[float, ...]:
    """The boundaries that a noticeable but not overwhelming share of the stable version's earlier requests exceeded."""
    least, most = TAIL_SHARE_MIN * earlier_stable.total, TAIL_SHARE_MAX * earlier_stable.total
    pairs = zip(earlier_stable.bounds, earlier_stable.cumulative, strict=True)
    return tuple(
        bound for bound, count in pairs if earlier_stable.total and least <= earlier_stable.total - count <= most
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketRatioE:
    """One RatioE per boundary. ψ0 = 1.25 tolerates a quarter more requests above any boundary."""

    bounds: tuple[float, ...]
    ratios: tuple[RatioE, ...]

    @classmethod
    def fresh(cls, side: Side, *, bounds: tuple[float, ...], psi0: float = 1.25, starts_planned: int = 1) -> Self:
        """No evidence yet, at boundaries that were chosen on earlier data (`usable_bounds`)."""
        if not bounds:
            raise ValueError("no boundary to compare: the stable version's requests all fall into one bucket")
        return cls(bounds=bounds, ratios=(RatioE.fresh(side, psi0=psi0, starts_planned=starts_planned),) * len(bounds))

    def after(self, canary: Buckets, stable: Buckets, *, eta: float = 1.0) -> Self:
        """The evidence after one more interval of both versions' increments."""
        ratios = tuple(
            ratio.after(canary.above(bound), stable.above(bound), eta=eta)
            for bound, ratio in zip(self.bounds, self.ratios, strict=True)
        )
        return type(self)(bounds=self.bounds, ratios=ratios)

    def restarted(self) -> Self:
        """Begin the next of the planned starts at every boundary."""
        return type(self)(bounds=self.bounds, ratios=tuple(ratio.restarted() for ratio in self.ratios))

    @property
    def log_e(self) -> float:
        """Natural logarithm of the evidence against H0, averaged over the boundaries."""
        return log_average([ratio.log_e for ratio in self.ratios])
