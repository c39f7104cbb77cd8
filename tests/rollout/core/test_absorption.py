"""What is measured reaches the state: from the arrival on, once, and only when it can be trusted."""

from dataclasses import replace
from typing import Any

import pytest

from rollout.core.absorption import LOAD_STALE_S, METRICS_STALE_S, absorb, judgement_of, new_state
from rollout.core.breaker import Arm, BreakerState, Outcome
from rollout.core.judge import Verdict
from rollout.core.observation import LoadView, MetricsView, Observation, Series, Trust
from rollout.core.phase import Phase, State
from rollout.core.spec import RolloutSpec
from tests.rollout.core.worlds import NOW, seen, short_spec, spec, state_of, strata

SPEC = short_spec(settle="5s")
USERS = short_spec(
    settle="0s",
    checks=[
        {"name": "users", "source": "prometheus", "metric": "error-rate", "max": "1%"},
        {"name": "q", "source": "prometheus", "query": "x", "max": 3},
    ],
)


def loaded(of: Any = SPEC, state: State | None = None, now: float = NOW + 30, **view: Any) -> State:
    whole = replace(LoadView(running=True, as_of=NOW), **view)
    return absorb(of, state or state_of(of), seen(50, load=whole), now)


def test_the_breaker_is_made_to_the_plans_measure() -> None:
    limits = new_state(spec(breaker={"consecutiveFailures": 5, "window": 40}), NOW).breaker.limits

    assert (limits.consecutive_failures, limits.window) == (5, 40)


def test_the_warm_up_is_dropped_from_both_arms() -> None:
    evidence = loaded(strata=strata(10)).evidence.load

    assert (evidence.stable.requests, evidence.canary.requests) == (125, 125)
    assert evidence.cursor == NOW + 10


def test_a_stratum_counts_once_however_often_it_is_shown() -> None:
    once = loaded(strata=strata(10))

    assert loaded(state=once, strata=strata(10)) == once


def test_before_the_arrival_nothing_counts_but_the_breaker_watches() -> None:
    dead = tuple(Outcome(arm=Arm.CANARY, failed=True, latency_s=0, at_s=NOW) for _ in range(10))

    state = loaded(state=state_of(SPEC, arrived=None), strata=strata(10), outcomes=dead)

    assert state.evidence.load.canary.requests == 0
    assert state.breaker.state is BreakerState.TRIPPED


def test_without_traffic_to_watch_nothing_changes() -> None:
    for state in (state_of(SPEC, Phase.PENDING), state_of(SPEC, Phase.ROLLED_BACK), state_of(SPEC, step=3)):
        assert loaded(state=state, strata=strata(10)) == state


def test_what_the_generator_does_not_believe_itself_is_no_evidence_not_even_later() -> None:
    for untrusted in ({"trust": Trust.INVALID}, {"breaker_closed": False}):
        state = loaded(strata=strata(10, start=NOW + 10), **untrusted)

        assert state.evidence.load.canary.requests == 0
        assert state.evidence.load.cursor == NOW + 20
        assert state.evidence.load.blind_since == NOW + 30
        back = loaded(state=state, strata=strata(20, start=NOW + 10), now=NOW + 31)
        assert back.evidence.load.canary.requests == 250
        assert back.evidence.load.blind_since is None


def test_an_untrusted_generator_trips_no_breaker() -> None:
    dead = tuple(Outcome(arm=Arm.CANARY, failed=True, latency_s=0, at_s=NOW) for _ in range(10))

    assert loaded(outcomes=dead, trust=Trust.INVALID).breaker.state is BreakerState.ARMED
    assert loaded(outcomes=dead, breaker_closed=False).breaker.state is BreakerState.ARMED


def test_blindness_is_dated_from_the_last_news() -> None:
    silent = loaded(strata=strata(10), now=NOW + 60)

    assert silent.evidence.load.blind_since == NOW + 10 + LOAD_STALE_S + 1
    assert loaded(state=silent, strata=(), now=NOW + 70).evidence.load.blind_since == NOW + 10 + LOAD_STALE_S + 1


def test_pods_that_cannot_be_seen_tell_the_breaker_nothing() -> None:
    state = absorb(SPEC, state_of(SPEC), seen(50, endpoints=None), NOW)

    assert state.breaker == state_of(SPEC).breaker


def requests(until: float, canary_per_s: int, code: str = "200") -> tuple[Series, ...]:
    times = [NOW - 5 + second for second in range(int(until - NOW) + 6)]
    return (
        Series(
            labels={"destination_version": "v1", "response_code": "200"},
            points=tuple((at, float(canary_per_s) * i) for i, at in enumerate(times)),
        ),
        Series(
            labels={"destination_version": "v3", "response_code": code},
            points=tuple((at, float(canary_per_s) * i) for i, at in enumerate(times)),
        ),
    )


def metrics(now: float, view: MetricsView | None, state: State | None = None) -> State:
    return absorb(USERS, state or state_of(USERS), seen(50, metrics=view), now)


def test_prometheus_counters_become_strata_between_looks() -> None:
    first = metrics(NOW + 10, MetricsView(requests=requests(NOW + 10, 10)))
    second = metrics(NOW + 20, MetricsView(requests=requests(NOW + 20, 10)), first)

    assert first.evidence.prometheus.canary.requests == 100
    assert second.evidence.prometheus.canary.requests == 200
    assert second.evidence.prometheus.cursor == NOW + 20
    again = metrics(NOW + 21, MetricsView(requests=requests(NOW + 20, 10)), second)
    assert again.evidence.prometheus.canary.requests == 200


def test_prometheus_gone_or_in_trouble_is_blindness_and_its_return_is_sight() -> None:
    for view in (None, MetricsView(trouble="connection refused")):
        state = metrics(NOW + 10, view)
        assert state.evidence.prometheus.blind_since == NOW + 10
        back = metrics(NOW + 20, MetricsView(requests=requests(NOW + 20, 10)), state)
        assert back.evidence.prometheus.blind_since is None


def test_scrapes_that_stopped_are_blindness_too() -> None:
    state = metrics(NOW + 10, MetricsView(requests=requests(NOW + 10, 10)))

    later = metrics(NOW + 100, MetricsView(requests=requests(NOW + 10, 10), values={"q": (NOW + 100, 1)}), state)

    assert later.evidence.prometheus.blind_since == NOW + 10 + METRICS_STALE_S


def test_custom_values_count_once_each_and_breaches_in_a_row() -> None:
    def value(state: State | None, at: float, number: float) -> State:
        return metrics(at, MetricsView(requests=requests(at, 10), values={"q": (at, number)}), state)

    state = value(value(value(None, NOW + 1, 9), NOW + 1, 9), NOW + 2, 9)
    assert state.evidence.values["q"].breaches == 2
    assert value(state, NOW + 3, 1).evidence.values["q"].breaches == 0
    early = value(None, NOW - 1, 9)
    assert not early.evidence.values
    none = metrics(NOW, MetricsView(requests=requests(NOW, 1), values={"q": None}))
    assert not none.evidence.values


def test_a_plan_of_queries_alone_sees_as_long_as_it_is_answered() -> None:
    only = short_spec(load=None, checks=[{"name": "q", "source": "prometheus", "query": "x", "max": 3}])
    blind = absorb(only, state_of(only), seen(50, load=None, metrics=None), NOW + 1)

    sighted = absorb(only, blind, seen(50, load=None, metrics=MetricsView(values={"q": (NOW + 2, 1.0)})), NOW + 2)

    assert blind.evidence.prometheus.blind_since == NOW + 1
    assert judgement_of(only, sighted).verdict is Verdict.PASS


QUERY = {"name": "q", "source": "prometheus", "query": "x", "max": 3}


def answered(of: RolloutSpec, state: State, now: float, sample: tuple[float, float] | None) -> State:
    return absorb(of, state, seen(50, load=None, metrics=MetricsView(values={"q": sample})), now)


@pytest.mark.parametrize("silence", [None, (NOW + 10, 1.0)], ids=["empty", "the same old sample"])
def test_what_was_good_once_does_not_stay_good_by_silence(silence: tuple[float, float] | None) -> None:
    only = short_spec(load=None, checks=[QUERY])
    good = answered(only, state_of(only), NOW + 10, (NOW + 10, 1.0))

    soon = answered(only, good, NOW + 10 + METRICS_STALE_S, silence)
    late = answered(only, soon, NOW + 600, silence)

    assert judgement_of(only, soon).may_advance
    assert not judgement_of(only, late).may_advance
    assert late.evidence.prometheus.blind_since == NOW + 10 + METRICS_STALE_S  # stalls from its latest value on
    assert judgement_of(only, answered(only, late, NOW + 601, (NOW + 601, 1.0))).may_advance


def test_a_query_whose_silence_is_ignored_is_forgotten_by_and_by() -> None:
    both = short_spec(load=None, checks=[QUERY | {"name": "held"}, QUERY | {"onNoData": "ignore"}])

    def told(state: State, now: float, sample: tuple[float, float] | None) -> State:
        view = MetricsView(values={"held": (now, 1.0), "q": sample})
        return absorb(both, state, seen(50, load=None, metrics=view), now)

    bad = told(state_of(both), NOW + 10, (NOW + 10, 9.0))
    assert judgement_of(both, bad).verdict is Verdict.INCONCLUSIVE
    late = told(bad, NOW + 80, None)
    assert late.evidence.prometheus.blind_since is None
    assert judgement_of(both, late).may_advance
    assert told(late, NOW + 700, (NOW + 90, 9.0)).evidence.values.keys() == {"held"}


def test_a_plan_without_prometheus_does_not_miss_it() -> None:
    assert loaded(strata=strata(10)).evidence.prometheus.blind_since is None
    without_load = short_spec(load=None, checks=[{"name": "q", "source": "prometheus", "query": "x", "max": 3}])
    assert absorb(without_load, state_of(without_load), Observation(), NOW).evidence.load.blind_since is None
