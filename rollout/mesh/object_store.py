"""Documents on disk as an API server keeps them: versions that rise, refused writes of what has changed meanwhile.

One file per object, replaced as a whole. The caller holds the mesh directory's lock around everything that writes.
"""

import copy
import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rollout.mesh.translate.document import Key, key_of_document
from rollout.ports import Conflict, Unavailable
from rollout.yaml_documents import YamlError, dump, load

Raw = dict[str, Any]

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]")
_SERVER_OWNED = ("resourceVersion", "generation", "creationTimestamp", "uid", "managedFields", "selfLink")


class ObjectStore:
    """The objects of one mesh, in one directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._counter = root / ".version"

    @property
    def version(self) -> int:
        """Of the latest change; 0 = none yet."""
        try:
            return int(self._counter.read_text())
        except FileNotFoundError:
            return 0

    def all(self) -> list[Raw]:
        """Every object, by kind, namespace and name. Raises Unavailable when a file cannot be read."""
        return [self._read(file) for file in sorted(self._root.glob("*.yaml"))]

    def get(self, key: Key) -> Raw | None:
        """One object."""
        file = self._file(key)
        return self._read(file) if file.exists() else None

    def put(self, raw: Mapping[str, Any], *, at: float) -> str:
        """Create or replace an object at time *at*; says "created", "configured" or "unchanged".

        With a resourceVersion in the document it must be the stored one's. Raises Conflict.
        """
        key = key_of_document(raw)
        stored = self.refuse_stale(raw)
        if stored and _content(stored) == _content(raw):
            return "unchanged"
        document: Raw = copy.deepcopy(dict(raw))
        metadata = {name: value for name, value in document["metadata"].items() if name not in _SERVER_OWNED}
        old = stored["metadata"] if stored else {}
        is_new_spec = stored is None or stored.get("spec") != raw.get("spec")
        metadata |= {
            "namespace": key.namespace,
            "resourceVersion": str(self.next_version()),
            "generation": old.get("generation", 0) + is_new_spec,
            "creationTimestamp": old.get("creationTimestamp")
            or f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}",
        }
        document["metadata"] = metadata
        replace_file(self._file(key), dump(document).encode(), durable=True)
        return "configured" if stored else "created"

    def refuse_stale(self, raw: Mapping[str, Any]) -> Raw | None:
        """The stored object that *raw* would replace. Raises Conflict when *raw* was made from another version."""
        key = key_of_document(raw)
        stored = self.get(key)
        asked = (raw.get("metadata") or {}).get("resourceVersion")
        held = stored["metadata"]["resourceVersion"] if stored else None
        if asked is not None and asked != held:
            raise Conflict(f"{key} has changed meanwhile (version {held}, not {asked})")
        return stored

    def delete(self, key: Key) -> bool:
        """Forget an object; False when there is none."""
        file = self._file(key)
        if not file.exists():
            return False
        self.next_version()
        file.unlink()
        return True

    def next_version(self) -> int:
        """Count a change that is not in a document."""
        version = self.version + 1
        replace_file(self._counter, str(version).encode(), durable=True)
        return version

    def _file(self, key: Key) -> Path:
        return self._root / f"{_UNSAFE.sub('_', f'{key.kind}.{key.namespace}.{key.name}')}.yaml"

    def _read(self, file: Path) -> Raw:
        try:
            value = load(file.read_bytes(), file=str(file)).value
        except (OSError, YamlError) as error:
            raise Unavailable(f"{file}: {error}") from error
        if not isinstance(value, dict):
            raise Unavailable(f"{file}: not an object")
        return value


def _content(raw: Mapping[str, Any]) -> str:
    """What an author wrote, as one text."""
    metadata = {name: value for name, value in raw["metadata"].items() if name not in (*_SERVER_OWNED, "namespace")}
    return json.dumps({**raw, "metadata": metadata}, sort_keys=True, default=str)


def replace_file(path: Path, body: bytes, *, durable: bool = False) -> None:
    """Replace a file as a whole; a reader sees the old or the new one. Envoy notices moves only (envoy#20474)."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(body)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)


def objects_in(value: object) -> Iterator[Mapping[str, Any]]:
    """The objects of one YAML document: itself, or the items of a List."""
    if isinstance(value, dict) and str(value.get("kind", "")).endswith("List") and isinstance(value.get("items"), list):
        yield from value["items"]
    elif value is not None:
        yield value  # type: ignore[misc]  # what is no mapping is refused by key_of_document
