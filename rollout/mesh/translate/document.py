"""The envelope of a document: which object it is, since when, and what it asks for."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rollout.mesh.schema import Problem, Severity, nearest, read, shown
from rollout.mesh.translate.names import is_label, is_object_name
from rollout.yaml_documents import Path, key_path

Spec = TypeVar("Spec")

_API_VERSION = re.compile(r"networking\.istio\.io/v1(?:alpha3|beta1)?")
_ENVELOPE = ("apiVersion", "kind", "metadata", "spec", "status")


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Which object: kind, namespace, name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed(Generic[Spec]):
    """A document as values."""

    key: Key
    created: str
    spec: Spec

    @property
    def age(self) -> tuple[str, str, str]:
        """Sorts oldest first, as istiod does: by creation time, then name, then namespace."""
        return self.created, self.key.name, self.key.namespace


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A problem of one document."""

    key: Key
    path: Path
    message: str

    def __str__(self) -> str:
        return f"{self.key} {key_path(self.path)}: {self.message}"


class InvalidDocument(ValueError):
    """A document that istiod's webhook would not let in, with everything that is wrong."""

    def __init__(self, key: Key, problems: Iterable[Problem]) -> None:
        """Remember the document and its problems."""
        self.key, self.problems = key, tuple(problems)
        super().__init__("\n".join(str(finding) for finding in findings(key, self.problems)))


def findings(key: Key, problems: Iterable[Problem]) -> tuple[Finding, ...]:
    """Problems together with the document they are in."""
    return tuple(Finding(key=key, path=problem.path, message=problem.message) for problem in problems)


def errors_of(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Those that keep a document out."""
    return tuple(problem for problem in problems if problem.severity is Severity.ERROR)


def key_of_document(raw: object, default_namespace: str = "default") -> Key:
    """Which object *raw* is; a document that does not say so raises."""
    problems: list[Problem] = []
    document = _mapping(raw)
    metadata = _mapping(document.get("metadata"))
    key = Key(
        _text(document, ("kind",), "", problems),
        _text(metadata, ("metadata", "namespace"), default_namespace, problems),
        _text(metadata, ("metadata", "name"), "", problems),
    )
    if key.name and not is_object_name(key.name):
        problems.append(Problem(path=("metadata", "name"), message=f"not a name: {shown(key.name)}"))
    if key.namespace and not is_label(key.namespace):
        problems.append(Problem(path=("metadata", "namespace"), message=f"not a namespace: {shown(key.namespace)}"))
    if problems:
        raise InvalidDocument(Key(key.kind or "document", key.namespace, key.name or "?"), problems)
    return key


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(mapping: Mapping[str, Any], path: Path, default: str, problems: list[Problem]) -> str:
    value = mapping.get(str(path[-1])) or default
    if not isinstance(value, str):
        problems.append(Problem(path=path, message=f"expected a string, got {shown(value)}"))
        return ""
    if not value:
        problems.append(Problem(path=path, message="missing"))
    return value


def parse_spec(raw: Mapping[str, Any], kind: type[Spec]) -> tuple[Spec | None, tuple[Problem, ...]]:
    """The spec of an Istio document as a *kind*, and what is wrong with it and its envelope."""
    envelope = [
        Problem(path=(key,), message="unknown key" + nearest(key, _ENVELOPE)) for key in raw if key not in _ENVELOPE
    ]
    version = raw.get("apiVersion")
    if not isinstance(version, str) or not _API_VERSION.fullmatch(version):
        expected = "networking.istio.io/v1 (or v1beta1, v1alpha3)"
        envelope.append(Problem(path=("apiVersion",), message=f"expected {expected}, got {shown(version)}"))
    spec, problems = read(kind, raw.get("spec"), ("spec",))
    return spec, (*envelope, *problems)


def created(raw: Mapping[str, Any]) -> str:
    """Since when the object exists; one that was never stored is the youngest."""
    return str(raw.get("metadata", {}).get("creationTimestamp") or "~")
