"""RolloutPlans in, values or every problem out."""

import copy
import json
from typing import Any

import pytest

from rollout.core.plan_rules import PlanError, parse_plan
from rollout.core.spec import CohortStep, GateStep, ProbeStep, WeightStep
from tests.rollout.core.documents import plan_document


def test_the_plan_of_the_design_is_read_whole() -> None:
    plan = parse_plan(plan_document())

    kinds = [type(step) for step in plan.spec.steps]
    assert kinds == [ProbeStep, CohortStep, WeightStep, WeightStep, GateStep, WeightStep, WeightStep]
    assert plan.service == "reviews"
    assert plan.spec.load is not None
    assert plan.spec.load.rate == 50


def test_a_plan_prints_back_to_the_document_it_came_from() -> None:
    plan = parse_plan(plan_document())

    printed = json.loads(plan.model_dump_json(by_alias=True, exclude_unset=True))

    assert parse_plan(printed) == plan


def test_all_problems_are_listed_at_once_with_their_paths() -> None:
    document = plan_document()
    document["spec"]["stepps"] = []
    document["spec"]["steps"][2]["weight"] = 101
    document["spec"]["steps"][3] = {"wait": "5s"}
    document["spec"]["checks"][0]["max"] = "1"
    document["spec"]["load"]["rate"] = "9000/s"

    paths = {problem.path for problem in problems(document)}

    assert paths >= {
        "spec.stepps",
        "spec.steps[2].weight",
        "spec.steps[3]",
        "spec.checks[0].max",
        "spec.load.rate",
    }


Edit = tuple[tuple[str | int, ...], Any]
ABSENT = "(absent)"


@pytest.mark.parametrize(
    ("edit", "path", "says"),
    [
        ((("apiVersion",), "v1"), "apiVersion", "rollout.dev/v1alpha1"),
        ((("kind",), "Plan"), "kind", "RolloutPlan"),
        ((("metadata", "name"), "Reviews!"), "metadata.name", "lower case"),
        ((("metadata",), ABSENT), "metadata", "required"),
        ((("metadata",), 5), "metadata", "a mapping"),
        ((("spec", "stepps"), []), "spec.stepps", "did you mean 'steps'"),
        ((("spec", "zzz"), []), "spec.zzz", "unknown key"),
        ((("spec", "steps"), []), "spec.steps", "at least 1"),
        ((("spec", "steps"), "all"), "spec.steps", "a list"),
        ((("spec", "steps"), [{"weight": w + 1, "hold": "1s"} for w in range(51)]), "spec.steps", "at most 50"),
        ((("spec", "steps", 2, "weight"), "10"), "spec.steps[2].weight", "a whole number"),
        ((("spec", "steps", 2, "weight"), True), "spec.steps[2].weight", "a whole number"),
        ((("spec", "steps", 2, "weight"), 33.3), "spec.steps[2].weight", "a whole number"),
        ((("spec", "steps", 2, "weight"), 0), "spec.steps[2].weight", "at least 1"),
        ((("spec", "steps", 2, "weight"), -1), "spec.steps[2].weight", "at least 1"),
        ((("spec", "steps", 2, "weight"), 10**9), "spec.steps[2].weight", "at most 100"),
        ((("spec", "steps", 3, "weight"), 5), "spec.steps[3].weight", "weights must rise: 5 follows 5"),
        ((("spec", "steps", 6), {"gate": "g"}), "spec.steps", "last weight must be 100"),
        ((("spec", "steps", 2, "hold"), "5"), "spec.steps[2].hold", "not a duration"),
        ((("spec", "steps", 2, "hold"), "500ms"), "spec.steps[2].hold", "at least 1s"),
        ((("spec", "steps", 2, "hold"), "11m"), "spec.steps[2]", "spec.timeouts.step gives up after 10m"),
        ((("spec", "steps", 0), {"weight": 1, "hold": "1s", "gate": "g"}), "spec.steps[0].gate", "unknown key"),
        ((("spec", "steps", 3), {"probe": {"hold": "9s"}}), "spec.steps[3]", "before the first weight"),
        ((("spec", "steps", 1, "cohort", "headers"), {}), "spec.steps[1].cohort.headers", "at least 1"),
        ((("spec", "steps", 1, "cohort", "headers"), {"a": {}}), "spec.steps[1].cohort.headers.a", "exactly one"),
        ((("spec", "load"), ABSENT), "spec.steps[0].probe", "needs spec.load"),
        ((("spec", "load"), ABSENT), "spec.checks[0].source", "no spec.load"),
        ((("spec", "load", "url"), "file:///x"), "spec.load.url", "not a URL"),
        ((("spec", "load", "split"), "50/60"), "spec.load.split", "sum to 100"),
        ((("spec", "load", "method"), "POST"), "spec.load.method", "'GET' or 'HEAD'"),
        ((("spec", "checks"), []), "spec.checks", "at least 1"),
        (
            (("spec", "checks"), [{"name": "q", "source": "prometheus", "query": "x", "max": 1, "onNoData": "ignore"}]),
            "spec.checks",
            "pass without any evidence",
        ),
        ((("spec", "checks", 1, "name"), "errors"), "spec.checks[1].name", "used twice"),
        ((("spec", "checks", 0, "max"), "300ms"), "spec.checks[0].max", "a percentage"),
        ((("spec", "checks", 1, "max"), "5%"), "spec.checks[1].max", "a time (25ms)"),
        ((("spec", "checks", 1, "maxIncrease"), "1pp"), "spec.checks[1].maxIncrease", "or a time"),
        (
            (("spec", "checks", 0), {"name": "e", "source": "load", "metric": "error-rate"}),
            "spec.checks[0]",
            "no limit",
        ),
        ((("spec", "checks", 3), {"name": "c", "source": "prometheus", "query": "x"}), "spec.checks[3]", "no limit"),
        ((("spec", "checks", 3, "min"), 9), "spec.checks[3].min", "no value can pass"),
        ((("spec", "checks", 3, "max"), float("nan")), "spec.checks[3].max", "finite"),
        ((("spec", "checks", 0, "source"), "datadog"), "spec.checks[0].source", "'load' or 'prometheus'"),
        ((("spec", "checks", 1, "quantiles"), ["p101"]), "spec.checks[1].quantiles[0]", "p99"),
        ((("spec", "breaker"), {"window": 5}), "spec.breaker.window", "at least 10"),
        ((("spec", "timeouts"), {"rollout": "1m"}), "spec.timeouts.rollout", "the steps alone"),
        ((("spec", "onFail"), "explode"), "spec.onFail", "'rollback' or 'pause'"),
        ((("spec", "route"), {"kind": "Ingress", "name": "x"}), "spec.route.kind", "VirtualService"),
        ((("spec", "settle"), "1h"), "spec.settle", "at most 10m"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_each_kind_of_wrong_is_named_with_its_path(edit: Edit, path: str, says: str) -> None:
    document = plan_document()
    keys, value = edit
    node: Any = document
    for key in keys[:-1]:
        node = node[key]
    if value is ABSENT:
        del node[keys[-1]]
    else:
        node[keys[-1]] = value

    found = [problem.message for problem in problems(document) if problem.path == path]

    assert any(says in message for message in found)


@pytest.mark.parametrize("document", [None, [], "text", 5])
def test_what_is_not_a_mapping_is_one_problem(document: object) -> None:
    (problem,) = problems(document)

    assert problem.path == "the document"
    assert "apiVersion" in problem.message


@pytest.mark.parametrize("spec", [None, 5, {"steps": 5}, {"steps": [5, {"weight": "x"}]}])
def test_a_document_of_odd_shape_is_refused_and_not_tripped_over(spec: object) -> None:
    document = plan_document() | {"spec": spec}

    assert problems(document)


def test_what_a_cluster_adds_to_the_metadata_is_passed_over() -> None:
    document = plan_document()
    document["metadata"] |= {"uid": "x", "resourceVersion": "5", "labels": {"a": "b"}}

    assert parse_plan(document).metadata.name == "reviews"


def problems(document: object) -> Any:
    with pytest.raises(PlanError) as caught:
        parse_plan(copy.deepcopy(document))
    assert str(caught.value)
    return caught.value.problems
