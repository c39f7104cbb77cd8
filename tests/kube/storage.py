"""The objects of the fake API server: one rising resourceVersion, optimistic concurrency, owners, history to watch."""

import asyncio
import copy
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.kube.errors import ApiError, Json, conflict, invalid, not_found
from tests.kube.kinds import Kind, Kinds
from tests.kube.patches import json_patched, merge_patched

Address = tuple[str, str]
"""Namespace and name."""
_SERVER_OWNED = ("uid", "creationTimestamp", "generation", "managedFields", "selfLink")


@dataclass(frozen=True)
class Happening:
    """One change, as watchers see it."""

    version: int
    type: str
    kind: Kind
    object: Json


@dataclass(frozen=True)
class Write:
    """One accepted change, for tests that ask who wrote what: the fake's audit log."""

    at: float
    user: str
    manager: str
    verb: str
    resource: str
    address: Address
    object: Json


@dataclass(frozen=True)
class Writer:
    """On whose behalf something is written."""

    user: str = "admin"
    manager: str = "unknown"
    is_strict: bool = False


@dataclass
class Storage:
    """Everything that etcd would hold."""

    kinds: Kinds = field(default_factory=Kinds)
    version: int = 100
    compacted: int = 0
    """Watches from before this version are told 410."""
    history: list[Happening] = field(default_factory=list)
    journal: list[Write] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _objects: dict[tuple[str, str], dict[Address, Json]] = field(default_factory=dict)

    def all_of(self, group: str, plural: str) -> dict[Address, Json]:
        return self._objects.setdefault((group, plural), {})

    def find(self, kind: Kind, address: Address) -> Json:
        """Raises ApiError 404."""
        found = self.all_of(kind.group, kind.plural).get(address)
        if found is None:
            raise not_found(_name_of(kind, address[1]))
        return found

    def create(
        self, kind: Kind, namespace: str, body: Json, writer: Writer, *, operation: str = "Update"
    ) -> tuple[Json, list[str]]:
        """Return the object and the paths that were dropped."""
        metadata = dict(body.get("metadata") or {})
        if "generateName" in metadata and "name" not in metadata:
            if kind.group == "events.k8s.io":
                raise invalid(_name_of(kind, ""), "metadata.name: Required value: name or generateName is required")
            metadata["name"] = metadata["generateName"] + secrets.token_hex(3)
        name = str(metadata.get("name", ""))
        if not name:
            raise invalid(_name_of(kind, ""), "name: Required value")
        if kind.is_namespaced:
            if ("", namespace) not in self.all_of("", "namespaces"):
                raise not_found(f'namespaces "{namespace}"')
            metadata["namespace"] = namespace
        address = (namespace if kind.is_namespaced else "", name)
        if address in self.all_of(kind.group, kind.plural):
            raise ApiError(409, "AlreadyExists", f"{_name_of(kind, name)} already exists")
        for key in (*_SERVER_OWNED, "resourceVersion"):
            metadata.pop(key, None)
        metadata |= {"uid": secrets.token_hex(8), "creationTimestamp": _now()[:19] + "Z", "generation": 1}
        new = {**copy.deepcopy(body), "metadata": metadata}
        if kind.has_status and kind.is_custom:
            new.pop("status", None)
        new, dropped = kind.admitted(new, None)
        self._refuse_dropped(kind, name, dropped, writer)
        _own(new, None, writer, operation)
        if kind.plural == "customresourcedefinitions":
            self.kinds.define(new)
            new["status"] = {"conditions": [{"type": "Established", "status": "True"}]}
        return self._store(kind, address, new, writer, "create", "ADDED"), dropped

    def replace(
        self, kind: Kind, address: Address, body: Json, writer: Writer, *, sub: str = ""
    ) -> tuple[Json, list[str]]:
        """PUT."""
        old = self.find(kind, address)
        if kind.is_custom and "resourceVersion" not in (body.get("metadata") or {}):
            raise invalid(_name_of(kind, address[1]), "metadata.resourceVersion: must be specified for an update")
        return self._update(kind, address, old, body, writer, sub=sub, verb="update")

    def patch(
        self, kind: Kind, address: Address, patch: Any, content_type: str, writer: Writer, *, sub: str = ""
    ) -> tuple[Json, list[str]]:
        """PATCH with a JSON or a merge patch."""
        old = self.find(kind, address)
        match content_type:
            case "application/json-patch+json":
                new = json_patched(old, patch)
            case "application/merge-patch+json":
                if not isinstance(patch, dict):
                    raise ApiError(400, "BadRequest", "a merge patch is an object")
                new = merge_patched(old, patch)
            case _:
                raise ApiError(
                    415,
                    "UnsupportedMediaType",
                    f"the body of the request was in an unknown format - accepted media types include:"
                    f" application/json-patch+json, application/merge-patch+json; this was {content_type}",
                )
        return self._update(kind, address, old, new, writer, sub=sub, verb="patch")

    def apply(
        self, kind: Kind, address: Address, body: Json, writer: Writer, *, force: bool, sub: str = ""
    ) -> tuple[Json, bool]:
        """Server-side apply, with one owner per top-level key of spec or status; True when it was created."""
        section = sub or "spec"
        old = self.all_of(kind.group, kind.plural).get(address)
        if old is None:
            new, _ = self.create(kind, address[0], body, writer, operation="Apply")
            return new, True
        wanted = body.get(section) or {}
        rivals = _rivals(old, wanted, section, writer)
        if rivals and not force:
            causes = [
                {"reason": "FieldManagerConflict", "message": f'conflict with "{who}"', "field": f".{section}.{key}"}
                for key, who in rivals
            ]
            raise ApiError(409, "Conflict", f"Apply failed with {len(causes)} conflicts", causes)
        patch: Json = {section: wanted}
        metadata = body.get("metadata") or {}
        patch["metadata"] = {
            key: metadata[key] for key in ("labels", "annotations", "resourceVersion") if key in metadata
        }
        new = copy.deepcopy(old)
        new[section] = {**(new.get(section) or {}), **wanted}
        new["metadata"] = merge_patched(new["metadata"], patch["metadata"])
        stored, _ = self._update(kind, address, old, new, writer, sub=sub, verb="apply", claims=set(wanted))
        return stored, False

    def delete(self, kind: Kind, address: Address, writer: Writer) -> Json:
        """Delete at once, or mark an object that has finalizers."""
        old = self.find(kind, address)
        if old["metadata"].get("finalizers"):
            marked = copy.deepcopy(old)
            marked["metadata"].setdefault("deletionTimestamp", _now()[:19] + "Z")
            return self._store(kind, address, marked, writer, "delete", "MODIFIED")
        del self.all_of(kind.group, kind.plural)[address]
        gone = copy.deepcopy(old)
        return self._record(kind, address, gone, writer, "delete", "DELETED")

    def since(self, version: int, kind: Kind, namespace: str) -> Iterator[Happening]:
        """What happened to the resource after *version*."""
        for happening in self.history:
            is_ours = (happening.kind.group, happening.kind.plural) == (kind.group, kind.plural)
            is_here = namespace in ("", happening.object["metadata"].get("namespace", ""))
            if happening.version > version and is_ours and is_here:
                yield happening

    def compact(self) -> None:
        """Forget the history: whoever watches from before now is told 410."""
        self.compacted = self.version
        self.history.clear()

    def _update(
        self,
        kind: Kind,
        address: Address,
        old: Json,
        body: Json,
        writer: Writer,
        *,
        sub: str,
        verb: str,
        claims: set[str] | None = None,
    ) -> tuple[Json, list[str]]:
        asked = (body.get("metadata") or {}).get("resourceVersion")
        if asked not in (None, "", old["metadata"]["resourceVersion"]):
            raise conflict(_name_of(kind, address[1]))
        new = copy.deepcopy(body)
        if sub:  # /status takes nothing but the status, and the main endpoint everything else
            new = {**copy.deepcopy(old), "status": new.get("status", {})}
        elif kind.has_status and kind.is_custom:
            new.pop("status", None)
            if "status" in old:
                new["status"] = copy.deepcopy(old["status"])
        new["metadata"] = {**new["metadata"], **{key: old["metadata"].get(key) for key in _SERVER_OWNED}}
        new["metadata"] = {key: value for key, value in new["metadata"].items() if value is not None}
        for key in ("apiVersion", "kind"):
            new[key] = old[key]
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        if old["metadata"].get("deletionTimestamp"):
            new["metadata"]["deletionTimestamp"] = old["metadata"]["deletionTimestamp"]
        new, dropped = kind.admitted(new, old)
        self._refuse_dropped(kind, address[1], dropped, writer)
        if claims is None and new == old:
            return copy.deepcopy(old), dropped  # a no-op: nothing is written, nobody is told
        _own(new, old, writer, "Update" if claims is None else "Apply", sub=sub, claims=claims)
        if new == old:
            return copy.deepcopy(old), dropped
        if kind.counts_generations and new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] = old["metadata"]["generation"] + 1
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            del self.all_of(kind.group, kind.plural)[address]
            return self._record(kind, address, new, writer, verb, "DELETED"), dropped
        return self._store(kind, address, new, writer, verb, "MODIFIED"), dropped

    def _refuse_dropped(self, kind: Kind, name: str, dropped: list[str], writer: Writer) -> None:
        if dropped and writer.is_strict:
            raise invalid(_name_of(kind, name), *(f'unknown field "{path}"' for path in dropped))

    def _store(self, kind: Kind, address: Address, new: Json, writer: Writer, verb: str, type_: str) -> Json:
        stored = self._record(kind, address, new, writer, verb, type_)
        self.all_of(kind.group, kind.plural)[address] = stored
        return copy.deepcopy(stored)

    def _record(self, kind: Kind, address: Address, new: Json, writer: Writer, verb: str, type_: str) -> Json:
        self.version += 1
        new["metadata"]["resourceVersion"] = str(self.version)
        self.history.append(Happening(self.version, type_, kind, copy.deepcopy(new)))
        at = time.monotonic()
        self.journal.append(Write(at, writer.user, writer.manager, verb, kind.plural, address, copy.deepcopy(new)))
        self.changed.set()
        self.changed = asyncio.Event()
        return new


def _name_of(kind: Kind, name: str) -> str:
    return f'{kind.plural}{"." if kind.group else ""}{kind.group} "{name}"'


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _rivals(old: Json, wanted: Json, section: str, writer: Writer) -> list[tuple[str, str]]:
    """Keys that somebody else owns with another value."""
    return [
        (key, entry["manager"])
        for entry in old["metadata"].get("managedFields", ())
        for key, value in wanted.items()
        if (entry["manager"], entry["operation"]) != (writer.manager, "Apply")
        and f"f:{key}" in entry["fieldsV1"].get(f"f:{section}", {})
        and (old.get(section) or {}).get(key) != value
    ]


def _own(
    new: Json, old: Json | None, writer: Writer, operation: str, *, sub: str = "", claims: set[str] | None = None
) -> None:
    """Bring managedFields up to date: whoever changes a key of spec or status owns it."""
    entries = copy.deepcopy((old or {}).get("metadata", {}).get("managedFields", []))
    before = old or {}
    owned: Json = {}
    for section in ("spec", "status"):
        mine, theirs = new.get(section), before.get(section)
        keys = set(mine) if isinstance(mine, dict) else set()
        changed = {key for key in keys if not isinstance(theirs, dict) or theirs.get(key) != mine[key]}  # type: ignore[index]
        for entry in entries:
            part = entry["fieldsV1"].get(f"f:{section}", {})
            gone = {f"f:{key}" for key in changed} | {key for key in part if key[2:] not in keys}
            for key in gone:
                part.pop(key, None)
        if claims is not None and section == (sub or "spec"):
            changed |= claims
        if changed:
            owned[f"f:{section}"] = {f"f:{key}": {} for key in sorted(changed)}
    if owned or old is None:
        key = (writer.manager, operation, sub)
        same = [e for e in entries if (e["manager"], e["operation"], e.get("subresource", "")) == key]
        entry = same[0] if same else {"manager": writer.manager, "operation": operation, "fieldsV1": {}}
        for section, fields in owned.items():
            entry["fieldsV1"][section] = entry["fieldsV1"].get(section, {}) | fields
        entry |= {"apiVersion": new["apiVersion"], "time": _now()[:19] + "Z", "fieldsType": "FieldsV1"}
        if sub:
            entry["subresource"] = sub
        if not same:
            entries.append(entry)
    entries = [entry for entry in entries if any(entry["fieldsV1"].values())]
    if entries:
        new["metadata"]["managedFields"] = entries
