"""A mesh as a directory: the documents, the registry, and the files Envoy reads. Whoever opens it may change traffic.

There is no server between a writer and Envoy: the daemon, the CLI and the process that keeps Envoy alive all open the
same directory, take its lock, change documents, and publish. So a daemon that is killed leaves traffic alone, and its
successor goes on with nothing to reconnect to. Methods block for milliseconds; asyncio callers use a thread.
"""

import fcntl
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollout.mesh.envoy import check_config
from rollout.mesh.object_store import ObjectStore, Raw, replace_file
from rollout.mesh.registry import Registry, Workload, load_registry
from rollout.mesh.translate.configuration import Configuration, configuration_of
from rollout.mesh.translate.document import Finding, InvalidDocument, Key, key_of_document
from rollout.mesh.translate.resources import Resources, translate
from rollout.mesh.xds import XdsFiles
from rollout.ports import Refused, Unavailable
from rollout.yaml_documents import YamlError, dump, load

STATUS_FILE = "mesh.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshStatus:
    """What the process that keeps Envoy tells the others."""

    pid: int
    admin: str
    """host:port of Envoy's admin interface; loopback."""
    listeners: Mapping[str, str]
    """host:port per listener: `productpage-v1.bookinfo`, `istio-ingressgateway.istio-system:80`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of documents that were applied."""

    changes: tuple[tuple[Key, str], ...]
    """Per object: created, configured, unchanged, deleted."""
    warnings: tuple[Finding, ...]


class MeshDirectory:
    """One mesh. *now* gives seconds since the epoch, for creation times."""

    def __init__(self, root: Path, now: Callable[[], float]) -> None:
        self.root = root.absolute()
        self._now = now
        self._objects = ObjectStore(self.root / "documents")
        self._xds = XdsFiles(self.root / "xds")

    @classmethod
    def create(cls, root: Path, registry: Registry, now: Callable[[], float]) -> "MeshDirectory":
        """Make the directory, or take an existing one over with a new registry; its documents stay."""
        for part in ("documents", "xds"):
            (root / part).mkdir(parents=True, exist_ok=True)
        directory = cls(root, now)
        with directory._locked():
            directory._save(registry)
        return directory

    @classmethod
    def open(cls, root: Path, now: Callable[[], float]) -> "MeshDirectory":
        """Open an existing one. Raises Refused when it is none."""
        if not (root / "registry.yaml").is_file():
            raise Refused(f"{root} is not the directory of a mesh; `rollout mesh run` makes one")
        return cls(root, now)

    @property
    def xds(self) -> XdsFiles:
        """Where Envoy reads."""
        return self._xds

    def registry(self) -> Registry:
        """Services, endpoints and proxies as they are now. Raises Unavailable."""
        file = self.root / "registry.yaml"
        try:
            return load_registry(load(file.read_bytes(), file=str(file)))
        except (OSError, YamlError, ValueError) as error:
            raise Unavailable(f"{file}: {error}") from error

    def status(self) -> MeshStatus:
        """What keeps Envoy, and where it listens. Raises Unavailable when nobody does."""
        file = self.root / STATUS_FILE
        try:
            return MeshStatus(**json.loads(file.read_text()))
        except FileNotFoundError:
            raise Unavailable(f"no Envoy runs on {self.root}; start it with `rollout mesh run`") from None
        except (OSError, ValueError, TypeError) as error:
            raise Unavailable(f"{file}: {error}") from error

    def documents(self) -> list[Raw]:
        """Every document."""
        return self._objects.all()

    def get(self, key: Key) -> Raw | None:
        """One document."""
        return self._objects.get(key)

    def configuration(self) -> Configuration:
        """All documents over the registry. Raises InvalidDocument."""
        return configuration_of(self.registry(), self._objects.all())

    def apply(self, documents: Iterable[Mapping[str, Any]]) -> Applied:
        """Create or replace documents, all or none, and publish. Envoy itself checks them first.

        Of an object that is given twice the last one counts.

        Raises InvalidDocument, Rejected (Envoy's own words), Conflict, Unavailable.
        """
        with self._locked():
            given = {key_of_document(raw): raw for raw in documents}
            others = [raw for raw in self._objects.all() if key_of_document(raw) not in given]
            wanted = configuration_of(self.registry(), [*others, *given.values()])
            for raw in given.values():
                self._objects.refuse_stale(raw)
            check_config(translate(wanted, self._xds.source), self.root / "check")
            changes = tuple((key, self._objects.put(raw, at=self._now())) for key, raw in given.items())
            self._publish(self._resources())
        return Applied(changes=changes, warnings=tuple(w for w in wanted.warnings if w.key in given))

    def replace(self, document: Mapping[str, Any]) -> None:
        """Replace one document that was read here, and publish: the way of weights, without a check by Envoy.

        Raises Conflict when somebody else wrote first, Refused when it is invalid, Unavailable.
        """
        with self._locked():
            key = key_of_document(document)
            others = [raw for raw in self._objects.all() if key_of_document(raw) != key]
            try:
                configuration = configuration_of(self.registry(), [*others, document])
            except InvalidDocument as error:
                raise Refused(str(error)) from error
            self._objects.put(document, at=self._now())
            self._publish(translate(configuration, self._xds.source))

    def delete(self, keys: Iterable[Key]) -> Applied:
        """Forget documents and publish."""
        with self._locked():
            changes = tuple((key, "deleted" if self._objects.delete(key) else "not found") for key in keys)
            self._publish(self._resources())
        return Applied(changes=changes, warnings=())

    def set_workloads(self, workloads: Iterable[Workload]) -> None:
        """Let other endpoints serve, and publish."""
        with self._locked():
            registry = self.registry().with_workloads(workloads)
            self._objects.next_version()  # first, so that a writer killed in between is noticed
            self._save(registry)
            self._publish(self._resources())

    def publish(self, *, is_prepared: bool = False) -> int:
        """Write what Envoy reads, where it differs; heals what a killed writer left undone. Returns the file count.

        With *is_prepared* nobody reads yet, and files of resources that are no more are removed.
        """
        with self._locked():
            resources = self._resources()
            if is_prepared:
                self._xds.prune(resources)
            return self._publish(resources)

    def is_published(self) -> bool:
        """Whether the latest documents have been written for Envoy."""
        file = self.root / "published"
        return file.exists() and file.read_text() == str(self._objects.version)

    def _resources(self) -> Resources:
        try:
            return translate(self.configuration(), self._xds.source)
        except InvalidDocument as error:
            raise Refused(str(error)) from error

    def _publish(self, resources: Resources) -> int:
        version = self._objects.version
        changed = self._xds.publish(resources)
        replace_file(self.root / "published", str(version).encode())
        return changed

    def _save(self, registry: Registry) -> None:
        replace_file(self.root / "registry.yaml", dump(registry.document()).encode(), durable=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.root / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
