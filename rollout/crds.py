"""The CRDs RolloutPlan and TrafficRollout, generated from the models that read the files: `rollout crds`.

Pydantic's JSON Schema is not structural, and a structural schema is all an API server takes: no $ref, no `anyOf` of
types, no `const`, every field with one type. So unions of objects become one object with all their keys and a `oneOf`
that says which keys go together, and "or null" disappears. Defaults are left out: the API server would write them into
people's objects, and so into the wrong half of a union. What a schema cannot say, CEL rules say, and what those cannot
say either (rates, the sense of a limit) the daemon says in the condition Ready.
"""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel

from rollout.core.quantities import DURATION_PATTERN, format_duration
from rollout.core.spec import PlanSpec
from rollout.core.traffic_rollout import RolloutPlanStatus, TrafficRolloutSpec, TrafficRolloutStatus
from rollout.yaml_documents import dump

Schema = dict[str, Any]

GROUP = "rollout.dev"
VERSION = "v1alpha1"
PLAN_NAME = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 63}}}  # it may name a service
_KEPT: tuple[str, ...] = (
    "description",
    "type",
    "format",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "x-kubernetes-preserve-unknown-fields",
)
_MERGED_BY: Mapping[tuple[str, str], str] = {
    ("PlanSpec", "checks"): "name",
    ("RolloutPlanStatus", "conditions"): "type",
    ("TrafficRolloutStatus", "conditions"): "type",
}
"""Lists whose entries have a name: two of one name are refused, and server-side apply merges entry by entry."""
_ONE_OF: Mapping[str, tuple[str, ...]] = {"StringMatch": ("exact", "prefix", "regex")}
_ANY_OF: Mapping[str, tuple[str, ...]] = {"MetricCheck": ("max", "maxIncrease"), "QueryCheck": ("max", "min")}
_WEIGHTS = "self.steps.filter(s, has(s.weight)).map(s, s.weight)"
_SAME_NAMES = "self.service == oldSelf.service && self.to == oldSelf.to"
_RULES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "PlanSpec": (
        ("has(self.steps) || has(self.budget)", "steps are required, or a budget that chooses them"),
        (f"!has(self.steps) || {_WEIGHTS}.exists(w, w == 100)", "the last weight must be 100"),
        (f"!has(self.steps) || {_WEIGHTS}.isSorted()", "weights must rise"),
        (f"!has(self.steps) || {_WEIGHTS}.all(w, {_WEIGHTS}.exists_one(v, v == w))", "weights must rise"),
        (
            "has(self.load) || !has(self.steps) || !self.steps.exists(s, has(s.probe))",
            "a probe needs load: at weight 0 only synthetic requests arrive",
        ),
        (
            "has(self.load) || !self.checks.exists(c, c.source == 'load')",
            "a check's source is load, but the plan has no load",
        ),
    ),
    "TrafficRolloutSpec": (
        ("!has(self.from) || self.from != self.to", "from and to must differ"),
        (
            f"{_SAME_NAMES} && has(self.from) == has(oldSelf.from) && (!has(self.from) || self.from == oldSelf.from)",
            "a rollout cannot be changed: start another one",
        ),
    ),
}


def plan_crd() -> Schema:
    """The definition of RolloutPlan."""
    columns = [
        _column("Version", "string", ".spec.version"),
        _column("Serving", "string", ".status.version"),
        _column("Rollout", "string", ".status.rollout"),
        _column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
        _column("Reason", "string", '.status.conditions[?(@.type=="Ready")].message', priority=1),
    ]
    return _crd("RolloutPlan", ("rop",), columns, PlanSpec, RolloutPlanStatus, PLAN_NAME)


def rollout_crd() -> Schema:
    """The definition of TrafficRollout."""
    columns = [
        _column("Service", "string", ".spec.service"),
        _column("To", "string", ".spec.to"),
        _column("Phase", "string", ".status.phase"),
        _column("Step", "string", ".status.step"),
        _column("Weight", "integer", ".status.weight"),
        _column("Message", "string", ".status.message", priority=1),
    ]
    return _crd("TrafficRollout", ("tro",), columns, TrafficRolloutSpec, TrafficRolloutStatus, {"type": "object"})


def files() -> dict[str, str]:
    """Every file of deploy/crds, by name."""
    generated = "# Generated from rollout/core by `make crds`: change it there.\n"
    return {f"{crd['spec']['names']['plural']}.yaml": generated + dump(crd) for crd in (plan_crd(), rollout_crd())}


def _crd(
    kind: str,
    short_names: tuple[str, ...],
    columns: list[Schema],
    spec: type[BaseModel],
    status: type[BaseModel],
    metadata: Schema,
) -> Schema:
    plural = f"{kind.lower()}s"
    schema = {
        "type": "object",
        "description": (spec.__doc__ or "").partition("\n")[0],
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": metadata,
            "spec": structural(spec),
            "status": structural(status),
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}", "labels": {"app.kubernetes.io/name": "rollout"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": list(short_names),
                "categories": ["delivery"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [*columns, _column("Age", "date", ".metadata.creationTimestamp")],
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _column(name: str, kind: str, path: str, priority: int = 0) -> Schema:
    return {"name": name, "type": kind, "jsonPath": path} | ({"priority": priority} if priority else {})


def structural(model: type[BaseModel]) -> Schema:
    """The structural schema of *model*."""
    raw = model.model_json_schema()
    return _Flattener(raw.get("$defs", {}), dict(_models(model))).object(raw)


def _models(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """The model and every model inside it, by name."""
    yield model.__name__, model
    for field in model.model_fields.values():
        for part in _parts(field.annotation):
            yield from _models(part)


def _parts(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _parts(argument)


class _Flattener:
    """One schema without references."""

    def __init__(self, definitions: Mapping[str, Schema], models: Mapping[str, type[BaseModel]]) -> None:
        self._definitions, self._models = definitions, models

    def object(self, raw: Schema) -> Schema:
        """A model's schema."""
        name = raw["title"]
        properties = {key: self._property(name, key, part) for key, part in raw["properties"].items()}
        required = [key for key in raw.get("required", ()) if not _may_be_auto(raw["properties"][key])]
        flat = {**_kept(raw), "required": required, "properties": properties}
        if not required:
            del flat["required"]
        if name in _ONE_OF:
            flat["oneOf"] = [{"required": [key]} for key in _ONE_OF[name]]
        if name in _RULES:
            flat["x-kubernetes-validations"] = [{"rule": rule, "message": text} for rule, text in _RULES[name]]
        return flat

    def _property(self, owner: str, key: str, raw: Schema) -> Schema:
        flat = self._value(raw)
        if flat.get("pattern") == DURATION_PATTERN:
            flat["x-kubernetes-validations"] = [_within(*self._bounds(owner, key))]
        if (owner, key) in _MERGED_BY:
            flat |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [_MERGED_BY[owner, key]]}
        return flat

    def _value(self, raw: Schema) -> Schema:
        """Any schema: what it refers to, or may be besides null, with its own description."""
        if "$ref" in raw:
            definition = self._definitions[raw["$ref"].rpartition("/")[2]]
            return self._value(definition) | _kept(raw)
        if "anyOf" in raw:
            (choice,) = (part for part in raw["anyOf"] if part != {"type": "null"} and "const" not in part)
            return self._value(choice) | _kept(raw)
        if "oneOf" in raw:
            return self._union([self._definitions[part["$ref"].rpartition("/")[2]] for part in raw["oneOf"]])
        if "properties" in raw:
            return self.object(raw)
        flat = _kept(raw)
        if "const" in raw:
            flat["enum"] = [raw["const"]]
        if "items" in raw:
            flat["items"] = self._value(raw["items"])
        if isinstance(raw.get("additionalProperties"), dict):
            flat["additionalProperties"] = self._value(raw["additionalProperties"])
        return flat

    def _union(self, variants: list[Schema]) -> Schema:
        """One object with every variant's keys; which of them go together is said by oneOf."""
        flats = [self.object(variant) for variant in variants]
        properties: Schema = {}
        for flat in flats:
            for key, part in flat["properties"].items():
                properties[key] = _either(properties[key], part) if key in properties else part
        branches = [_branch(variant["title"], flat, properties) for variant, flat in zip(variants, flats, strict=True)]
        required = sorted(set.intersection(*(set(flat["required"]) for flat in flats)))
        return {
            "type": "object",
            **({"required": required} if required else {}),
            "properties": properties,
            "oneOf": branches,
        }

    def _bounds(self, owner: str, key: str) -> tuple[float, float]:
        """The seconds between which the model wants a duration."""
        field = next(f for name, f in self._models[owner].model_fields.items() if (f.alias or name) == key)
        assert not any(isinstance(limit, Gt) for limit in field.metadata), "durations have inclusive bounds"
        least: Any = next((limit.ge for limit in field.metadata if isinstance(limit, Ge)), 0.0)
        most: Any = next((limit.le for limit in field.metadata if isinstance(limit, Le)), 366 * 86400.0)
        return float(least), float(most)


def _kept(raw: Schema) -> Schema:
    return {key: raw[key] for key in _KEPT if key in raw and raw[key] is not None}


def _may_be_auto(raw: Schema) -> bool:
    return any("const" in part for part in raw.get("anyOf", ()))


def _within(least: float, most: float) -> Schema:
    low, high = format_duration(least), format_duration(most)
    return {
        "rule": f"duration(self) >= duration('{low}') && duration(self) <= duration('{high}')",
        "message": f"must be at least {low} and at most {high}",
    }


def _either(first: Schema, second: Schema) -> Schema:
    """A key that two variants share: its type if they agree, else anything, which the branches then narrow."""
    if first == second:
        return first
    if first["type"] != second["type"]:
        return {"x-kubernetes-preserve-unknown-fields": True, "description": first.get("description", "")}
    enum = [value for value in first.get("enum", ()) if value not in second.get("enum", ())] + second.get("enum", [])
    return {**first, "enum": enum} if enum else first


def _branch(title: str, flat: Schema, merged: Schema) -> Schema:
    """What holds for one variant beyond what holds for all: its keys, not the others', and its own values."""
    narrowed: Schema = {}
    for key, part in flat["properties"].items():
        wider = merged[key]
        own = {word: part[word] for word in ("enum", "pattern", "minLength", "maxLength") if word in part}
        if own and part != wider and any(wider.get(word) != value for word, value in own.items()):
            narrowed[key] = own
    foreign = [key for key in merged if key not in flat["properties"]]
    branch: Schema = {"required": flat["required"]}
    if narrowed:
        branch["properties"] = narrowed
    if foreign:
        branch["not"] = {"anyOf": [{"required": [key]} for key in foreign]}
    if title in _ANY_OF:
        branch["anyOf"] = [{"required": [key]} for key in _ANY_OF[title]]
    return branch
