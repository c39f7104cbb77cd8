"""What many simulated rollouts come to: how often each end, how soon, and what it cost the users."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from rollout.core.simulation.run import End, Ending

Z = 1.96  # 95 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How often something happened, with Wilson's 95 % interval: a few hundred runs are no certainty."""

    count: int
    share: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Mean and quantiles of a number."""

    mean: float
    median: float
    p95: float
    largest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The answer of a simulation."""

    runs: int
    ends: dict[End, Share]
    decided_s: dict[End, Spread]
    """Time to decision, for the ends that happened."""
    failed_user_requests: Spread
    canary_requests: Spread
    """Requests of the canary until the decision, users' and synthetic ones: what the decision needed."""
    causes: tuple[tuple[str, int], ...]
    """Why those ended that were not promoted, most frequent first."""


def summary_of(endings: Sequence[Ending]) -> Summary:
    """Count, sort, average."""
    by_end = {end: [ending for ending in endings if ending.end is end] for end in End}
    return Summary(
        runs=len(endings),
        ends={end: share_of(len(found), len(endings)) for end, found in by_end.items()},
        decided_s={end: spread_of([one.decided_s for one in found]) for end, found in by_end.items() if found},
        failed_user_requests=spread_of([ending.failed_user_requests for ending in endings]),
        canary_requests=spread_of([ending.canary_requests + ending.probes for ending in endings]),
        causes=_causes(endings),
    )


def share_of(count: int, runs: int) -> Share:
    """Wilson's score interval: sensible at 0 and at all."""
    share, spare = count / runs, Z * Z / runs
    middle = (share + spare / 2) / (1 + spare)
    half = Z * sqrt(share * (1 - share) / runs + spare / (4 * runs)) / (1 + spare)
    return Share(count=count, share=share, lower=max(0.0, middle - half), upper=min(1.0, middle + half))


def spread_of(values: Sequence[float]) -> Spread:
    """Of one value at least."""
    ordered = sorted(values)
    median, p95 = (ordered[max(0, ceil(share * len(ordered)) - 1)] for share in (0.5, 0.95))
    return Spread(mean=sum(ordered) / len(ordered), median=median, p95=p95, largest=ordered[-1])


def _causes(endings: Sequence[Ending]) -> tuple[tuple[str, int], ...]:
    counts = Counter(ending.cause for ending in endings if ending.end is not End.PROMOTED)
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
