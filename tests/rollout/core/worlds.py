"""States and observations that many tests of the core start from."""

from dataclasses import replace
from typing import Any

from rollout.core.absorption import new_state
from rollout.core.convergence import remember_original
from rollout.core.evidence import Counts, Stratum
from rollout.core.observation import (
    EndpointsView,
    LoadView,
    MetricsView,
    Observation,
    Order,
    OrderKind,
    ProxiesView,
    RouteView,
)
from rollout.core.phase import Phase, State
from rollout.core.plan_rules import parse_plan
from rollout.core.routes.target import RouteScope, RouteTarget
from rollout.core.routes.virtual_service import edited
from rollout.core.spec import RolloutSpec
from tests.rollout.core.documents import destination_rule, plan_document, virtual_service

NOW = 1_000_000.0
SCOPE = RouteScope(namespace="bookinfo", service="reviews", stable="v1", canary="v3")


def spec(**changes: Any) -> RolloutSpec:
    """A rollout of reviews v1 -> v3 by the plan of the design; *changes* replace keys of its spec."""
    document = plan_document()
    document["spec"] |= changes
    plan = parse_plan(document)
    return RolloutSpec(namespace="bookinfo", service="reviews", stable="v1", canary="v3", plan=plan.spec)


def short_spec(**changes: Any) -> RolloutSpec:
    """Weight 50, a gate, weight 100; one check on errors of the load."""
    return spec(
        **{
            "steps": [{"weight": 50, "hold": "10s"}, {"gate": "sre"}, {"weight": 100, "hold": "10s"}],
            "checks": [{"name": "errors", "source": "load", "metric": "error-rate", "max": "1%"}],
            "settle": "0s",
        }
        | changes
    )


def state_of(of: RolloutSpec, phase: Phase = Phase.PROGRESSING, **changes: Any) -> State:
    """A state in *phase* whose traffic has arrived and whose original destinations are known."""
    fresh = new_state(of, NOW)
    if phase is not Phase.PENDING:
        route = RouteView(virtual_service=virtual_service())
        fresh = replace(fresh, original=remember_original(of, route), arrived=NOW)
    return replace(fresh, phase=phase, **changes)


def route_at(percent: int, cohort: Any = None) -> RouteView:
    """The documents as a rollout has written them."""
    document = edited(virtual_service(), SCOPE, RouteTarget(canary_percent=percent, cohort=cohort))
    return RouteView(virtual_service=document, destination_rules=(destination_rule(),))


def seen(percent: int | None = None, **changes: Any) -> Observation:
    """A healthy world: documents untouched, or at *percent* with the proxies agreeing."""
    untouched = RouteView(virtual_service=virtual_service(), destination_rules=(destination_rule(),))
    whole = Observation(
        route=untouched if percent is None else route_at(percent),
        proxies=ProxiesView(canary_percent={"productpage": float(percent or 0)}),
        endpoints={version: EndpointsView(ready=1, total=1) for version in ("v1", "v3")},
        load=None if percent is None else LoadView(running=True, as_of=NOW),
        metrics=MetricsView(),
    )
    return replace(whole, **changes)


def order(kind: OrderKind, number: int = 1, gate: str | None = None) -> Order:
    """A wish of alice's."""
    return Order(number=number, kind=kind, actor="alice", reason="because", gate=gate)


def stratum(start: float, *, stable: tuple[int, int] = (25, 0), canary: tuple[int, int] = (25, 0)) -> Stratum:
    """One second: (requests, failures) of either arm, all of them in 10 ms."""
    return Stratum(start=start, end=start + 1, stable=counts(*stable), canary=counts(*canary))


def counts(requests: int, failures: int = 0, latency_s: float = 0.01) -> Counts:
    """Requests that all took the same."""
    return Counts(requests=requests, failures=failures, latency={latency_s: requests} if requests else {})


def strata(seconds: int, start: float = NOW, **arms: tuple[int, int]) -> tuple[Stratum, ...]:
    """Seconds of the same."""
    return tuple(stratum(start + second, **arms) for second in range(seconds))
