"""Which statistical tests a plan's checks stand for.

A check is what a person wrote ("errors: max 1%, maxIncrease 50%"); a trial is one bet on one number of it. Harm is
proven against the written limit. Health is proven against twice the written tolerance (a margin is needed to prove
anything: two equal versions can never prove "not worse at all"), or against the limit itself where there is one.

    check                               harm: H0 "canary within"          accept: H0 "canary at or beyond"
    error-rate, max p                   SloE   share <= p                 SloE   share >= p
    error-rate, maxIncrease r           RatioE rate <= (1+r) stable       RatioE rate >= (1+2r) stable
    error-rate, maxIncrease d pp        RatioE with (1+r) = 1 + d/stable  the same with 2d
    latency at q, max L                 SloE   share slower than L <= 1-q the same, other side
    latency at q, maxIncrease r         ExceedE beyond (1+r) tau          ExceedE beyond (1+2r) tau
    latency at q, maxIncrease t         ExceedE beyond tau + t            ExceedE beyond tau + 2t
    latency, maxIncrease r, Prometheus  BucketRatioE over the boundaries  the same, other side

tau is the stable version's q-quantile over earlier requests. Sources and proofs: rollout/core/sequential/.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from rollout.core.quantities import Unit, format_quantile
from rollout.core.spec import Check, Metric, MetricCheck, PlanSpec, Source


class TrialKind(StrEnum):
    """How a stratum becomes a bet."""

    ERROR_LIMIT = "error-limit"
    ERROR_GROWTH = "error-growth"
    ERROR_POINTS = "error-points"
    LATENCY_LIMIT = "latency-limit"
    LATENCY_GROWTH = "latency-growth"
    LATENCY_SHIFT = "latency-shift"
    BUCKET_GROWTH = "bucket-growth"

    @property
    def is_limit(self) -> bool:
        """Against a number of its own; needs no stable version."""
        return self in (TrialKind.ERROR_LIMIT, TrialKind.LATENCY_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One bet on one number of one check."""

    check: str
    source: Source
    metric: Metric
    kind: TrialKind
    limit: float
    """A share, a relative increase, or seconds, as the kind says."""
    quantile: float | None = None
    min_requests: int
    proves_only: bool = False
    """Bets on health alone: a ceiling nobody wrote can prove a canary good, but not bad."""
    label: str = field(init=False)
    """The check's name, with the quantile where there are several."""
    key: str = field(init=False)
    """Unique within a plan; names the trial's evidence in the saved state."""

    def __post_init__(self) -> None:
        label = self.check if self.quantile is None else f"{self.check}.{format_quantile(self.quantile)}"
        object.__setattr__(self, "label", label)
        object.__setattr__(self, "key", f"{label}/{self.kind}")

    @property
    def family(self) -> tuple[Source, Metric, bool]:
        """Trials that share one part of the budget for false alarms."""
        return (self.source, self.metric, self.kind.is_limit)


UNWRITTEN_ERROR_CEILING = 0.01
"""Where only an increase is limited, an error rate proven below this is as good as proven equal.

Rare errors never prove "not twice as many": at 0.1 % it takes 50,000 requests."""


def trials_of(plan: PlanSpec) -> tuple[Trial, ...]:
    """All trials of the plan's metric checks, in the order they were written."""
    return _trials_of(plan.checks)


@lru_cache(maxsize=1024)  # asked for several times a second and rollout
def _trials_of(checks: tuple[Check, ...]) -> tuple[Trial, ...]:
    return tuple(trial for check in checks if isinstance(check, MetricCheck) for trial in _trials(check))


def _trials(check: MetricCheck) -> list[Trial]:
    match check.metric:
        case Metric.ERROR_RATE:
            return _error_trials(check)
        case Metric.LATENCY:
            trials = [trial for quantile in check.quantiles for trial in _latency_trials(check, quantile)]
            if check.max_increase is not None and check.source is Source.PROMETHEUS:
                trials.append(_trial(check, TrialKind.BUCKET_GROWTH, check.max_increase.value))
            return trials


def _error_trials(check: MetricCheck) -> list[Trial]:
    trials = []
    if check.max is not None:
        trials.append(_trial(check, TrialKind.ERROR_LIMIT, check.max.value))
    else:
        trials.append(_trial(check, TrialKind.ERROR_LIMIT, UNWRITTEN_ERROR_CEILING, proves_only=True))
    if check.max_increase is not None:
        is_points = check.max_increase.unit is Unit.POINTS
        kind = TrialKind.ERROR_POINTS if is_points else TrialKind.ERROR_GROWTH
        trials.append(_trial(check, kind, check.max_increase.value))
    return trials


def _latency_trials(check: MetricCheck, quantile: float) -> list[Trial]:
    trials = []
    if check.max is not None:
        trials.append(_trial(check, TrialKind.LATENCY_LIMIT, check.max.value, quantile))
    if check.max_increase is not None and check.source is Source.LOAD:
        is_shift = check.max_increase.unit is Unit.SECONDS
        kind = TrialKind.LATENCY_SHIFT if is_shift else TrialKind.LATENCY_GROWTH
        trials.append(_trial(check, kind, check.max_increase.value, quantile))
    return trials


def _trial(
    check: MetricCheck, kind: TrialKind, limit: float, quantile: float | None = None, *, proves_only: bool = False
) -> Trial:
    return Trial(
        check=check.name,
        source=check.source,
        metric=check.metric,
        kind=kind,
        limit=limit,
        quantile=quantile,
        min_requests=check.min_requests,
        proves_only=proves_only,
    )
