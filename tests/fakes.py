"""A whole world in memory: hand-written fakes of every port, scripted by assigning plain attributes."""

import asyncio
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rollout.core.evidence import Counts, Stratum
from rollout.core.observation import (
    EndpointsView,
    LoadView,
    MetricsView,
    Order,
    OrderKind,
    ProxiesView,
    RouteView,
)
from rollout.core.phase import State
from rollout.core.routes.target import Json
from rollout.core.routes.virtual_service import find_service_route, shares
from rollout.core.spec import RolloutSpec
from rollout.ports import Conflict, JournalEntry, Rollout, Unavailable, Wake, World
from tests.rollout.core.documents import destination_rule, virtual_service
from tests.rollout.core.worlds import NOW, SCOPE

Fault = Callable[[], Exception | None]


@dataclass
class FakeClock:
    """Time that passes only when somebody sleeps."""

    time: float = NOW
    sleeps: int = 0

    def now(self) -> float:
        return self.time

    async def sleep_until(self, deadline: float, woken: Wake) -> None:
        self.sleeps += 1
        await asyncio.sleep(0)
        self.time = max(self.time, deadline)
        woken.clear()


@dataclass
class FakeMesh:
    """Documents, proxies that follow them at once, and pods."""

    document: dict[str, Any] | None = field(default_factory=virtual_service)
    rules: list[dict[str, Any]] = field(default_factory=lambda: [destination_rule()])
    ready: dict[str, int] = field(default_factory=lambda: {"v1": 1, "v3": 1})
    writes: list[Json] = field(default_factory=list)
    faults: dict[str, Iterator[Exception | None]] = field(default_factory=dict)
    """Per method: what each call in turn fails with; None = it works. Exhausted = it works."""

    def _maybe_fail(self, method: str) -> None:
        error = next(self.faults.get(method, iter(())), None)
        if error is not None:
            raise error

    @property
    def canary_percent(self) -> float:
        assert self.document is not None
        return shares(find_service_route(self.document, SCOPE), SCOPE).get("v3", 0.0)

    async def read(self, spec: RolloutSpec) -> RouteView:
        self._maybe_fail("read")
        return RouteView(virtual_service=copy.deepcopy(self.document), destination_rules=tuple(self.rules))

    async def write(self, document: Json) -> None:
        self._maybe_fail("write")
        assert self.document is not None
        if document["metadata"]["resourceVersion"] != self.document["metadata"]["resourceVersion"]:
            raise Conflict("somebody else wrote first")
        self.document = copy.deepcopy(dict(document))
        self.document["metadata"]["resourceVersion"] = str(int(document["metadata"]["resourceVersion"]) + 1)
        self.writes.append(document)

    async def observe(self, spec: RolloutSpec) -> ProxiesView:
        self._maybe_fail("observe")
        return ProxiesView(canary_percent={"productpage": self.canary_percent})

    async def endpoints(self, spec: RolloutSpec) -> dict[str, EndpointsView]:
        self._maybe_fail("endpoints")
        return {version: EndpointsView(ready=ready, total=1) for version, ready in self.ready.items()}


@dataclass
class FakeLoad:
    """Synthetic load whose canary fails with a settable share."""

    clock: FakeClock
    failing: float = 0.0
    per_s: int = 50
    started_at: float | None = None
    starts: int = 0

    def view(self, rollout_id: str, since: float) -> LoadView:
        if self.started_at is None:
            return LoadView(running=False, as_of=self.clock.time)
        first = int(max(self.started_at, since))
        strata = tuple(self._stratum(second) for second in range(first, int(self.clock.time)))
        return LoadView(running=True, as_of=self.clock.time, strata=strata)

    def _stratum(self, second: int) -> Stratum:
        failures = round(self.per_s * self.failing)
        return Stratum(
            start=float(second),
            end=float(second + 1),
            stable=Counts(requests=self.per_s, latency={0.01: self.per_s}),
            canary=Counts(requests=self.per_s, failures=failures, latency={0.01: self.per_s}),
        )

    async def start(self, rollout_id: str, spec: RolloutSpec, wake: Wake) -> None:
        self.starts += 1
        self.started_at = self.clock.time

    def stop_nowait(self, rollout_id: str) -> None:
        self.started_at = None


@dataclass
class FakeMetrics:
    """A Prometheus that answers what it is told."""

    answer: MetricsView = field(default_factory=MetricsView)
    asked: int = 0

    async def observe(self, spec: RolloutSpec, since: float) -> MetricsView:
        self.asked += 1
        return self.answer


@dataclass
class FakeStore:
    """Everything in dictionaries, with the real store's refusals."""

    known: dict[str, Rollout] = field(default_factory=dict)
    entries: dict[str, list[JournalEntry]] = field(default_factory=dict)
    checkpoints: dict[str, State] = field(default_factory=dict)
    wishes: dict[str, list[Order]] = field(default_factory=dict)
    keys: dict[str, Rollout] = field(default_factory=dict)
    deliveries: set[tuple[str, str]] = field(default_factory=set)
    faults: dict[str, Iterator[Exception | None]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def _maybe_fail(self, method: str) -> None:
        error = next(self.faults.get(method, iter(())), None)
        if error is not None:
            raise error

    async def create(self, rollout: Rollout, state: State, *, key: str = "") -> Rollout:
        if key in self.keys:
            return self.keys[key]
        for other in await self.unfinished():
            if (other.spec.namespace, other.spec.service) == (rollout.spec.namespace, rollout.spec.service):
                raise Conflict(f"{rollout.spec.service} has an unfinished rollout, {other.id}")
        self.known[rollout.id] = rollout
        self.entries[rollout.id] = [JournalEntry(number=0, at=rollout.created, state=state, judged=state, judgement={})]
        if key:
            self.keys[key] = rollout
        return rollout

    async def rollout(self, rollout_id: str) -> Rollout | None:
        return self.known.get(rollout_id)

    async def rollouts(self, *, service: str = "", namespace: str = "", limit: int = 100) -> list[Rollout]:
        found = [
            rollout
            for rollout in reversed(self.known.values())
            if service in ("", rollout.spec.service) and namespace in ("", rollout.spec.namespace)
        ]
        return found[:limit]

    async def unfinished(self) -> list[Rollout]:
        self._maybe_fail("unfinished")
        return [r for r in self.known.values() if not self.entries[r.id][-1].state.phase.is_final]

    async def state(self, rollout_id: str) -> State:
        return self.checkpoints.get(rollout_id, self.entries[rollout_id][-1].state)

    async def append(self, rollout_id: str, entry: JournalEntry) -> None:
        self._maybe_fail("append")
        assert entry.number == self.entries[rollout_id][-1].number + 1
        self.entries[rollout_id].append(entry)
        self.checkpoints.pop(rollout_id, None)
        self.log.append(f"saved {entry.state.phase} {entry.state.step}")

    async def checkpoint(self, rollout_id: str, state: State) -> None:
        self._maybe_fail("checkpoint")
        self.checkpoints[rollout_id] = state

    async def journal(self, rollout_id: str) -> list[JournalEntry]:
        return list(self.entries[rollout_id])

    async def add_order(
        self, rollout_id: str, at: float, *, kind: OrderKind, actor: str, reason: str, gate: str | None
    ) -> Order:
        number = sum(len(wishes) for wishes in self.wishes.values()) + 1
        order = Order(number=number, kind=kind, actor=actor, reason=reason, gate=gate)
        self.wishes.setdefault(rollout_id, []).append(order)
        return order

    async def orders(self, rollout_id: str, *, after: int = 0) -> tuple[Order, ...]:
        self._maybe_fail("orders")
        return tuple(order for order in self.wishes.get(rollout_id, []) if order.number > after)

    async def first_delivery(self, source: str, delivery: str, at: float) -> bool:
        is_first = (source, delivery) not in self.deliveries
        self.deliveries.add((source, delivery))
        return is_first

    async def forget_delivery(self, source: str, delivery: str) -> None:
        self.deliveries.discard((source, delivery))


class FakeWorld:
    """All fakes together; `world` is what the product is handed."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.mesh = FakeMesh()
        self.load = FakeLoad(self.clock)
        self.metrics = FakeMetrics()
        self.store = FakeStore()
        self.world = World(
            clock=self.clock,
            routes=self.mesh,
            proxies=self.mesh,
            workloads=self.mesh,
            metrics=self.metrics,
            load=self.load,
            store=self.store,
        )


def failing(*errors: Exception | None) -> Iterator[Exception | None]:
    """A script of failures, one per call."""
    return iter(errors)


def down(times: int) -> Iterator[Exception | None]:
    """Unavailable so many times."""
    return iter([Unavailable("connection refused")] * times)
