"""What the loop needs from the world: small Protocols, the seams where fakes plug in, and how the world fails.

Failing world: Unavailable (try again) or Refused (do not), raised only by edges, cause chained. A port that merely
cannot see gives None instead; how long blindness is tolerated is policy and lives in the core.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from rollout.core.observation import EndpointsView, LoadView, MetricsView, Order, OrderKind, ProxiesView, RouteView
from rollout.core.phase import State
from rollout.core.routes.target import Json
from rollout.core.spec import RolloutSpec


class Unavailable(Exception):
    """The world did not answer, or not in time: trying again may help."""


class Conflict(Unavailable):
    """Somebody else wrote first: look again, then try again."""


class Refused(Exception):
    """The world understood and said no: the same request will be refused again."""


class Clock(Protocol):
    """Time, injected. Seconds since the epoch that never jump while the process lives."""

    def now(self) -> float:
        """The current time."""
        ...

    async def sleep_until(self, deadline: float, woken: "Wake") -> None:
        """Sleep until *deadline* or until woken, whichever is first."""
        ...


class Wake(Protocol):
    """Something that can end a sleep early (an asyncio.Event)."""

    def set(self) -> None:
        """Wake the sleeper, now or at its next sleep."""
        ...

    def clear(self) -> None:
        """Forget a wake-up that has been heeded."""
        ...

    async def wait(self) -> object:
        """Return once set."""
        ...


class Routes(Protocol):
    """Where routing documents live."""

    async def read(self, spec: RolloutSpec) -> RouteView:
        """The documents of the rollout's service. Raises Unavailable."""
        ...

    async def write(self, document: Json) -> None:
        """Replace a VirtualService, as read. Raises Conflict, Unavailable, Refused."""
        ...


class Proxies(Protocol):
    """What the data plane really does."""

    async def observe(self, spec: RolloutSpec) -> ProxiesView:
        """The weights that the proxies hold and the requests they have answered. Raises Unavailable."""
        ...


class Workloads(Protocol):
    """The pods behind the versions."""

    async def endpoints(self, spec: RolloutSpec) -> dict[str, EndpointsView]:
        """Per version. Raises Unavailable."""
        ...


class MetricSource(Protocol):
    """Prometheus, or what speaks its language."""

    async def observe(self, spec: RolloutSpec, since: float) -> MetricsView:
        """Raw samples for the plan's checks, from a little before *since* on. Never raises: trouble is a value."""
        ...


class LoadSource(Protocol):
    """The synthetic load of all rollouts; one run per rollout."""

    def view(self, rollout_id: str, since: float) -> LoadView:
        """The latest snapshot, with the closed strata that begin at *since* or later."""
        ...

    async def start(self, rollout_id: str, spec: RolloutSpec, wake: Wake) -> None:
        """Start the plan's load; *wake* is set when something happens that cannot wait. Raises Unavailable, Refused."""
        ...

    def stop_nowait(self, rollout_id: str) -> None:
        """Stop it, without waiting for the end."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One execution of a plan: what was asked, by whom, when."""

    id: str
    spec: RolloutSpec
    created: float
    actor: str
    reason: str = ""
    via: str = "api"
    """How it was asked for: cli, api, github."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One transition: appended before anything is done, never changed."""

    number: int
    at: float
    state: State
    """The state it led to."""
    judged: State
    """The state before, with the evidence that was judged: enough to judge again and find the same."""
    judgement: dict[str, Any]
    """The verdict with its numbers, as it was then."""


class Store(Protocol):
    """Rollouts, their journals and the orders given to them. Every method may raise Unavailable."""

    async def create(self, rollout: Rollout, state: State, *, key: str = "") -> Rollout:
        """Begin a rollout and its journal; with a known idempotency *key*, return the one it began.

        Raises Conflict when the service has an unfinished one.
        """
        ...

    async def rollout(self, rollout_id: str) -> Rollout | None:
        """One rollout."""
        ...

    async def rollouts(self, *, service: str = "", namespace: str = "", limit: int = 100) -> list[Rollout]:
        """The newest first."""
        ...

    async def unfinished(self) -> list[Rollout]:
        """Those whose state is not final."""
        ...

    async def state(self, rollout_id: str) -> State:
        """The latest state, with the evidence of the latest checkpoint."""
        ...

    async def append(self, rollout_id: str, entry: JournalEntry) -> None:
        """Save a transition. Raises Conflict when its number is taken: somebody else drives this rollout."""
        ...

    async def checkpoint(self, rollout_id: str, state: State) -> None:
        """Save evidence gathered since the last transition."""
        ...

    async def journal(self, rollout_id: str) -> list[JournalEntry]:
        """All transitions, oldest first."""
        ...

    async def add_order(
        self, rollout_id: str, at: float, *, kind: OrderKind, actor: str, reason: str, gate: str | None
    ) -> Order:
        """Record a person's wish."""
        ...

    async def orders(self, rollout_id: str, *, after: int = 0) -> tuple[Order, ...]:
        """Orders with a number above *after*, oldest first."""
        ...

    async def first_delivery(self, source: str, delivery: str, at: float) -> bool:
        """Remember a webhook delivery; False when it was seen before."""
        ...

    async def forget_delivery(self, source: str, delivery: str) -> None:
        """Nothing came of it, through no fault of the sender: let it be delivered again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All ports together, as the composition root hands them over."""

    clock: Clock
    routes: Routes
    proxies: Proxies
    workloads: Workloads
    metrics: MetricSource
    load: LoadSource
    store: Store
