"""The table of transitions, and what a transition does to the state."""

from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from rollout.core.phase import TRANSITIONS, Cause, IllegalTransition, Phase, State
from tests.rollout.core.worlds import NOW, short_spec, state_of

SPEC = short_spec()


def test_every_phase_can_be_left_unless_it_is_final() -> None:
    assert {phase for phase, _ in TRANSITIONS} == {phase for phase in Phase if not phase.is_final}
    assert set(TRANSITIONS.values()) == set(Phase) - {Phase.PENDING}


def test_the_way_back_is_open_from_every_phase_that_can_have_traffic() -> None:
    for phase in (Phase.PENDING, Phase.PROGRESSING, Phase.PAUSED):
        assert TRANSITIONS[phase, Cause.ABORT_REQUESTED] is Phase.ROLLING_BACK


def test_every_cause_is_used() -> None:
    assert {cause for _, cause in TRANSITIONS} == set(Cause)


def test_a_transition_that_is_not_in_the_table_is_our_bug() -> None:
    with pytest.raises(IllegalTransition, match="step passed is not expected in phase Pending"):
        state_of(SPEC, Phase.PENDING).after(Cause.STEP_PASSED, NOW)


@pytest.mark.parametrize("row", list(TRANSITIONS), ids=lambda row: f"{row[0]}-{row[1].name}")
def test_every_row_says_where_when_and_why(row: tuple[Phase, Cause]) -> None:
    phase, cause = row

    after = state_of(SPEC, phase).after(cause, NOW + 5, "detail")

    assert (after.phase, after.cause, after.detail) == (TRANSITIONS[row], cause, "detail")
    assert (after.since == NOW + 5) is (cause is not Cause.TRAFFIC_ARRIVED)


def test_a_step_that_is_left_forgets_its_arrival_and_starts_its_evidence_anew() -> None:
    after = state_of(SPEC, served={"v1": 1}).after(Cause.STEP_PASSED, NOW)

    assert (after.step, after.arrived, after.served) == (1, None, None)


def test_waiting_for_people_is_not_counted() -> None:
    gate = state_of(SPEC, step=1).after(Cause.GATE_APPROVED, NOW + 100)
    paused = state_of(SPEC, Phase.PAUSED, waited_s=5.0).after(Cause.RESUME_REQUESTED, NOW + 100)
    passed = state_of(SPEC).after(Cause.STEP_PASSED, NOW + 100)

    assert (gate.waited_s, paused.waited_s, passed.waited_s) == (100, 105, 0)


def test_the_cause_of_a_rollback_outlives_its_end() -> None:
    back = state_of(SPEC).after(Cause.BREAKER_TRIPPED, NOW)

    assert back.after(Cause.TRAFFIC_RESTORED, NOW).decided is Cause.BREAKER_TRIPPED


def test_promoting_the_last_step_hands_over_and_no_further() -> None:
    last = state_of(SPEC, step=2)

    assert last.after(Cause.STEP_PROMOTED, NOW).is_handing_over
    assert state_of(SPEC).after(Cause.FULLY_PROMOTED, NOW).step == 3
    assert not last.is_handing_over


def test_phases_that_hold_traffic_are_those_somebody_has_to_watch() -> None:
    assert [phase for phase in Phase if phase.holds_traffic] == [Phase.PROGRESSING, Phase.PAUSED]


def test_a_state_survives_json_exactly() -> None:
    adapter = TypeAdapter(State)
    state = replace(state_of(SPEC), served={"v1": 3}, decided=Cause.CHECK_FAILED)

    assert adapter.validate_json(adapter.dump_json(state)) == state
