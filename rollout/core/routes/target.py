"""What a rollout may touch and wants of its routing documents, and how its own additions are recognised."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

VERSION_HEADER = "x-rollout-version"
"""In a request it asks for a version, in a response it names the version that served."""
OWN_ROUTE_PREFIX = "rollout-"
PROBE_ROUTE = OWN_ROUTE_PREFIX + "probe-{version}"
COHORT_ROUTE = OWN_ROUTE_PREFIX + "cohort"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteScope:
    """Which traffic a rollout may move: one service, two of its subsets, one http route."""

    namespace: str
    service: str
    stable: str
    canary: str
    http: str | None = None
    """The http route's name; None = the only one that fits."""

    def owns_host(self, host: str) -> bool:
        """Whether a destination's host is this service, short or fully qualified."""
        name, ns = self.service, self.namespace
        return host in (name, f"{name}.{ns}", f"{name}.{ns}.svc", f"{name}.{ns}.svc.cluster.local")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTarget:
    """The wanted state of the http route while a rollout runs."""

    canary_percent: int
    cohort: Mapping[str, Mapping[str, str]] | None = None
    """Istio header matches of the requests that see the canary whatever the weight."""


class RouteProblem(ValueError):
    """The documents cannot carry this rollout; says what is missing and where."""
