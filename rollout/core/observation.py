"""What the world looks like at one instant. Read-only; what could not be seen is None, never an exception."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rollout.core.breaker import Outcome
from rollout.core.evidence import Stratum
from rollout.core.routes.target import Json


class OrderKind(StrEnum):
    """What a person can ask of a running rollout."""

    APPROVE = "approve"
    PROMOTE = "promote"
    PROMOTE_FULL = "promote-full"
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One wish of one person. Numbers rise; the state remembers the last one taken, so none is taken twice."""

    number: int
    kind: OrderKind
    actor: str
    reason: str = ""
    gate: str | None = None
    """APPROVE only: which gate; None = the one that waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteView:
    """The live routing documents."""

    virtual_service: Json | None
    """None: it does not exist (which is something seen, not blindness)."""
    destination_rules: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxiesView:
    """What the data plane really does, as opposed to what was written."""

    canary_percent: Mapping[str, float]
    """Per proxy that routes to the service: the canary's share of the http route it holds right now."""
    served: Mapping[str, int] | None = None
    """Users' requests answered since the proxies started, per version; None where it cannot be counted."""
    rejected: str = ""
    """Why proxies refuse the newest documents; empty when they do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointsView:
    """The pods behind one version."""

    ready: int
    total: int
    restarts: int = 0


class Trust(StrEnum):
    """Whether the load generator believes its own numbers."""

    OK = "ok"
    DEGRADED = "degraded"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadView:
    """The synthetic load, as of its latest snapshot."""

    running: bool
    as_of: float
    strata: tuple[Stratum, ...] = ()
    """Closed ones, oldest first."""
    outcomes: tuple[Outcome, ...] = ()
    """Of both arms since the last observation, in order of completion."""
    trust: Trust = Trust.OK
    why: str = ""
    breaker_closed: bool = True
    """False while the generator holds back to protect its target: such samples are no evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One Prometheus series: labels and raw samples (time, value), oldest first."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsView:
    """What Prometheus answered; a query that failed or found nothing usable is None."""

    requests: tuple[Series, ...] | None = None
    buckets: tuple[Series, ...] | None = None
    values: Mapping[str, tuple[float, float] | None] = field(default_factory=dict)
    """Per query check: (time of the sample, value)."""
    trouble: str = ""
    """Why something is None, in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything decide() may look at, besides the spec, the state and the time."""

    orders: tuple[Order, ...] = ()
    route: RouteView | None = None
    proxies: ProxiesView | None = None
    endpoints: Mapping[str, EndpointsView] | None = None
    """Per version."""
    load: LoadView | None = None
    metrics: MetricsView | None = None
    trouble: Mapping[str, str] = field(default_factory=dict)
    """Per port that could not see: why. For people; decide() looks at the None beside it."""
