"""Which bets a plan's checks stand for."""

from typing import Any

from rollout.core.trials import UNWRITTEN_ERROR_CEILING, TrialKind, trials_of
from tests.rollout.core.worlds import spec


def kinds(*checks: dict[str, Any]) -> list[tuple[str, TrialKind, float]]:
    return [(trial.label, trial.kind, trial.limit) for trial in trials_of(spec(checks=list(checks)).plan)]


def test_a_limit_and_an_increase_of_errors_are_two_trials() -> None:
    found = kinds({"name": "e", "source": "load", "metric": "error-rate", "max": "1%", "maxIncrease": "50%"})

    assert found == [("e", TrialKind.ERROR_LIMIT, 0.01), ("e", TrialKind.ERROR_GROWTH, 0.5)]


def test_an_increase_alone_gets_a_ceiling_that_proves_but_never_convicts() -> None:
    check = {"name": "e", "source": "load", "metric": "error-rate", "maxIncrease": "0.5pp"}
    ceiling, points = trials_of(spec(checks=[check]).plan)

    assert (ceiling.limit, ceiling.proves_only) == (UNWRITTEN_ERROR_CEILING, True)
    assert (points.kind, points.limit, points.proves_only) == (TrialKind.ERROR_POINTS, 0.005, False)


def test_latency_is_one_trial_per_quantile_and_limit() -> None:
    check = {"name": "l", "source": "load", "metric": "latency", "quantiles": ["p50", "p99"], "max": "300ms"}

    assert kinds(check) == [("l.p50", TrialKind.LATENCY_LIMIT, 0.3), ("l.p99", TrialKind.LATENCY_LIMIT, 0.3)]
    assert [kind for _, kind, _ in kinds(check | {"maxIncrease": "10%"})].count(TrialKind.LATENCY_GROWTH) == 2
    assert [kind for _, kind, _ in kinds(check | {"maxIncrease": "25ms"})].count(TrialKind.LATENCY_SHIFT) == 2


def test_an_increase_over_prometheus_buckets_is_one_trial_whatever_the_quantiles() -> None:
    check = {"name": "l", "source": "prometheus", "metric": "latency", "maxIncrease": "10%"}

    assert kinds(check) == [("l", TrialKind.BUCKET_GROWTH, 0.1)]
    assert len(kinds(check | {"max": "1s"})) == 4


def test_queries_are_no_trials_and_keys_are_unique() -> None:
    trials = trials_of(spec().plan)

    assert {trial.check for trial in trials} == {"errors", "latency", "users"}
    assert len({trial.key for trial in trials}) == len(trials)


def test_families_share_the_budget_by_source_metric_and_kind_of_limit() -> None:
    assert len({trial.family for trial in trials_of(spec().plan)}) == 4
