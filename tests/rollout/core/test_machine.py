"""The whole policy without a loop: states times observations, causes, and the order in which they win."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout.core.absorption import new_state
from rollout.core.breaker import Arm, Outcome
from rollout.core.convergence import wanted_percent
from rollout.core.decision import StartLoad, StopLoad, WriteRoute
from rollout.core.machine import HURRY_S, TICK_S, decide, waiting_gate
from rollout.core.observation import (
    EndpointsView,
    LoadView,
    Observation,
    OrderKind,
    ProxiesView,
    RouteView,
    Trust,
)
from rollout.core.phase import TRANSITIONS, Cause, Phase, State
from rollout.core.routes.virtual_service import restored
from rollout.core.spec import RolloutSpec
from tests.rollout.core.documents import virtual_service
from tests.rollout.core.worlds import (
    NOW,
    SCOPE,
    counts,
    order,
    route_at,
    seen,
    short_spec,
    spec,
    state_of,
    strata,
    stratum,
)

SPEC = short_spec()
GOOD = strata(30)  # 750 clean canary requests: proven below 1 %
BAD = strata(30, canary=(25, 5))


def load(*, good: bool = True, **changes: Any) -> LoadView:
    return replace(LoadView(running=True, as_of=NOW, strata=GOOD if good else BAD), **changes)


def dead_calls(count: int = 10, arm: Arm = Arm.CANARY) -> tuple[Outcome, ...]:
    return tuple(Outcome(arm=arm, failed=True, latency_s=0.01, at_s=NOW) for _ in range(count))


def cause_of(state: State, observation: Observation, now: float = NOW, of: RolloutSpec = SPEC) -> Cause | None:
    """What moves the rollout on."""
    after = decide(of, state, observation, now).state
    moved = (after.phase, after.step, after.arrived) != (state.phase, state.step, state.arrived)
    return after.cause if moved else None


class TestPending:
    STATE = state_of(SPEC, Phase.PENDING)

    def test_it_starts_when_routes_subsets_and_endpoints_are_there_and_remembers_what_it_found(self) -> None:
        decision = decide(SPEC, self.STATE, seen(), NOW + 5)

        assert decision.state.phase is Phase.PROGRESSING
        assert decision.state.started == NOW + 5
        assert decision.state.original == '[{"destination": {"host": "reviews", "subset": "v1"}}]'
        assert isinstance(decision.actions[0], WriteRoute)

    def test_it_waits_and_says_for_what(self) -> None:
        endpoints = {"v1": EndpointsView(ready=1, total=1), "v3": EndpointsView(ready=0, total=1)}

        decision = decide(SPEC, self.STATE, seen(endpoints=endpoints), NOW)

        assert decision.state.phase is Phase.PENDING
        assert decision.outlook.waiting_for == "v3 of reviews has no ready endpoint"
        assert not decision.actions

    def test_it_gives_up_after_a_while_without_having_touched_anything(self) -> None:
        decision = decide(SPEC, self.STATE, seen(endpoints=None), NOW + 300)
        after = decide(SPEC, decision.state, seen(endpoints=None), NOW + 301)

        assert decision.state.cause is Cause.NOT_READY
        assert not decision.actions
        assert after.state.phase is Phase.ROLLED_BACK

    def test_it_can_be_aborted(self) -> None:
        assert cause_of(self.STATE, seen(orders=(order(OrderKind.ABORT),))) is Cause.ABORT_REQUESTED


class TestProgressing:
    def test_evidence_counts_from_the_moment_the_proxies_hold_the_weight(self) -> None:
        waiting = state_of(SPEC, arrived=None)
        behind = seen(50, proxies=ProxiesView(canary_percent={"a": 50, "b": 5}))

        assert cause_of(waiting, behind) is None
        assert decide(SPEC, waiting, behind, NOW).outlook.waiting_for == "b not yet at 50%"
        assert cause_of(waiting, seen(50)) is Cause.TRAFFIC_ARRIVED

    def test_the_share_that_users_see_is_counted_from_the_arrival_on(self) -> None:
        served = ProxiesView(canary_percent={}, served={"v1": 1000, "v3": 10})
        arrived = decide(SPEC, state_of(SPEC, arrived=None), seen(50, proxies=served), NOW).state
        later = ProxiesView(canary_percent={}, served={"v1": 1050, "v3": 60})

        assert decide(SPEC, arrived, seen(50, proxies=later), NOW).outlook.observed_percent == 50.0

    def test_a_step_passes_when_health_is_proven_and_it_was_held_long_enough(self) -> None:
        state, healthy = state_of(SPEC), seen(50, load=load())

        assert cause_of(state, healthy, NOW + 9) is None
        assert cause_of(state, healthy, NOW + 10) is Cause.STEP_PASSED

    def test_without_proof_it_does_not_pass_however_long_it_is_held(self) -> None:
        few = load(strata=strata(2, start=NOW + 60))

        assert cause_of(state_of(SPEC), seen(50, load=few), NOW + 63) is None

    def test_a_gate_waits_for_its_name_and_nothing_else(self) -> None:
        at_gate = state_of(SPEC, step=1)
        healthy = seen(50, load=load())

        assert waiting_gate(SPEC, at_gate) == "sre"
        assert cause_of(at_gate, healthy, NOW + 3500) is None
        wrong = replace(healthy, orders=(order(OrderKind.APPROVE, gate="other"),))
        assert cause_of(at_gate, wrong) is None
        right = replace(healthy, orders=(order(OrderKind.APPROVE, gate="sre"),))
        assert cause_of(at_gate, right) is Cause.GATE_APPROVED
        assert cause_of(state_of(SPEC), right) is None

    def test_time_at_a_gate_counts_against_no_deadline(self) -> None:
        at_gate = state_of(SPEC, step=1)
        approved = seen(50, load=load(), orders=(order(OrderKind.APPROVE),))

        state = decide(SPEC, at_gate, approved, NOW + 9000).state

        assert state.waited_s == 9000
        assert cause_of(replace(state, arrived=NOW + 9000), seen(100, load=load(strata=())), NOW + 9001) is None

    def test_after_the_last_step_traces_are_removed_before_it_is_called_a_success(self) -> None:
        passed = decide(SPEC, state_of(SPEC, step=2), seen(100, load=load()), NOW + 10)
        assert passed.state.cause is Cause.LAST_STEP_PASSED
        assert passed.state.is_handing_over
        assert [type(action) for action in passed.actions] == [StopLoad, WriteRoute]

        write = passed.actions[1]
        assert isinstance(write, WriteRoute)
        clean = replace(seen(100), route=replace(route_at(100), virtual_service=write.document), load=None)
        assert cause_of(passed.state, seen(100), NOW + 11) is None
        assert cause_of(passed.state, clean, NOW + 11) is Cause.TRAFFIC_MOVED

    def test_harm_goes_back_at_once_and_stops_the_load_first(self) -> None:
        decision = decide(SPEC, state_of(SPEC), seen(50, load=load(good=False)), NOW + 1)

        assert decision.state.cause is Cause.CHECK_FAILED
        assert "canary 20%" in decision.state.detail
        assert [type(action) for action in decision.actions] == [StopLoad, WriteRoute]
        assert decision.state.decided is Cause.CHECK_FAILED

    def test_on_fail_pause_holds_for_a_person_instead(self) -> None:
        held = short_spec(onFail="pause")
        state = decide(held, state_of(held), seen(50, load=load(good=False)), NOW + 1).state

        assert state.phase is Phase.PAUSED
        assert state.cause is Cause.CHECK_FAILED_HELD
        again = decide(held, state, seen(50, load=load(strata=())), NOW + 2)
        assert again.state.phase is Phase.PAUSED

    def test_the_breaker_needs_no_statistics_and_beats_on_fail_pause(self) -> None:
        held = short_spec(onFail="pause")
        decision = decide(held, state_of(held), seen(50, load=load(strata=(), outcomes=dead_calls())), NOW)

        assert decision.state.cause is Cause.BREAKER_TRIPPED
        assert decision.state.detail == "10 calls of the canary in a row failed"

    def test_a_canary_without_endpoints_trips_the_breaker(self) -> None:
        gone = {"v1": EndpointsView(ready=1, total=1), "v3": EndpointsView(ready=0, total=1)}

        assert cause_of(state_of(SPEC), seen(50, endpoints=gone)) is Cause.BREAKER_TRIPPED

    def test_an_outage_of_both_versions_is_not_the_canarys_fault_and_no_time_to_advance(self) -> None:
        both = strata(30, stable=(25, 20), canary=(25, 20))
        decision = decide(SPEC, state_of(SPEC), seen(50, load=load(strata=both)), NOW + 30)

        assert decision.state.phase is Phase.PROGRESSING
        assert decision.judgement.is_shared_outage
        assert "shared outage" in decision.outlook.waiting_for

    def test_the_breaker_holds_while_both_versions_fail(self) -> None:
        outcomes = tuple(o for pair in zip(dead_calls(20, Arm.STABLE), dead_calls(20), strict=True) for o in pair)
        decision = decide(SPEC, state_of(SPEC), seen(50, load=load(outcomes=outcomes)), NOW + 10)

        assert decision.state.phase is Phase.PROGRESSING
        assert decision.state.step == 0
        assert "shared outage" in decision.outlook.waiting_for


class TestBlindness:
    @pytest.mark.parametrize(
        "blind",
        [
            load(running=False),
            load(trust=Trust.INVALID),
            load(breaker_closed=False),
            None,
        ],
        ids=["stopped", "untrusted", "breaker open", "gone"],
    )
    def test_without_trustworthy_evidence_it_holds_and_after_the_stall_it_goes_back(
        self, blind: LoadView | None
    ) -> None:
        state = decide(SPEC, state_of(SPEC), seen(50, load=load()), NOW + 9).state  # health is proven already

        held = decide(SPEC, state, seen(50, load=blind), NOW + 60)
        assert held.state.phase is Phase.PROGRESSING
        assert held.outlook.is_blind
        assert held.state.step == 0
        assert cause_of(held.state, seen(50, load=blind), NOW + 60 + 299) is None
        assert cause_of(held.state, seen(50, load=blind), NOW + 60 + 300) is Cause.EVIDENCE_STALLED

    def test_it_goes_on_when_evidence_is_back(self) -> None:
        held = decide(SPEC, state_of(SPEC), seen(50, load=None), NOW + 30).state

        back = decide(SPEC, held, seen(50, load=load(strata=strata(30, start=NOW + 31))), NOW + 61)

        assert back.state.cause is Cause.STEP_PASSED

    def test_an_answer_without_news_is_blindness_too(self) -> None:
        held = decide(SPEC, state_of(SPEC), seen(50, load=load(strata=())), NOW + 20)

        assert held.outlook.is_blind

    def test_routes_or_proxies_that_cannot_be_seen_hold_a_step_back(self) -> None:
        waiting = state_of(SPEC, arrived=None)

        for unseen in (seen(50, route=None), seen(50, proxies=None)):
            assert cause_of(waiting, unseen) is None
        rejected = seen(50, proxies=ProxiesView(canary_percent={}, rejected="bad regex"))
        assert "proxies reject the new routes: bad regex" in decide(SPEC, waiting, rejected, NOW).outlook.waiting_for


class TestDeadlines:
    def test_an_undecided_step_goes_back_at_its_deadline(self) -> None:
        thin = seen(50, load=load(strata=strata(1, start=NOW + 599)))

        assert cause_of(state_of(SPEC), thin, NOW + 600) is Cause.STEP_TIMED_OUT

    def test_or_holds_or_passes_if_the_plan_says_so(self) -> None:
        thin = seen(50, load=load(strata=strata(1, start=NOW + 599)))
        hold, lenient = short_spec(onInconclusive="hold"), short_spec(onInconclusive="promote-if-no-harm")

        assert cause_of(state_of(hold), thin, NOW + 600, hold) is None
        assert cause_of(state_of(lenient), thin, NOW + 600, lenient) is Cause.DEADLINE_PROMOTED
        last = state_of(lenient, step=2)
        at_100 = replace(thin, route=route_at(100), proxies=ProxiesView(canary_percent={}))
        assert cause_of(last, at_100, NOW + 600, lenient) is Cause.LAST_STEP_PASSED

    @pytest.mark.parametrize(
        "unfit",
        [
            {"load": load(strata=())},
            {"load": load(strata=strata(600, stable=(25, 20), canary=(25, 20)))},
        ],
        ids=["blind", "shared outage"],
    )
    def test_but_never_on_no_evidence_at_all(self, unfit: dict[str, object]) -> None:
        lenient = short_spec(onInconclusive="promote-if-no-harm", timeouts={"stall": "1h"})

        assert cause_of(state_of(lenient), seen(50, **unfit), NOW + 600, lenient) is None
        never_arrived = state_of(lenient, arrived=None)
        assert cause_of(never_arrived, seen(5), NOW + 600, lenient) is None

    def test_the_rollout_as_a_whole_has_a_deadline(self) -> None:
        old = state_of(SPEC, since=NOW + 3500)

        thin = seen(50, load=load(strata=strata(1, start=NOW + 3599)))
        assert cause_of(old, thin, NOW + 3600) is Cause.ROLLOUT_TIMED_OUT
        assert cause_of(replace(old, waited_s=100.0), thin, NOW + 3600) is None


class TestOrders:
    def test_pause_holds_the_weight_and_resume_gathers_evidence_anew(self) -> None:
        paused = decide(SPEC, state_of(SPEC), seen(50, load=load(), orders=(order(OrderKind.PAUSE),)), NOW + 5)
        assert paused.state.phase is Phase.PAUSED
        assert not paused.actions
        assert "alice: because" in paused.outlook.waiting_for

        wish = (order(OrderKind.RESUME, number=2),)
        resumed = decide(SPEC, paused.state, seen(50, load=load(strata=()), orders=wish), NOW + 65)
        assert resumed.state.cause is Cause.RESUME_REQUESTED
        assert resumed.state.waited_s == 60
        assert resumed.state.evidence.load.canary.requests == 0

    def test_an_order_is_taken_once(self) -> None:
        wish = (order(OrderKind.PAUSE),)
        paused = decide(SPEC, state_of(SPEC), seen(50, orders=wish), NOW).state
        resumed = replace(paused, phase=Phase.PROGRESSING)

        assert decide(SPEC, resumed, seen(50, orders=wish), NOW + 1).state.phase is Phase.PROGRESSING

    def test_promote_skips_a_step_and_full_skips_them_all(self) -> None:
        one = decide(SPEC, state_of(SPEC), seen(50, orders=(order(OrderKind.PROMOTE),)), NOW).state
        full = decide(SPEC, state_of(SPEC), seen(50, orders=(order(OrderKind.PROMOTE_FULL),)), NOW).state
        paused = state_of(SPEC, Phase.PAUSED)

        assert (one.step, one.cause) == (1, Cause.STEP_PROMOTED)
        assert (full.step, full.is_handing_over) == (3, True)
        assert cause_of(paused, seen(50, orders=(order(OrderKind.PROMOTE),))) is Cause.STEP_PROMOTED

    @pytest.mark.parametrize("kind", [OrderKind.PAUSE, OrderKind.PROMOTE, OrderKind.PROMOTE_FULL])
    def test_while_handing_over_only_abort_is_heard(self, kind: OrderKind) -> None:
        last = state_of(SPEC, step=3, arrived=None)

        assert cause_of(last, seen(100, orders=(order(kind),))) is None
        assert cause_of(last, seen(100, orders=(order(OrderKind.ABORT),))) is Cause.ABORT_REQUESTED

    def test_abort_wins_over_every_other_order_and_over_success(self) -> None:
        wishes = (order(OrderKind.PROMOTE_FULL, 1), order(OrderKind.ABORT, 2))

        decision = decide(SPEC, state_of(SPEC), seen(50, load=load(), orders=wishes), NOW + 20)

        assert decision.state.cause is Cause.ABORT_REQUESTED
        assert decision.state.detail == "alice: because"
        assert decision.state.order == 2

    def test_a_paused_rollout_is_still_guarded(self) -> None:
        paused = state_of(SPEC, Phase.PAUSED)

        assert cause_of(paused, seen(50, load=load(outcomes=dead_calls()))) is Cause.BREAKER_TRIPPED
        assert cause_of(paused, seen(50, load=load(good=False))) is Cause.CHECK_FAILED
        assert cause_of(paused, seen(50, orders=(order(OrderKind.RESUME), order(OrderKind.ABORT, 2)))) is (
            Cause.ABORT_REQUESTED
        )


class TestGoingBack:
    STATE = state_of(SPEC, Phase.ROLLING_BACK, decided=Cause.BREAKER_TRIPPED, detail="dead")

    def test_it_asks_for_the_write_until_it_is_seen(self) -> None:
        first = decide(SPEC, self.STATE, seen(50, load=None), NOW)
        assert [type(action) for action in first.actions] == [WriteRoute]
        assert first.wake_at == NOW + HURRY_S

        still = seen(None, proxies=ProxiesView(canary_percent={"a": 50}))
        assert cause_of(self.STATE, still) is None
        assert cause_of(self.STATE, seen(None)) is Cause.TRAFFIC_RESTORED

    def test_proxies_that_cannot_be_seen_do_not_hold_it_up(self) -> None:
        done = decide(SPEC, self.STATE, seen(None, proxies=None, load=None), NOW)

        assert done.state.phase is Phase.ROLLED_BACK
        assert done.state.decided is Cause.BREAKER_TRIPPED
        assert done.state.detail == "dead"

    def test_it_neither_promotes_nor_stops_for_anybody(self) -> None:
        for kind in OrderKind:
            assert cause_of(self.STATE, seen(50, orders=(order(kind),))) is None


def test_decide_wakes_soon_while_traffic_moves_and_seldom_while_it_holds() -> None:
    held = decide(SPEC, state_of(SPEC), seen(50, load=load(strata=())), NOW)
    moving = decide(SPEC, state_of(SPEC, arrived=None), seen(5), NOW)

    assert held.wake_at == NOW + TICK_S
    assert moving.wake_at == NOW + HURRY_S


def test_load_starts_with_the_arrival_and_is_asked_for_again_when_it_died() -> None:
    state = state_of(SPEC)

    assert [type(a) for a in decide(SPEC, state, seen(50, load=None), NOW).actions] == [StartLoad]
    assert decide(SPEC, replace(state, arrived=None), seen(50, load=None), NOW).state.arrived == NOW
    not_yet = decide(SPEC, replace(state, arrived=None), seen(5, load=None), NOW)
    assert [type(a) for a in not_yet.actions] == [WriteRoute]


# --- whole products ---------------------------------------------------------------------------------------------------

LONG = spec(settle="0s")
STATES = [
    state_of(SPEC, phase, step=step, arrived=arrived, cause=Cause.CHECK_FAILED_HELD)
    for phase in Phase
    for step in (0, 1, 2, 3)
    for arrived in (None, NOW)
    if not (phase is Phase.PAUSED and step == 3)
] + [state_of(SPEC, phase, original=None) for phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK)]
FAT = replace(stratum(NOW, stable=(750, 0), canary=(750, 0)), end=NOW + 10)  # ten seconds in one, for speed
BAD_TWICE = tuple(replace(FAT, start=NOW + at, end=NOW + at + 5, canary=counts(375, 75)) for at in (0, 5))
PROMOTED = replace(
    seen(100),
    route=RouteView(virtual_service=restored(virtual_service(), SCOPE, [], promoted=True)),
)
VIEWS = [
    None,
    load(strata=(FAT,)),
    load(strata=BAD_TWICE),
    load(running=False),
    load(strata=(), outcomes=dead_calls()),
]
SEEN = [
    replace(observation, load=view, orders=orders)
    for observation in (seen(None), seen(50), PROMOTED, seen(50, route=None), seen(50, proxies=None), Observation())
    for view in VIEWS
    for orders in [(), *((order(kind),) for kind in OrderKind)]
]


def test_no_state_is_surprised_by_any_observation_and_every_row_of_the_table_is_reached() -> None:
    """Exhaustive: a deleted row raises IllegalTransition here, a row that nothing reaches fails at the end."""
    used = set()
    for of, now in ((SPEC, NOW + 11), (SPEC, NOW + 700), (short_spec(onFail="pause"), NOW + 11)):
        for state, observation in itertools.product(STATES, SEEN):
            after = decide(of, state, observation, now).state
            if (after.cause, after.phase, after.since) != (state.cause, state.phase, state.since):
                assert after.cause is not None
                used.add((state.phase, after.cause))
    # These need clocks of their own, and are covered by name above.
    assert set(TRANSITIONS) - used == {
        (Phase.PROGRESSING, Cause.ROLLOUT_TIMED_OUT),
        (Phase.PROGRESSING, Cause.DEADLINE_PROMOTED),
    }


observations = st.sampled_from(SEEN)


@given(st.lists(st.tuples(observations, st.sampled_from([0.1, 1.0, 30.0, 400.0])), max_size=25))
@settings(max_examples=60, deadline=None)
def test_any_history_keeps_the_invariants(history: list[tuple[Observation, float]]) -> None:
    state, now = new_state(SPEC, NOW), NOW
    for observation, seconds in history:
        before = state
        decision = decide(SPEC, state, observation, now)
        state = decision.state
        assert not before.phase.is_final or state.phase is before.phase  # final means final
        assert decision.wake_at > now
        assert state.step >= before.step  # steps are taken in order, none is repeated
        if before.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK):
            assert wanted_percent(SPEC, state) == 0  # never up again
        if state.phase is Phase.ROLLED_BACK:
            assert state.decided is not None
        if state.cause is Cause.STEP_PASSED and before.step != state.step:
            assert before.arrived is not None
        now += seconds


def test_decide_is_a_function_of_its_arguments() -> None:
    for state, observation in zip(STATES, SEEN, strict=False):
        assert decide(SPEC, state, observation, NOW) == decide(SPEC, state, observation, NOW)


def test_abort_is_honoured_in_every_phase_that_is_still_open() -> None:
    for state, observation in itertools.product(STATES, SEEN):
        aborted = any(one.kind is OrderKind.ABORT for one in observation.orders)
        if aborted and not state.phase.is_final:
            after = decide(SPEC, state, observation, NOW).state
            assert after.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK)


def test_the_long_plan_goes_through_cohort_and_weights_with_the_documents_it_should() -> None:
    state = state_of(LONG, step=1, arrived=None)

    (write,) = decide(LONG, state, seen(0, load=None), NOW).actions

    assert isinstance(write, WriteRoute)
    names = [route.get("name") for route in write.document["spec"]["http"]]
    assert names == ["rollout-probe-v3", "rollout-probe-v1", "rollout-cohort", None]
    assert stratum(NOW).end == NOW + 1


def test_a_wish_that_makes_no_sense_now_is_taken_and_forgotten() -> None:
    state = state_of(SPEC)
    for kind in (OrderKind.RESUME, OrderKind.APPROVE):
        decision = decide(SPEC, state, seen(50, orders=(order(kind, number=7),)), NOW + 1)
        assert (decision.state.phase, decision.state.order) == (Phase.PROGRESSING, 7)


def test_an_abort_beside_other_wishes_wins() -> None:
    wishes = (order(OrderKind.PAUSE, number=1), order(OrderKind.ABORT, number=2))

    decision = decide(SPEC, state_of(SPEC), seen(50, orders=wishes), NOW + 1)

    assert (decision.state.phase, decision.state.cause) == (Phase.ROLLING_BACK, Cause.ABORT_REQUESTED)
