"""Which resources there are: the built-in ones we use, and what CustomResourceDefinitions add."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator

from tests.kube.errors import Json, invalid

_MICRO_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$")


@dataclass(frozen=True)
class Kind:
    """One resource."""

    group: str
    versions: tuple[str, ...]
    plural: str
    kind: str
    is_namespaced: bool = True
    has_status: bool = False
    schema: Json | None = None
    """Structural schema of a custom resource."""
    selectable: tuple[str, ...] = ()

    @property
    def is_custom(self) -> bool:
        return self.schema is not None

    @property
    def counts_generations(self) -> bool:
        return self.is_custom or self.plural in ("jobs", "deployments")

    def admitted(self, new: Json, old: Json | None) -> tuple[Json, list[str]]:
        """The object as it is stored and the paths that were dropped. Raises ApiError 400 or 422."""
        what = f"{self.kind} {new['metadata'].get('name', '')!r}"
        if self.schema is None:
            _check_builtin(self, new, what)
            return new, []
        dropped: list[str] = []
        kept: Json = {key: new[key] for key in ("apiVersion", "kind", "metadata") if key in new}
        for key in new.keys() - kept.keys():
            schema = self.schema.get("properties", {}).get(key)
            if schema is None and not _is_open(self.schema):
                dropped.append(key)
            else:
                kept[key] = _pruned(new[key], schema or _OPEN, key, dropped)
        checked = {key: value for key, value in kept.items() if key not in ("apiVersion", "kind", "metadata")}
        problems = [
            f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
            for error in Draft202012Validator(self.schema).iter_errors({**checked, "metadata": {}})
        ]
        if problems:
            raise invalid(what, *problems)
        broken = list(_broken_rules(self.schema, kept, old))
        if broken:
            raise invalid(what, *broken)
        return kept, dropped


_OPEN: Json = {"x-kubernetes-preserve-unknown-fields": True}


def _is_open(schema: Json) -> bool:
    return bool(schema.get("x-kubernetes-preserve-unknown-fields"))


def _pruned(value: Any, schema: Json, path: str, dropped: list[str]) -> Any:
    """Without the fields that the schema does not know."""
    if isinstance(value, list):
        items = schema.get("items", _OPEN)
        return [_pruned(item, items, f"{path}[{index}]", dropped) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    kept: Json = {}
    for key, child in value.items():
        part = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
        if isinstance(part, dict) or part is True:
            kept[key] = _pruned(child, part if isinstance(part, dict) else _OPEN, f"{path}.{key}", dropped)
        elif _is_open(schema):
            kept[key] = child
        else:
            dropped.append(f"{path}.{key}")
    return kept


def _broken_rules(schema: Json, new: Any, old: Any) -> Iterator[str]:
    """The CEL rules that the fake knows, written as Python checks; the others only a real server evaluates."""
    for rule in schema.get("x-kubernetes-validations", ()):
        text = rule["rule"]
        if "oldSelf" in text:
            names = re.findall(r"self\.(\w+) == oldSelf\.\1", text)
            changed = old is not None and any(new.get(name) != old.get(name) for name in names)
            if (changed and names) or (text == "self == oldSelf" and old is not None and new != old):
                yield rule["message"]
        elif text == "!has(self.from) || self.from != self.to" and new.get("from") == new.get("to"):
            yield rule["message"]
    for key, part in schema.get("properties", {}).items():
        if isinstance(new, dict) and key in new:
            yield from _broken_rules(part, new[key], old.get(key) if isinstance(old, dict) else None)


def _check_builtin(kind: Kind, new: Json, what: str) -> None:
    """The rules of Leases and Events that trip up clients."""
    from tests.kube.errors import ApiError

    times = {
        "leases": [(new.get("spec") or {}).get(key) for key in ("renewTime", "acquireTime")],
        "events": [new.get("eventTime"), (new.get("series") or {}).get("lastObservedTime")],
    }.get(kind.plural, [])
    for time in times:
        if time is not None and not _MICRO_TIME.match(str(time)):
            raise ApiError(400, "BadRequest", f'parsing time "{time}" as "2006-01-02T15:04:05.000000Z07:00"')
    if kind.group == "events.k8s.io":
        required = ("eventTime", "reportingController", "reportingInstance", "action", "reason")
        missing = [f"{key}: Required value" for key in required if not new.get(key)]
        if missing:
            raise invalid(what, *missing)


def _builtin(group: str, kind: str, plural: str = "", *, cluster: bool = False, status: bool = False) -> Kind:
    plural = plural or f"{kind.lower()}s"
    return Kind(group, ("v1",), plural, kind, is_namespaced=not cluster, has_status=status)


_RBAC = "rbac.authorization.k8s.io"
BUILT_IN = (
    _builtin("", "Namespace", cluster=True),
    _builtin("", "Pod", status=True),
    _builtin("", "Service"),
    _builtin("", "ServiceAccount"),
    _builtin("", "Event"),
    _builtin("events.k8s.io", "Event"),
    _builtin("coordination.k8s.io", "Lease"),
    _builtin("discovery.k8s.io", "EndpointSlice"),
    _builtin("batch", "Job", status=True),
    _builtin("apps", "Deployment", status=True),
    _builtin(_RBAC, "Role"),
    _builtin(_RBAC, "RoleBinding"),
    _builtin(_RBAC, "ClusterRole", cluster=True),
    _builtin(_RBAC, "ClusterRoleBinding", cluster=True),
    _builtin("apiextensions.k8s.io", "CustomResourceDefinition", cluster=True, status=True),
)


@dataclass
class Kinds:
    """All resources of one server."""

    known: dict[tuple[str, str], Kind] = field(
        default_factory=lambda: {(kind.group, kind.plural): kind for kind in BUILT_IN}
    )

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        kind = self.known.get((group, plural))
        return kind if kind is not None and version in kind.versions else None

    def of_version(self, group: str, version: str) -> list[Kind]:
        return [kind for kind in self.known.values() if kind.group == group and version in kind.versions]

    def define(self, crd: Json) -> None:
        """Serve what a CustomResourceDefinition defines."""
        spec = crd["spec"]
        served = [version for version in spec["versions"] if version.get("served")]
        schema = served[0].get("schema", {}).get("openAPIV3Schema", {"type": "object"})
        kind = Kind(
            group=spec["group"],
            versions=tuple(version["name"] for version in served),
            plural=spec["names"]["plural"],
            kind=spec["names"]["kind"],
            is_namespaced=spec["scope"] == "Namespaced",
            has_status="status" in (served[0].get("subresources") or {}),
            schema=schema,
            selectable=tuple(field["jsonPath"].lstrip(".") for field in served[0].get("selectableFields", ())),
        )
        self.known[kind.group, kind.plural] = kind
