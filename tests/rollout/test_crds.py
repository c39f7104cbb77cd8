"""The CRDs: structural by Kubernetes' own rules, equal to what is committed, and of one mind with the models."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from rollout.cli.main import run
from rollout.core.plan_rules import PlanError, parse_plan
from rollout.core.traffic_rollout import TrafficRolloutSpec, TrafficRolloutStatus
from rollout.crds import files, plan_crd, rollout_crd
from tests.rollout.core.documents import plan_document

ROOT = Path(__file__).parents[2]
CRDS = {"RolloutPlan": plan_crd(), "TrafficRollout": rollout_crd()}
WORDS = frozenset(
    "description type format enum pattern minLength maxLength minimum maximum minItems maxItems minProperties"  # noqa: SIM905
    " maxProperties required properties additionalProperties items oneOf anyOf allOf not x-kubernetes-validations"
    " x-kubernetes-list-type x-kubernetes-list-map-keys x-kubernetes-preserve-unknown-fields".split()
)
"""Of apiextensions/v1 JSONSchemaProps; the ones we have no use for are left out on purpose."""
NOT_IN_LOGIC = {"description", "type", "default", "additionalProperties", "nullable"}
NOT_RE2 = re.compile(r"\(\?[=!<]|\\[1-9Zz]|\(\?P=")


def schema_of(kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = CRDS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def children(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from schema.get("properties", {}).items()
    if "items" in schema:
        yield "[]", schema["items"]
    if "additionalProperties" in schema:
        yield "{}", schema["additionalProperties"]


def logic(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for word in ("oneOf", "anyOf", "allOf"):
        yield from schema.get(word, ())
    if "not" in schema:
        yield schema["not"]


def structural_problems(path: str, schema: dict[str, Any]) -> Iterator[str]:
    """What an API server would refuse, by the rules of structural schemas."""
    yield from (f"{path}: {word} is not known" for word in schema.keys() - WORDS)
    if "type" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        yield f"{path}: has no type"
    if "properties" in schema and "additionalProperties" in schema:
        yield f"{path}: has properties and additionalProperties"
    if schema.get("type") == "array" and not {"items", "maxItems"} <= schema.keys():
        yield f"{path}: a list without items or maxItems (the cost of rules is unbounded)"
    if any(NOT_RE2.search(pattern) for pattern in [schema.get("pattern", "")]):
        yield f"{path}: the pattern is no RE2"
    if schema.get("x-kubernetes-list-type") == "map":
        for key in schema["x-kubernetes-list-map-keys"]:
            if key not in schema["items"]["required"] or schema["items"]["properties"][key]["type"] != "string":
                yield f"{path}: its entries do not need their key {key}"
    if "x-kubernetes-validations" in schema and schema.get("type") == "string" and "maxLength" not in schema:
        yield f"{path}: a rule on a text without maxLength"
    for nested in logic(schema):
        yield from logic_problems(path, schema, nested)
    for name, child in children(schema):
        yield from structural_problems(f"{path}.{name}", child)


def logic_problems(path: str, core: dict[str, Any], nested: dict[str, Any]) -> Iterator[str]:
    """Logic may only narrow what the schema itself says."""
    for word in nested:
        if word in NOT_IN_LOGIC or word.startswith("x-") or word not in WORDS:
            yield f"{path}: {word} inside logic"
    for name, child in nested.get("properties", {}).items():
        if name not in core.get("properties", {}):
            yield f"{path}: logic mentions {name}, which is not there"
        else:
            yield from logic_problems(f"{path}.{name}", core["properties"][name], child)
    yield from (f"{path}: logic wants {n}" for n in nested.get("required", ()) if n not in core["properties"])
    for deeper in logic(nested):
        yield from logic_problems(path, core, deeper)


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """As `fieldValidation: Strict` and kubectl see it: unknown keys are errors."""
    closed = copy.deepcopy(schema)
    pending = [closed]
    while pending:
        part = pending.pop()
        pending += [child for _, child in children(part)]
        if "properties" in part and part is not closed["properties"]["metadata"]:
            part["additionalProperties"] = False
    return closed


def refusals(kind: str, document: dict[str, Any]) -> list[str]:
    return [error.json_path for error in jsonschema.Draft202012Validator(strict(schema_of(kind))).iter_errors(document)]


@pytest.mark.parametrize("kind", CRDS)
def test_the_schema_is_structural(kind: str) -> None:
    assert not list(structural_problems(kind, schema_of(kind)))
    metadata = schema_of(kind)["properties"]["metadata"]
    assert metadata["type"] == "object"
    assert set(metadata.get("properties", {})) <= {"name", "generateName"}


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ({"const": "x", "type": "string"}, "const is not known"),
        ({"$ref": "#/x", "type": "string"}, "$ref is not known"),
        ({}, "has no type"),
        ({"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}, "and additionalProperties"),
        ({"type": "array", "items": {"type": "string"}}, "maxItems"),
        ({"type": "string", "pattern": r"^(?!x)"}, "RE2"),
        ({"type": "string", "pattern": r"x\Z"}, "RE2"),
        ({"type": "string", "x-kubernetes-validations": []}, "maxLength"),
        ({"type": "object", "properties": {}, "anyOf": [{"type": "object"}]}, "type inside logic"),
        ({"type": "object", "properties": {}, "oneOf": [{"required": ["x"]}]}, "logic wants x"),
        ({"type": "object", "properties": {}, "oneOf": [{"properties": {"x": {}}}]}, "mentions x"),
        (
            {
                "type": "array",
                "maxItems": 1,
                "items": {"type": "object", "required": [], "properties": {}},
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
            "their key name",
        ),
    ],
)
def test_a_schema_that_is_not_structural_is_found_out(spoil: dict[str, Any], says: str) -> None:
    found = list(structural_problems("x", {"type": "object", "properties": {"y": spoil}}))

    assert any(says in problem for problem in found)


@pytest.mark.parametrize("kind", CRDS)
def test_every_printer_column_shows_a_field_that_exists(kind: str) -> None:
    for column in CRDS[kind]["spec"]["versions"][0]["additionalPrinterColumns"]:
        schema = schema_of(kind)
        for key in re.findall(r"\.(\w+)(?![\w\"])(?![^\[]*\])", column["jsonPath"]):
            if key in ("creationTimestamp", "metadata"):
                continue
            schema = schema["properties"][key] if "items" not in schema else schema["items"]["properties"][key]
        assert schema


def test_the_committed_files_are_the_generated_ones(tmp_path: Path) -> None:
    committed = {path.name: path.read_text() for path in (ROOT / "deploy/crds").glob("*s.yaml")}

    assert committed == files(), "run: make crds"
    assert {yaml.safe_load(text)["spec"]["names"]["kind"] for text in committed.values()} == set(CRDS)


def test_the_verb_prints_and_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["crds"]) == 0
    assert capsys.readouterr().out.count("kind: CustomResourceDefinition") == 2
    assert run(["crds", "--write", str(tmp_path / "crds")]) == 0
    assert {path.name: path.read_text() for path in (tmp_path / "crds").iterdir()} == files()
    capsys.readouterr()
    (tmp_path / "file").touch()
    assert run(["crds", "--write", str(tmp_path / "file/x")]) == 1
    assert "cannot write" in capsys.readouterr().err


GOOD: list[dict[str, Any]] = [
    {},
    {"steps": [{"weight": 100, "hold": "1m5s250ms"}]},
    {"settle": "0s", "timeouts": {"step": "2h", "rollout": "168h", "stall": "90s", "ready": "1s"}},
    {"route": {"kind": "VirtualService", "name": "reviews", "http": "main"}, "service": "reviews", "version": "v3"},
    {"breaker": {"consecutiveFailures": 2, "failureRate": "100%", "window": 10, "slowCallRate": "0.5%"}},
    {"onFail": "pause", "onInconclusive": "promote-if-no-harm"},
    {"checks": [{"name": "x", "source": "prometheus", "query": "up", "max": 0.5, "min": -1, "failures": 1}]},
    {"checks": [{"name": "x", "source": "load", "metric": "latency", "max": "300ms", "quantiles": ["p50", "p99.9"]}]},
    {"checks": [{"name": "x", "source": "load", "metric": "error-rate", "maxIncrease": "0.5pp", "minRequests": 10}]},
    {
        "load": {
            "url": "https://a.b:1/x?y=1",
            "rate": "300/m",
            "split": "80/20",
            "method": "HEAD",
            "headers": {"a": "b"},
        }
    },
]


@pytest.mark.parametrize("change", GOOD, ids=str)
def test_what_the_model_takes_the_schema_takes(change: dict[str, Any]) -> None:
    document = plan_document()
    document["spec"] |= change

    assert parse_plan(document).service == "reviews"
    assert not refusals("RolloutPlan", document)
    snapshot = {"service": "reviews", "to": "v3", "plan": document["spec"]}
    assert not refusals("TrafficRollout", {"metadata": {}, "spec": snapshot})


def test_a_budget_chooses_the_steps_that_a_cluster_leaves_out() -> None:
    document = plan_document()
    del document["spec"]["steps"]
    assert "spec.steps: is required" in refused_by_model(document)
    document["spec"]["budget"] = {"failedRequests": 500, "traffic": "50/s"}

    chosen = parse_plan(document)

    assert not refusals("RolloutPlan", document)
    assert chosen == parse_plan({**document, "spec": {**document["spec"], "steps": "auto"}})


def refused_by_model(document: dict[str, Any]) -> str:
    with pytest.raises(PlanError) as caught:
        parse_plan(document)
    return str(caught.value)


CHECK = {"name": "x", "source": "load", "metric": "error-rate", "max": "1%"}
BAD: list[dict[str, Any]] = [
    {"stepps": []},
    {"steps": []},
    {"steps": [{"wait": "5s"}]},
    {"steps": [{"weight": 101, "hold": "5s"}]},
    {"steps": [{"weight": 0, "hold": "5s"}]},
    {"steps": [{"weight": "50", "hold": "5s"}]},
    {"steps": [{"weight": 100}]},
    {"steps": [{"weight": 100, "hold": 30}]},
    {"steps": [{"weight": 100, "hold": ""}]},
    {"steps": [{"weight": 100, "hold": "1h90m"}]},
    {"steps": [{"weight": 100, "hold": "5s", "gate": "x"}]},
    {"steps": [{"probe": {"hold": "5s"}, "hold": "5s"}, {"weight": 100, "hold": "5s"}]},
    {"steps": [{"gate": "Not A Name"}, {"weight": 100, "hold": "5s"}]},
    {"steps": [{"cohort": {"headers": {}, "hold": "5s"}}, {"weight": 100, "hold": "5s"}]},
    {"steps": [{"cohort": {"headers": {"a": {}}, "hold": "5s"}}, {"weight": 100, "hold": "5s"}]},
    {
        "steps": [
            {"cohort": {"headers": {"a": {"exact": "b", "regex": "c"}}, "hold": "5s"}},
            {"weight": 100, "hold": "5s"},
        ]
    },
    {"checks": []},
    {"checks": [{**CHECK, "max": "1"}]},
    {"checks": [{"name": "x", "source": "load", "metric": "error-rate"}]},
    {"checks": [{"name": "x", "source": "prometheus", "query": "up"}]},
    {"checks": [{"name": "x", "source": "load", "query": "up", "max": 1}]},
    {"checks": [{**CHECK, "query": "up"}]},
    {"checks": [{**CHECK, "failures": 3}]},
    {"checks": [{**CHECK, "source": "datadog"}]},
    {"checks": [{**CHECK, "quantiles": ["p0"]}]},
    {"checks": [{**CHECK, "quantiles": ["99"]}]},
    {"checks": [{**CHECK, "minRequests": 0}]},
    {"load": {"rate": "50/s"}},
    {"load": {"url": "ftp://x", "rate": "50/s"}},
    {"load": {"url": "http://user@x", "rate": "50/s"}},
    {"load": {"url": "http://x", "rate": "50"}},
    {"load": {"url": "http://x", "rate": "50/s", "split": "50:50"}},
    {"load": {"url": "http://x", "rate": "50/s", "method": "POST"}},
    {"breaker": {"failureRate": "101%"}},
    {"breaker": {"consecutiveFailures": 1}},
    {"breaker": {"window": 20.5}},
    {"onFail": "explode"},
    {"route": {"kind": "Ingress", "name": "x"}},
    {"route": {}},
    {"service": "UPPER"},
    {"version": "-v3"},
    {"timeouts": {"step": "soon"}},
]


@pytest.mark.parametrize("change", BAD, ids=str)
def test_what_the_schema_refuses_the_model_refuses(change: dict[str, Any]) -> None:
    document = plan_document()
    document["spec"] |= change

    assert refused_by_model(document)
    assert refusals("RolloutPlan", document)


RULES: dict[str, dict[str, Any]] = {
    "the last weight must be 100": {"steps": [{"weight": 50, "hold": "5s"}]},
    "weights must rise": {"steps": [{"weight": 100, "hold": "5s"}, {"weight": 50, "hold": "5s"}]},
    "a probe needs load": {"load": None, "checks": [{**CHECK, "source": "prometheus"}]},
    "source is load, but": {"load": None, "steps": [{"weight": 100, "hold": "5s"}]},
    "at least 1s and at most 24h": {
        "steps": [{"weight": 100, "hold": "25h"}],
        "timeouts": {"step": "26h", "rollout": "28h"},
    },
    "at least 10ms and at most 1m": {"load": {"url": "http://x", "rate": "50/s", "timeout": "61s"}},
    "at least 1s and at most 168h": {"timeouts": {"stall": "500ms"}},
    "at least 0s and at most 10m": {"settle": "11m"},
}


@pytest.mark.parametrize("says", RULES)
def test_what_a_rule_refuses_the_model_refuses(says: str) -> None:
    """No evaluator of CEL is at hand here; the suite of the cluster edge sends documents to an API server."""
    document = plan_document()
    document["spec"] |= RULES[says]

    assert refused_by_model(document)
    rules = str(schema_of("RolloutPlan"))
    assert says in rules


def test_a_rollout_names_a_service_and_a_version_and_nothing_unknown() -> None:
    good = {"service": "reviews", "to": "v3", "from": "v1", "reason": "release 3", "actor": "ci"}
    assert TrafficRolloutSpec.model_validate(good).from_ == "v1"
    assert not refusals("TrafficRollout", {"spec": good})
    for bad in ({"to": "v3"}, {"service": "reviews"}, {**good, "to": "v 3"}, {**good, "weight": 5}):
        assert refusals("TrafficRollout", {"spec": bad})
        with pytest.raises(ValueError, match="validation error"):
            TrafficRolloutSpec.model_validate(bad)
    rules = str(schema_of("TrafficRollout")["properties"]["spec"]["x-kubernetes-validations"])
    assert "from and to must differ" in rules
    assert "cannot be changed" in rules


def test_a_status_may_hold_whatever_the_daemon_remembers() -> None:
    condition = {
        "type": "Promoted",
        "status": "False",
        "reason": "BreakerTripped",
        "message": "10 failures in a row",
        "lastTransitionTime": "2026-11-23T20:00:00Z",
    }
    status = {
        "phase": "RolledBack",
        "step": "3/6",
        "weight": 0,
        "epoch": 7,
        "evidence": {"limits": {"errors": [1, 2.5, None]}},
        "state": {"original": "[]"},
        "history": [{"cause": "breaker tripped"}],
        "conditions": [condition],
    }

    parsed = TrafficRolloutStatus.model_validate(status)

    assert parsed.model_dump(by_alias=True, exclude_unset=True, mode="json") == status
    assert not refusals("TrafficRollout", {"spec": {"service": "reviews", "to": "v3"}, "status": status})
    assert refusals("TrafficRollout", {"spec": {"service": "a", "to": "v3"}, "status": {"phase": "Lost"}})
