"""What people and webhooks may ask for: start, approve, pause, resume, promote, abort, retry, undo.

Each wish is checked against what is so right now (a clear refusal beats a silent no), recorded, and the loop is woken.
Nothing here touches traffic. HTTP and webhooks, and later the cluster's resources, are only ways to get here.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rollout.board import Board
from rollout.core.absorption import new_state
from rollout.core.convergence import preflight
from rollout.core.machine import waiting_gate
from rollout.core.observation import Observation, Order, OrderKind
from rollout.core.phase import Phase, State
from rollout.core.plan_defaults import default_plan, plan_for_undo, with_steps
from rollout.core.plan_rules import parse_plan
from rollout.core.routes.target import RouteProblem, RouteScope
from rollout.core.routes.virtual_service import find_service_route, shares
from rollout.core.spec import PlanSpec, RolloutPlan, RolloutSpec
from rollout.ports import Rollout, World


class NotFound(LookupError):
    """There is no such rollout, service or plan."""


class NotNow(Exception):
    """The wish is understood, but the state of things does not allow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """Release a service."""

    service: str
    canary: str
    namespace: str | None = None
    stable: str | None = None
    """None: the version that has all traffic now."""
    plan: Mapping[str, Any] | None = None
    """A RolloutPlan document; None: the daemon's plan for the service, or else one of defaults."""
    weights: tuple[int, ...] = ()
    """Instead of the plan's steps."""
    hold: str = ""
    """Instead of every step's hold."""
    actor: str = "unknown"
    reason: str = ""
    via: str = "api"
    key: str = ""
    """Idempotency key: the same key starts the same rollout once."""


class Control:
    """The desk where wishes are handed in."""

    def __init__(
        self,
        world: World,
        board: Board,
        plans: Mapping[tuple[str, str], RolloutPlan],
        *,
        launch: Callable[[Rollout], None],
        wake: Callable[[str], None],
    ) -> None:
        self.world = world
        self.board = board
        self.plans = plans
        """By (namespace, service)."""
        self._launch = launch
        self._wake = wake

    async def prepare(self, request: StartRequest) -> tuple[RolloutSpec, str]:
        """Return what would be started, and why it cannot be right now ("" when it can).

        Raises PlanError, NotFound, Unavailable.
        """
        plan = self._plan_for(request)
        if request.weights or request.hold:
            plan = with_steps(plan, request.weights, request.hold)
        stable = request.stable or await self._serving_version(plan, request.canary)
        spec = _spec(plan.metadata.namespace, plan.service, stable, request.canary, plan.spec)
        return spec, preflight(spec, await self._look(spec))

    async def start(self, request: StartRequest) -> Rollout:
        """Begin a rollout. Raises PlanError, NotFound, NotNow, Conflict, Unavailable."""
        spec, problem = await self.prepare(request)
        if problem:
            raise NotNow(problem)
        return await self._begin(spec, actor=request.actor, reason=request.reason, via=request.via, key=request.key)

    async def order(
        self, rollout: Rollout, kind: OrderKind, *, actor: str, reason: str = "", gate: str | None = None
    ) -> Order | None:
        """Record a wish about a running rollout; None when it is fulfilled already. Raises NotNow."""
        state = await self._state(rollout)
        refusal = _refusal(rollout, state, kind, gate)
        if refusal is None:
            return None
        if refusal:
            raise NotNow(refusal)
        now = self.world.clock.now()
        order = await self.world.store.add_order(rollout.id, now, kind=kind, actor=actor, reason=reason, gate=gate)
        self._wake(rollout.id)
        return order

    async def retry(self, rollout: Rollout, *, actor: str, reason: str = "") -> Rollout:
        """Start the same rollout again. Raises NotNow, Conflict, Unavailable."""
        state = await self._state(rollout)
        if not state.phase.is_final:
            raise NotNow(f"{rollout.id} is still {state.phase}; there is nothing to retry")
        return await self._again(rollout.spec, actor=actor, reason=reason or f"retry of {rollout.id}")

    async def undo(self, namespace: str, service: str, *, to: str | None, actor: str, reason: str = "") -> Rollout:
        """Return to an earlier version, all at once. Raises NotFound, NotNow, Conflict, Unavailable."""
        promoted = await self._last_promotion(namespace, service)
        target = to or promoted.spec.stable
        serving = promoted.spec.canary
        if target == serving:
            raise NotNow(f"{service} serves {serving} already")
        spec = _spec(namespace, service, serving, target, plan_for_undo(promoted.spec.plan))
        return await self._again(spec, actor=actor, reason=reason or f"undo of {promoted.id}")

    async def find(self, name: str, namespace: str = "") -> Rollout:
        """The rollout with this id, or the newest one of this service. Raises NotFound."""
        found = await self.world.store.rollout(name)
        if found is None:
            newest = await self.world.store.rollouts(service=name, namespace=namespace, limit=1)
            found = newest[0] if newest else None
        if found is None:
            raise NotFound(f"there is no rollout {name!r}, and no service of that name has one")
        return found

    def _plan_for(self, request: StartRequest) -> RolloutPlan:
        if request.plan is not None:
            return parse_plan(dict(request.plan))
        if request.namespace is not None:
            known = self.plans.get((request.namespace, request.service))
            return known or default_plan(request.service, request.namespace)
        plans = [plan for (_, service), plan in self.plans.items() if service == request.service]
        if len(plans) > 1:
            names = ", ".join(sorted(plan.metadata.namespace for plan in plans))
            raise NotFound(f"there are plans for {request.service} in several namespaces ({names}): name one")
        return plans[0] if plans else default_plan(request.service, "default")

    async def _serving_version(self, plan: RolloutPlan, canary: str) -> str:
        """The version that has all traffic now."""
        spec = _spec(plan.metadata.namespace, plan.service, f"not-{canary}", canary, plan.spec)
        document = (await self.world.routes.read(spec)).virtual_service
        if document is None:
            raise NotFound(f"there is no VirtualService {spec.route.name} in namespace {spec.namespace}")
        scope = RouteScope(namespace=spec.namespace, service=spec.service, stable="", canary="", http=spec.route.http)
        try:
            split = shares(find_service_route(document, scope), scope)
        except RouteProblem as problem:
            raise NotNow(str(problem)) from problem
        serving = [version for version, share in split.items() if share == 100]
        if not serving:
            found = ", ".join(f"{share:g}% to {version}" for version, share in split.items())
            raise NotNow(f"{spec.service} sends {found}: a rollout starts from one version with all traffic")
        if serving[0] == canary:
            raise NotNow(f"{spec.service} serves {canary} already")
        return serving[0]

    async def _look(self, spec: RolloutSpec) -> Observation:
        return Observation(
            route=await self.world.routes.read(spec), endpoints=await self.world.workloads.endpoints(spec)
        )

    async def _again(self, spec: RolloutSpec, *, actor: str, reason: str) -> Rollout:
        if problem := preflight(spec, await self._look(spec)):
            raise NotNow(problem)
        return await self._begin(spec, actor=actor, reason=reason, via="api", key="")

    async def _begin(self, spec: RolloutSpec, *, actor: str, reason: str, via: str, key: str) -> Rollout:
        now = self.world.clock.now()
        name = f"r-{secrets.token_hex(3)}"  # short enough to say aloud; a clash is refused by the store
        rollout = Rollout(id=name, spec=spec, created=now, actor=actor, reason=reason, via=via)
        begun = await self.world.store.create(rollout, new_state(spec, now), key=key)
        if begun.id == name:
            self._launch(rollout)
        return begun

    async def _state(self, rollout: Rollout) -> State:
        live = self.board.get(rollout.id)
        return live.state if live else await self.world.store.state(rollout.id)

    async def _last_promotion(self, namespace: str, service: str) -> Rollout:
        for rollout in await self.world.store.rollouts(service=service, namespace=namespace):
            if (await self.world.store.state(rollout.id)).phase is Phase.SUCCEEDED:
                return rollout
        raise NotFound(f"no rollout of {service} has ever been promoted here: there is nothing to undo")


def _spec(namespace: str, service: str, stable: str, canary: str, plan: PlanSpec) -> RolloutSpec:
    if stable == canary:
        raise NotNow(f"from and to are both {canary}: there is nothing to roll out")
    return RolloutSpec(namespace=namespace, service=service, stable=stable, canary=canary, plan=plan)


def _refusal(rollout: Rollout, state: State, kind: OrderKind, gate: str | None) -> str | None:
    """Why the wish makes no sense now; "" when it does, None when it is fulfilled already."""
    is_going_back = state.phase in (Phase.ROLLING_BACK, Phase.ROLLED_BACK)
    name = f"{rollout.spec.service} {rollout.id}"
    match kind:
        case OrderKind.ABORT if is_going_back:
            return None
        case OrderKind.PROMOTE | OrderKind.PROMOTE_FULL if state.phase is Phase.SUCCEEDED or state.is_handing_over:
            return None
        case OrderKind.PAUSE if state.phase is Phase.PAUSED:
            return None
    if state.phase.is_final or is_going_back:
        return f"{name} is {state.phase}: it takes no more orders"
    if kind is OrderKind.ABORT:
        return ""
    if state.phase is Phase.PENDING:
        return f"{name} is still in its preflight; it can only be aborted"
    if state.is_handing_over:
        return f"{name} has passed its last step; it can only be aborted, or undone once it is promoted"
    if kind is OrderKind.APPROVE:
        waiting = waiting_gate(rollout.spec, state)
        if waiting is None:
            return f"{name} waits at no gate"
        return "" if gate in (None, waiting) else f"{name} waits at gate {waiting}, not at {gate}"
    if kind is OrderKind.RESUME and state.phase is not Phase.PAUSED:
        return None
    return ""
