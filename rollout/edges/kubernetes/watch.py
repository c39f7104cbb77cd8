"""One watch per kind: a list, then its changes, for as long as the process lives; a cache for everybody who reads.

The server ends each watch after a while, with a bookmark of where it was; the next one goes on from there. When it has
forgotten that version (410) everything is listed again. A connection that says nothing for longer than the watch may
last is dead, and a full list once an hour finds what a server restored from a backup would hide. While there is no
contact the cache is blind: it raises Unavailable after a few seconds, rather than show the past as the present.
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog

from rollout.edges.kubernetes.client import Cluster, Json
from rollout.edges.kubernetes.errors import Gone
from rollout.ports import Refused, Unavailable

log = structlog.get_logger()

WATCH_S = 45.0  # how long one watch lasts; a half-open connection is noticed that late at worst
SLACK_S = 15.0
RELIST_S = 3600.0
PAUSE_S = 0.1  # after a failure, doubled each time
PAUSE_MAX_S = 5.0
BLIND_AFTER_S = 5.0  # a reconnection takes less; what is older than this is not the present

Key = tuple[str, str]
"""Namespace and name."""
Heard = Callable[[str, Json], None]
"""ADDED, MODIFIED or DELETED, and the object."""


def key_of(item: Json) -> Key:
    """Namespace and name of an object."""
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


@dataclass(eq=False)
class Watch:
    """The objects of one resource. Start run() in a task of its own."""

    cluster: Cluster
    path: str
    selector: str = ""
    _objects: dict[Key, Json] = field(default_factory=dict)
    _listeners: list[Heard] = field(default_factory=list)
    _version: str | None = None
    _listed_at: float = 0.0
    _lost_at: float | None = None
    _trouble: str = "not read yet"
    _synced: asyncio.Event = field(default_factory=asyncio.Event)

    def listen(self, heard: Heard) -> None:
        """Call *heard* with every change from now on."""
        self._listeners.append(heard)

    async def wait_synced(self) -> None:
        """Wait for the first list."""
        await self._synced.wait()

    def find(self, namespace: str, name: str) -> Json | None:
        """One object. Raises Unavailable when the cache is blind."""
        self._require_sight()
        return self._objects.get((namespace, name))

    def all(self, namespace: str = "") -> list[Json]:
        """Every object, of one namespace or of all. Raises Unavailable when the cache is blind."""
        self._require_sight()
        return [item for (where, _), item in self._objects.items() if namespace in ("", where)]

    def note(self, item: Json) -> None:
        """Something we have just written or read: newer than what the watch has said so far."""
        known = self._objects.get(key_of(item))
        if known is None or _number(item) > _number(known):
            self._take("ADDED" if known is None else "MODIFIED", item)

    async def run(self) -> None:
        """List and watch until cancelled."""
        failures = 0
        while True:
            try:
                if self._version is None or self._now() - self._listed_at > RELIST_S:
                    await self._list()
                await self._watch()
                failures = 0
            except Gone:
                self._version = None
            except (Unavailable, Refused) as error:
                if self._lost_at is None:
                    self._lost_at = self._now()
                    log.warning("watch.lost", path=self.path, error=str(error))
                self._trouble = str(error)
                pause_s = min(PAUSE_S * 2**failures, PAUSE_MAX_S)
                failures += 1
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 jitter, no secret

    async def _list(self) -> None:
        query = {"labelSelector": self.selector} if self.selector else {}
        items, version = await self.cluster.list_all(self.path, **query)
        self._in_contact()
        found = {key_of(item): item for item in items}
        for gone in [item for key, item in self._objects.items() if key not in found]:
            self._take("DELETED", gone)
        for item in items:
            known = self._objects.get(key_of(item))
            if known is None or known["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
                self._take("ADDED" if known is None else "MODIFIED", item)
        self._version, self._listed_at = version, self._now()
        self._synced.set()

    async def _watch(self) -> None:
        lasts_s = WATCH_S * random.uniform(0.8, 1.2)  # noqa: S311 jitter, no secret
        query = {
            "watch": "true",
            "resourceVersion": str(self._version),
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(round(lasts_s)),
        } | ({"labelSelector": self.selector} if self.selector else {})
        async with self.cluster.stream(self.path, query, lasts_s + SLACK_S) as events:
            self._in_contact()
            async for event in events:
                self._heed(event)

    def _heed(self, event: Json) -> None:
        kind, item = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            message = str(item.get("message", "the watch failed"))
            raise Gone(message) if item.get("code") == 410 else Unavailable(message)
        self._version = item["metadata"]["resourceVersion"]
        if kind in ("ADDED", "MODIFIED", "DELETED"):
            self._take(kind, item)

    def _take(self, kind: str, item: Json) -> None:
        if kind == "DELETED":
            self._objects.pop(key_of(item), None)
        else:
            self._objects[key_of(item)] = item
        for heard in self._listeners:
            heard(kind, item)

    def _in_contact(self) -> None:
        if self._lost_at is not None:
            log.info("watch.found", path=self.path)
        self._lost_at, self._trouble = None, ""

    def _require_sight(self) -> None:
        if not self._synced.is_set():
            raise Unavailable(f"{self.path}: {self._trouble}")
        if self._lost_at is not None and self._now() - self._lost_at > BLIND_AFTER_S:
            raise Unavailable(f"{self.path}: no contact for {self._now() - self._lost_at:.0f} s: {self._trouble}")

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _number(item: Json) -> float:
    """Versions are opaque by contract and numbers in fact; one that is not sorts last, and the watch corrects it."""
    version: Any = item["metadata"].get("resourceVersion", "")
    return float(version) if str(version).isdigit() else 0.0


async def run_all(watches: Iterable[Watch]) -> None:
    """Run them side by side until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        for watch in watches:
            tasks.create_task(watch.run(), name=f"watch {watch.path}")
