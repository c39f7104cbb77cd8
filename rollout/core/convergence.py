"""The wanted world minus the live world: what is left to do, compared with what is seen and never with memory.

An action lost in a crash is simply asked for again on the next pass, because the live document still differs.
"""

import json
from typing import Any

from rollout.core.decision import Action, StartLoad, StopLoad, WriteRoute
from rollout.core.observation import Observation, ProxiesView, RouteView
from rollout.core.phase import Phase, State
from rollout.core.routes.destination_rule import require_subsets
from rollout.core.routes.target import Json, RouteProblem, RouteScope, RouteTarget
from rollout.core.routes.virtual_service import destinations_of, edited, find_route, restored, shares
from rollout.core.spec import RolloutSpec


def scope_of(spec: RolloutSpec) -> RouteScope:
    """The traffic this rollout may move."""
    return RouteScope(
        namespace=spec.namespace,
        service=spec.service,
        stable=spec.stable,
        canary=spec.canary,
        http=spec.route.http,
    )


def preflight(spec: RolloutSpec, seen: Observation) -> str:
    """Say why the rollout cannot start; empty when it can."""
    if seen.route is None:
        return f"routing documents cannot be read: {seen.trouble.get('routes', 'no answer')}"
    document = seen.route.virtual_service
    if document is None:
        return f"there is no VirtualService {spec.route.name} in namespace {spec.namespace}"
    try:
        split = shares(find_route(document, scope_of(spec)), scope_of(spec))
        require_subsets(seen.route.destination_rules, scope_of(spec))
    except RouteProblem as problem:
        return str(problem)
    if split != {spec.stable: 100.0}:
        found = ", ".join(f"{share:g}% to {version}" for version, share in split.items())
        return f"VirtualService {spec.route.name} sends {found}; a rollout from {spec.stable} starts at 100%"
    if seen.endpoints is None:
        return f"endpoints cannot be read: {seen.trouble.get('workloads', 'no answer')}"
    idle = [version for version in (spec.stable, spec.canary) if not _is_ready(seen, version)]
    return f"{' and '.join(idle)} of {spec.service} {'have' if idle[1:] else 'has'} no ready endpoint" if idle else ""


def remember_original(spec: RolloutSpec, route: RouteView | None) -> str:
    """The destinations as they are before the first edit, for the state to keep."""
    assert route is not None, "the preflight has seen the documents"
    assert route.virtual_service is not None, "the preflight has seen the document"
    return json.dumps(destinations_of(route.virtual_service, scope_of(spec)))


def wanted_percent(spec: RolloutSpec, state: State) -> int:
    """The canary's wanted share of users' requests in this state."""
    match state.phase:
        case Phase.PENDING | Phase.ROLLING_BACK | Phase.ROLLED_BACK:
            return 0
        case Phase.PROGRESSING | Phase.PAUSED:
            return 100 if state.step == state.steps else spec.weight_at(state.step)
        case Phase.SUCCEEDED:
            return 100


def wanted_document(spec: RolloutSpec, state: State, live: Json) -> Json:
    """The live document with what this state wants of it.

    Raises RouteProblem when the document can no longer carry it.
    """
    if state.original is None:
        return live  # nothing was touched, so nothing is wanted
    original: list[dict[str, Any]] = json.loads(state.original)
    if state.phase.holds_traffic and not state.is_handing_over:
        cohort = spec.cohort_at(state.step)
        headers = cohort.model_dump(exclude_none=True)["headers"] if cohort else None
        return edited(live, scope_of(spec), RouteTarget(canary_percent=wanted_percent(spec, state), cohort=headers))
    return restored(live, scope_of(spec), original, promoted=wanted_percent(spec, state) == 100)


def route_gap(spec: RolloutSpec, state: State, seen: Observation) -> str:
    """What still separates documents and proxies from this state, in a sentence; empty when nothing does.

    Proxies that cannot be seen hold a step back, but never a rollback: that waits for nothing but the write.
    """
    if seen.route is None:
        return f"routing documents cannot be read: {seen.trouble.get('routes', 'no answer')}"
    if seen.route.virtual_service is None:
        return f"VirtualService {spec.route.name} is gone"
    try:
        if wanted_document(spec, state, seen.route.virtual_service) != seen.route.virtual_service:
            refusal = seen.trouble.get("write")
            return (
                f"VirtualService {spec.route.name} {f'cannot be written: {refusal}' if refusal else 'is being written'}"
            )
    except RouteProblem as problem:
        return str(problem)
    if seen.proxies is None:
        is_going_back = state.phase is Phase.ROLLING_BACK
        return "" if is_going_back else f"proxies cannot be seen: {seen.trouble.get('proxies', 'no answer')}"
    return _proxy_gap(seen.proxies, wanted_percent(spec, state))


def _proxy_gap(proxies: ProxiesView, percent: int) -> str:
    if proxies.rejected:
        return f"proxies reject the new routes: {proxies.rejected}"
    behind = [name for name, held in proxies.canary_percent.items() if abs(held - percent) > 0.5]
    return f"{', '.join(sorted(behind)[:3])} not yet at {percent}%" if behind else ""


def converge(spec: RolloutSpec, state: State, seen: Observation) -> tuple[Action, ...]:
    """Return what brings the world to *state*, most urgent first; empty when it is there."""
    wants_load = spec.plan.load is not None and state.phase.holds_traffic and not state.is_handing_over
    actions: list[Action] = []
    if not wants_load and seen.load is not None and seen.load.running:
        actions.append(StopLoad())
    live = seen.route.virtual_service if seen.route else None
    if live is not None:
        try:
            wanted = wanted_document(spec, state, live)
        except RouteProblem:
            wanted = live  # route_gap() says it; writing a guess would break somebody's traffic
        if wanted != live:
            actions.append(WriteRoute(document=wanted))
    if wants_load and state.arrived is not None and (seen.load is None or not seen.load.running):
        actions.append(StartLoad())
    return tuple(actions)


def _is_ready(seen: Observation, version: str) -> bool:
    view = (seen.endpoints or {}).get(version)
    return view is not None and view.ready > 0
