"""A risk budget: ladders that keep it, and simulations that prove it."""

import re
from pathlib import Path
from random import Random
from typing import Any

import pytest

from rollout.core import budget, judge
from rollout.core.budget import expected_failures, requests_to_accept, requests_to_convict
from rollout.core.plan_rules import PlanError, parse_plan
from rollout.core.simulation import Behaviour, End, Story, Traffic, simulate
from rollout.core.spec import PlanSpec, ProbeStep, RolloutPlan, RolloutSpec, WeightStep
from rollout.yaml_documents import load
from tests.rollout.core.documents import plan_document

BY_LOAD = {"name": "errors", "source": "load", "metric": "error-rate", "max": "1%", "maxIncrease": "50%"}
BY_USERS = {"name": "users", "source": "prometheus", "metric": "error-rate", "max": "1%"}


def document(failed: int, traffic: str = "100/s", check: dict[str, Any] = BY_LOAD, **changes: Any) -> dict[str, Any]:
    plan = plan_document()
    spec = {"steps": "auto", "budget": {"failedRequests": failed, "traffic": traffic}, "checks": [check], **changes}
    plan["spec"] |= spec
    if check["source"] == "prometheus":
        del plan["spec"]["load"]
    return plan


def planned(*arguments: Any, **changes: Any) -> PlanSpec:
    return parse_plan(document(*arguments, **changes)).spec


def weights(plan: PlanSpec) -> list[int]:
    return [step.weight if isinstance(step, WeightStep) else 0 for step in plan.steps]


def problem_of(broken: dict[str, Any]) -> str:
    with pytest.raises(PlanError) as caught:
        parse_plan(broken)
    (problem,) = caught.value.problems
    return str(problem)


def test_with_synthetic_load_nobody_meets_the_canary_before_it_is_proven() -> None:
    plan = planned(50)

    assert isinstance(plan.steps[0], ProbeStep)
    assert weights(plan) == [0, 10, 50, 100]
    assert plan.timeouts.step == 180


def test_with_users_alone_the_first_step_is_as_small_as_the_budget() -> None:
    small, large = planned(150, "100/s", BY_USERS), planned(400, "100/s", BY_USERS)

    assert weights(small)[0] < weights(large)[0]
    assert weights(small)[-1] == 100
    assert all(step.hold >= 10 for step in small.steps)


@pytest.mark.parametrize(
    ("failed", "check"),
    [(20, BY_LOAD), (50, BY_LOAD), (1000, BY_LOAD), (150, BY_USERS), (200, BY_USERS), (1000, BY_USERS)],
)
def test_what_is_expected_never_exceeds_the_budget(failed: int, check: dict[str, Any]) -> None:
    expected, rate = expected_failures(planned(failed, "100/s", check))

    assert 0 < expected <= failed
    assert 0.01 <= rate <= 1


def test_several_checks_share_the_false_alarms_and_the_first_to_see_harm_counts() -> None:
    query = {"name": "q", "source": "prometheus", "query": "x", "max": 1}

    both = planned(50, checks=[BY_LOAD, BY_USERS, query])

    assert weights(both) == weights(planned(50))
    assert [watch.log_e for watch in budget._watches(both)] == pytest.approx([5.704, 5.704], abs=0.001)


def test_a_chosen_ladder_prints_back_as_steps() -> None:
    plan = parse_plan(document(50))

    printed = plan.model_dump(by_alias=True, exclude_unset=True, mode="json")

    assert printed["spec"]["steps"][1] == {"weight": 10, "hold": "19s"}
    assert parse_plan(printed) == plan


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (document(5, "1000/s"), "at weight 1% a canary that fails 100% of its requests is expected to cost"),
        (document(5, "100/s", BY_USERS), "or add spec.load with an error-rate check of its own"),
        (document(50, timeouts={"step": "10m"}), "neither proven good nor bad within 10m a step"),
        (document(50, "20/s", BY_USERS), "a good canary needs"),
        (document(50, onInconclusive="hold"), "needs onInconclusive: rollback"),
        (document(50, "100/s", BY_USERS | {"metric": "latency", "max": "1s"}), "needs an error-rate check with a max"),
        (document(50, checks=[{"name": "q", "source": "prometheus", "query": "x", "max": 1}]), "needs an error-rate"),
    ],
)
def test_a_budget_that_cannot_be_kept_says_why_and_what_would_help(broken: dict[str, Any], says: str) -> None:
    problem = problem_of(broken)

    assert problem.startswith("spec.budget.failedRequests: ")
    assert says in problem


def test_auto_needs_a_budget_and_a_plan_that_is_right_otherwise() -> None:
    assert problem_of(document(50, budget=None)) == "spec.budget: is required with steps: auto"
    with pytest.raises(PlanError, match=r"spec\.checks\[0\]\.max: '1' has no unit"):
        parse_plan(document(50, check=BY_LOAD | {"max": "1"}))


def test_steps_that_somebody_wrote_are_held_to_the_budget_as_well() -> None:
    steps = [{"weight": 50, "hold": "10s"}, {"gate": "sre"}, {"weight": 100, "hold": "10s"}]

    assert "the steps expect up to" in problem_of(document(50, "100/s", BY_USERS, steps=steps))
    assert parse_plan(document(50_000, "100/s", BY_USERS, steps=steps)).spec.budget is not None
    assert "needs onInconclusive" in problem_of(document(50_000, onInconclusive="hold", steps=steps))


def test_evidence_that_never_comes_costs_the_whole_step() -> None:
    spec = parse_plan(document(50_000, "100/s", BY_USERS, steps=[{"weight": 100, "hold": "10s"}])).spec
    (watch,) = budget._watches(spec)

    assert watch.seconds(0.02, 0) == float("inf")
    assert requests_to_convict(0.01, 0.0100001, 0.5, 7.0) > 1e6
    assert budget._least(lambda _: False, 1.0) == float("inf")


def test_the_numbers_are_those_of_the_judge_and_of_the_design() -> None:
    assert (budget.ALPHA_HARM, budget.ALPHA_ACCEPT) == (judge.ALPHA_HARM, judge.ALPHA_ACCEPT)
    assert budget.FAILURES_MIN == judge.HARM_FAILURES_MIN
    assert requests_to_accept(0.01) == pytest.approx(455, rel=0.02)
    # the table of canary requests against a limit of 1 % (1,481 and 149 there), here with stakes kept for eight steps
    assert requests_to_convict(0.01, 0.02, 0.5, 4.605) == pytest.approx(1481 * 1.4, rel=0.15)
    assert requests_to_convict(0.01, 0.05, 0.05, 4.605) == pytest.approx(149 * 1.4, rel=0.15)


def test_editors_are_told_that_steps_may_be_auto() -> None:
    steps = RolloutPlan.model_json_schema()["$defs"]["PlanSpec"]["properties"]["steps"]

    assert {"const": "auto"} in steps["anyOf"]
    assert steps["anyOf"][1]["type"] == "array"


def cost(plan: PlanSpec, traffic: Traffic, runs: int) -> tuple[float, dict[End, int]]:
    """Failed user requests before a rollback, on average, and how the rollouts ended."""
    spec = RolloutSpec(namespace="n", service="reviews", stable="v1", canary="v2", plan=plan)
    endings = [simulate(Story(spec=spec, traffic=traffic), Random(seed)) for seed in range(runs)]
    lost = sum(ending.failed_user_requests for ending in endings if ending.end is not End.PROMOTED)
    return lost / runs, {end: sum(one.end is end for one in endings) for end in End}


@pytest.mark.parametrize(
    ("failed", "check", "error_rate"),
    [
        *((50, BY_LOAD | {"maxIncrease": "500%"}, rate) for rate in (0.005, 0.012, 0.05, 1.0)),
        *((150, BY_USERS, rate) for rate in (0.009, 0.02, 0.2, 1.0)),
    ],
)
def test_a_simulation_proves_it_for_any_error_rate(failed: int, check: dict[str, Any], error_rate: float) -> None:
    traffic = Traffic(rps=100, canary=Behaviour(error_rate=error_rate, median_s=0.05))

    lost, ends = cost(planned(failed, "100/s", check), traffic, runs=3)

    assert lost <= failed
    if error_rate > 0.01:
        assert ends[End.PROMOTED] == 0


def test_a_ladder_that_ignores_the_budget_breaks_it() -> None:
    steps = [{"weight": 50, "hold": "10s"}, {"weight": 100, "hold": "10s"}]
    plan = parse_plan(document(50_000, "100/s", BY_USERS, steps=steps)).spec

    lost, _ = cost(plan, Traffic(rps=100, canary=Behaviour(error_rate=1.0, median_s=0.05)), runs=3)

    assert lost > 1000


def test_the_page_shows_what_its_example_becomes() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/plan.md").read_text()
    (block,) = re.findall(r"```yaml\n(steps: auto.*?)```", page, re.DOTALL)
    plan = plan_document()
    plan["spec"] = load(block.encode(), file="the page").value
    made = parse_plan(plan).spec

    rungs = ", ".join(str(weight) for weight in weights(made)[1:-1])
    told = f"becomes a probe and the weights {rungs} and 100, each held for {made.steps[0].hold:g} s and given up after"
    assert f"{told} {made.timeouts.step / 60:g} min" in page.replace("\n", " ")
    assert {step.hold for step in made.steps} == {made.steps[0].hold}
