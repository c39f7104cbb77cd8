"""What was asked: the RolloutPlan document and one rollout's spec.

A plan says how a service is released (steps, load, checks, limits); a spec is one release of it: plan snapshot,
service, from, to. Both are frozen, parse once at the border, and print back to the document they came from. The JSON
Schema for editors and for the cluster's CRD is generated from these same models.

Neighbours: quantities.py reads the texts; plan_rules.py holds the rules across keys and is the way in (parse_plan);
phase.py takes over once a rollout runs.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic.alias_generators import to_camel

from rollout.core.quantities import (
    Duration,
    Limit,
    Name,
    Number,
    Percent,
    Quantile,
    Rate,
    Split,
    Url,
    Version,
)

STEP_KINDS = ("probe", "cohort", "weight", "gate")
STEPS_MAX = 50  # Kruise's limit; a longer ladder is a mistake in a template
CHECKS_MAX = 20  # each costs evidence: the budget for false alarms is shared among them


class Part(BaseModel):
    """A piece of a document: frozen, camelCase outside, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True
    )


Hold = Annotated[Duration, Field(ge=1, le=86400)]  # below 1 s nothing can be judged, above a day nobody is watching
Timeout = Annotated[Duration, Field(ge=1, le=7 * 86400)]


class ProbeHold(Part):
    """How long synthetic load looks at the canary before any user does."""

    hold: Hold


class ProbeStep(Part):
    """Weight 0: synthetic load reaches the canary by header only; users see nothing of it."""

    probe: ProbeHold

    @property
    def hold(self) -> float:
        """Seconds."""
        return self.probe.hold

    def __str__(self) -> str:
        return "probe"


class StringMatch(Part):
    """Istio's StringMatch: exactly one of the three."""

    exact: Annotated[str, Field(max_length=1024)] | None = None
    prefix: Annotated[str, Field(max_length=1024)] | None = None
    regex: Annotated[str, Field(max_length=1024)] | None = None


class CohortMatch(Part):
    """Which requests see the canary whatever the weight, and how long that is held."""

    headers: Annotated[dict[str, StringMatch], Field(min_length=1, max_length=16)]
    hold: Hold


class CohortStep(Part):
    """The requests that carry the named headers see the canary, from here to the end of the rollout."""

    cohort: CohortMatch

    @property
    def hold(self) -> float:
        """Seconds."""
        return self.cohort.hold

    def __str__(self) -> str:
        shown = (f"{name}: {m.exact or m.prefix or m.regex}" for name, m in self.cohort.headers.items())
        return f"cohort {', '.join(shown)}"


class WeightStep(Part):
    """Send this share of the service's requests to the canary."""

    weight: Annotated[int, Field(strict=True, ge=1, le=100)]
    hold: Hold

    def __str__(self) -> str:
        return f"weight {self.weight}%"


class GateStep(Part):
    """Wait until a person approves; the canary keeps its weight and is judged meanwhile."""

    gate: Name

    @property
    def hold(self) -> float:
        """Seconds; the person decides."""
        return 0.0

    def __str__(self) -> str:
        return f"gate {self.gate}"


def _step_kind(value: Any) -> str | None:
    keys = value if isinstance(value, dict) else {"probe", "cohort", "weight", "gate"} & set(dir(value))
    return next((kind for kind in STEP_KINDS if kind in keys), None)


Step = Annotated[
    Annotated[ProbeStep, Tag("probe")]
    | Annotated[CohortStep, Tag("cohort")]
    | Annotated[WeightStep, Tag("weight")]
    | Annotated[GateStep, Tag("gate")],
    Discriminator(_step_kind),
]


class Route(Part):
    """Where the weights are written."""

    kind: Literal["VirtualService"] = "VirtualService"
    name: Name
    http: Annotated[str, Field(max_length=253)] | None = None
    """The name of the http route, needed when several routes of the document lead to the service."""


class Load(Part):
    """Synthetic requests that the daemon sends itself, split between the versions by header."""

    url: Url
    rate: Annotated[Rate, Field(gt=0, le=5000)]
    split: Split = 0.5
    """Shares of stable/canary. 50/50 gives the most information per request, whatever the users' weight."""
    timeout: Annotated[Duration, Field(ge=0.01, le=60)] = 1.0
    method: Literal["GET", "HEAD"] = "GET"
    headers: Annotated[dict[str, Annotated[str, Field(max_length=1024)]], Field(max_length=32)] = {}


class Source(StrEnum):
    """Where a check's numbers come from."""

    LOAD = "load"
    PROMETHEUS = "prometheus"


class Metric(StrEnum):
    """What a built-in check measures."""

    ERROR_RATE = "error-rate"
    LATENCY = "latency"


class OnNoData(StrEnum):
    """What a check without fresh numbers does to its step. Nothing makes no data count as good."""

    HOLD = "hold"
    IGNORE = "ignore"


class MetricCheck(Part):
    """One built-in rule: a limit of its own (max), a limit against stable (maxIncrease), or both."""

    name: Name
    source: Source
    metric: Metric
    quantiles: Annotated[tuple[Quantile, ...], Field(min_length=1, max_length=8)] = (0.5, 0.95, 0.99)
    """Latency only."""
    max: Limit | None = None
    """The canary's error rate ("1%") or latency at each quantile ("300ms") may not exceed this."""
    max_increase: Limit | None = None
    """How much worse than stable the canary may be: "50%" (relative), "0.5pp" (error rate), "25ms" (latency)."""
    min_requests: Annotated[int, Field(strict=True, ge=1, le=10_000_000)] = 50
    """Below this many canary requests in a step the check cannot pass."""
    on_no_data: OnNoData = OnNoData.HOLD


class QueryCheck(Part):
    """One PromQL query whose value has to stay within limits. {{ .version }} and the like are filled in."""

    name: Name
    source: Literal[Source.PROMETHEUS]
    query: Annotated[str, Field(min_length=1, max_length=4096)]
    max: Number | None = None
    min: Number | None = None
    failures: Annotated[int, Field(strict=True, ge=1, le=100)] = 3
    """How many fresh values in a row must be outside the limits: one outlier is not a verdict."""
    on_no_data: OnNoData = OnNoData.HOLD


def _check_kind(value: Any) -> str:
    has_query = "query" in value if isinstance(value, dict) else isinstance(value, QueryCheck)
    return "query" if has_query else "metric"


Check = Annotated[
    Annotated[MetricCheck, Tag("metric")] | Annotated[QueryCheck, Tag("query")], Discriminator(_check_kind)
]


class Breaker(Part):
    """The fuse that guards users: canary results only, trips once, means rollback. (statistics.md, section 8 A.)"""

    consecutive_failures: Annotated[int, Field(strict=True, ge=2, le=1000)] = 10
    failure_rate: Annotated[Percent, Field(gt=0)] = 0.5
    window: Annotated[int, Field(strict=True, ge=10, le=1000)] = 20
    """The latest so many canary results, none older than a minute."""
    slow_call_rate: Annotated[Percent, Field(gt=0)] = 0.8


class Timeouts(Part):
    """No state of a rollout lasts for ever."""

    ready: Timeout = 300.0
    """Until the preflight passes: routes, subsets and ready endpoints are there."""
    step: Timeout = 600.0
    """One step, from its start to its pass; a gate has none."""
    rollout: Timeout = 3600.0
    """The whole rollout without the time spent paused or at a gate."""
    stall: Timeout = 300.0
    """How long a step may go without fresh evidence before the rollout goes back."""


class OnFail(StrEnum):
    """What a failed check does. A tripped breaker always rolls back."""

    ROLLBACK = "rollback"
    PAUSE = "pause"


class OnInconclusive(StrEnum):
    """What a step does that reached its deadline with neither harm nor health proven."""

    ROLLBACK = "rollback"
    HOLD = "hold"
    PROMOTE_IF_NO_HARM = "promote-if-no-harm"


class Budget(Part):
    """What a bad canary may cost; with `steps: auto` it chooses the steps. (rollout/core/budget.py)"""

    failed_requests: Annotated[int, Field(strict=True, ge=1, le=10_000_000)]
    """The expected number of users' requests that fail before a canary beyond its limit is back at weight 0."""
    traffic: Annotated[Rate, Field(gt=0, le=1_000_000)]
    """Users' requests per second, at the busiest time of a release."""


AUTO = "auto"


def _or_auto(schema: dict[str, Any]) -> None:
    """In a document the steps may be the one word; in a plan they are steps."""
    title, steps = schema.pop("title", None), dict(schema)
    schema.clear()
    schema.update({"title": title, "anyOf": [{"const": AUTO}, steps]})


class PlanSpec(Part):
    """The body of a RolloutPlan."""

    service: Name | None = None
    """The service whose versions are stepped; the plan's name when absent."""
    route: Route | None = None
    """The VirtualService named like the service when absent."""
    version: Version | None = None
    """In a cluster: the version that is to have all traffic. An edit of it starts a rollout."""
    settle: Annotated[Duration, Field(ge=0, le=600)] = 5.0
    """Requests of the first so many seconds after a weight has arrived are not evidence (cold caches)."""
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=STEPS_MAX, json_schema_extra=_or_auto)]
    """The ladder; "auto" in a document lets the budget choose it."""
    budget: Budget | None = None
    load: Load | None = None
    checks: Annotated[tuple[Check, ...], Field(min_length=1, max_length=CHECKS_MAX)]
    breaker: Breaker = Breaker()
    timeouts: Timeouts = Timeouts()
    on_fail: OnFail = OnFail.ROLLBACK
    on_inconclusive: OnInconclusive = OnInconclusive.ROLLBACK


class Metadata(Part):
    """Kubernetes' ObjectMeta, as far as a plan needs it; what else a cluster adds is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Name
    namespace: Name = "default"


class RolloutPlan(Part):
    """How one service is released."""

    api_version: Literal["rollout.dev/v1alpha1"]
    kind: Literal["RolloutPlan"]
    metadata: Metadata
    spec: PlanSpec

    @property
    def service(self) -> str:
        """The name of the service, short, in the plan's namespace."""
        return self.spec.service or self.metadata.name


class RolloutSpec(Part):
    """One rollout: what decide() is told. The plan is a snapshot; editing the file changes no running rollout."""

    namespace: Name
    service: Name
    stable: Version
    canary: Version
    plan: PlanSpec

    @property
    def route(self) -> Route:
        """Where the weights are written."""
        return self.plan.route or Route(name=self.service)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The rungs, in order."""
        return self.plan.steps

    def weight_at(self, index: int) -> int:
        """The canary's weight in percent while step *index* is held: its own or the last one before it."""
        return max((step.weight for step in self.steps[: index + 1] if isinstance(step, WeightStep)), default=0)

    def cohort_at(self, index: int) -> CohortMatch | None:
        """Who sees the canary whatever the weight at step *index*: the last cohort so far."""
        cohorts = [step.cohort for step in self.steps[: index + 1] if isinstance(step, CohortStep)]
        return cohorts[-1] if cohorts else None
