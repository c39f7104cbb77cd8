"""Plans made from other plans."""

import pytest

from rollout.core.plan_defaults import default_plan, plan_for_undo, with_steps
from rollout.core.plan_rules import PlanError, parse_plan
from rollout.core.spec import OnFail, OnInconclusive, WeightStep
from tests.rollout.core.documents import plan_document


def test_a_service_without_a_plan_gets_weights_and_users_checks() -> None:
    plan = default_plan("ratings", "bookinfo")

    assert plan.service == "ratings"
    assert [step.weight for step in plan.spec.steps if isinstance(step, WeightStep)] == [5, 25, 50, 100]
    assert {check.source for check in plan.spec.checks} == {"prometheus"}


def test_weights_and_hold_of_one_run_replace_the_plans() -> None:
    plan = parse_plan(plan_document())

    other = with_steps(plan, [10, 100], "5s")

    assert [(str(step), step.hold) for step in other.spec.steps] == [("weight 10%", 5), ("weight 100%", 5)]
    assert other.spec.checks == plan.spec.checks


def test_a_hold_alone_keeps_the_steps_and_leaves_gates_alone() -> None:
    other = with_steps(parse_plan(plan_document()), [], "7s")

    assert [step.hold for step in other.spec.steps] == [7, 7, 7, 7, 0, 7, 7]
    assert [str(step) for step in other.spec.steps][:2] == ["probe", "cohort end-user: jason"]


def test_weights_alone_are_held_for_the_default() -> None:
    other = with_steps(default_plan("a", "b"), [100], "")

    assert [step.hold for step in other.spec.steps] == [60]


def test_impossible_weights_are_refused_like_in_a_file() -> None:
    with pytest.raises(PlanError, match="weights must rise"):
        with_steps(default_plan("a", "b"), [50, 5, 100], "")


def test_the_way_back_is_one_step_that_holds_instead_of_bouncing() -> None:
    back = plan_for_undo(parse_plan(plan_document()).spec)

    assert [str(step) for step in back.steps] == ["weight 100%"]
    assert (back.on_fail, back.on_inconclusive) == (OnFail.PAUSE, OnInconclusive.PROMOTE_IF_NO_HARM)
