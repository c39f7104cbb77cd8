"""What stands behind a finding, for people who ask why: requests of both versions, and how sure their numbers are.

judge.py decides and is quick about it; this is computed again from the same evidence when somebody reads. The intervals
are true at all times at once with probability 95 % each, so it does not matter when one looks.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rollout.core.evidence import Counts
from rollout.core.ledger import Evidence, buckets_of
from rollout.core.sequential import Interval, Tally, quantile_interval_of_buckets, rate_estimate
from rollout.core.spec import Metric, PlanSpec, QueryCheck
from rollout.core.trials import Trial, trials_of

SHOWN_QUANTILE = 0.99  # judge.py's: what a latency check over buckets shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One version in this step."""

    requests: int
    interval: Interval
    """Of its error rate, or of its latency in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Behind one finding."""

    stable: Arm
    canary: Arm


def accounts_of(plan: PlanSpec, evidence: Evidence) -> Mapping[str, Account]:
    """By the finding's check; custom queries have no requests to tell of."""
    return {
        trial.label: Account(
            stable=_arm(trial, evidence.of(trial.source).stable), canary=_arm(trial, evidence.of(trial.source).canary)
        )
        for trial in trials_of(plan)
    }


def query_of(plan: PlanSpec, check: str) -> str:
    """The PromQL of a custom check; empty for a built-in one."""
    return next((one.query for one in plan.checks if isinstance(one, QueryCheck) and one.name == check), "")


def _arm(trial: Trial, counted: Counts) -> Arm:
    match trial.metric:
        case Metric.ERROR_RATE:
            estimate = rate_estimate(Tally(events=counted.failures, exposure=counted.requests))
            return Arm(requests=counted.requests, interval=Interval(lower=estimate.lower, upper=estimate.upper))
        case Metric.LATENCY:
            interval = quantile_interval_of_buckets(buckets_of(counted), trial.quantile or SHOWN_QUANTILE)
            return Arm(requests=counted.requests, interval=interval)
