"""The bodies of the API. The OpenAPI document is generated from these models, so it cannot lie."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

API_VERSION = "rollout.dev/v1alpha1"


class Body(BaseModel):
    """camelCase outside, unknown keys refused."""

    model_config = ConfigDict(
        extra="forbid", alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True
    )


class StartBody(Body):
    """Release a service."""

    service: str = Field(max_length=253)
    to: str = Field(max_length=63)
    """The version that is to get all traffic."""
    from_: str | None = Field(default=None, alias="from", max_length=63)
    """The version that has it now; found out when absent."""
    namespace: str | None = Field(default=None, max_length=63)
    plan: dict[str, Any] | None = None
    """A RolloutPlan document; the daemon's own plan for the service when absent."""
    steps: list[int] = Field(default=[], max_length=50)
    """Weights instead of the plan's steps."""
    hold: str = Field(default="", max_length=32)
    """A hold instead of every step's own."""
    actor: str = Field(default="", max_length=253)
    reason: str = Field(default="", max_length=1024)
    dry_run: bool = False
    """Check everything and answer what would be started."""


class OrderBody(Body):
    """A person's wish about a running rollout."""

    actor: str = Field(default="", max_length=253)
    reason: str = Field(default="", max_length=1024)
    gate: str | None = Field(default=None, max_length=63)
    """approve: which gate; the waiting one when absent."""
    full: bool = False
    """promote: skip everything that is left, not only this step."""
    to: str | None = Field(default=None, max_length=63)
    """undo: the version to return to; the one before the last promotion when absent."""


class StepView(Body):
    """One rung of a rollout."""

    name: str
    weight: int
    """Percent to the canary while it is held."""
    hold_seconds: float
    state: Literal["passed", "current", "waiting", "skipped", "failed"]
    took_seconds: float | None = None
    why: str = ""


class CheckView(Body):
    """One check's latest verdict with its numbers; rates as shares, latencies in seconds."""

    check: str
    source: str
    verdict: Literal["pass", "inconclusive", "fail"]
    reason: str
    stable: float | None
    canary: float | None
    limit: float | None
    unit: Literal["ratio", "seconds", "value"]
    requests: int
    """Of the canary, in this step."""


class RolloutView(Body):
    """A rollout as it is now."""

    api_version: Literal["rollout.dev/v1alpha1"] = "rollout.dev/v1alpha1"
    kind: Literal["Rollout"] = "Rollout"
    id: str
    namespace: str
    service: str
    from_: str = Field(alias="from")
    to: str
    phase: str
    result: Literal["promoted", "rolled_back", "aborted"] | None = None
    """How it ended."""
    cause: str
    detail: str
    waiting_for: str
    step: int
    """From 1; 0 before the first."""
    steps: list[StepView]
    weight: int
    observed_weight: float | None = None
    """Percent of users' requests that the canary answered since this step's weights arrived."""
    gate: str | None = None
    """The gate it waits at."""
    is_blind: bool = False
    checks: list[CheckView] = []
    load: dict[str, Any] | None = None
    trouble: dict[str, str] = {}
    """What cannot be seen or done right now, and why."""
    created_at: float
    since: float
    finished_at: float | None = None
    actor: str
    reason: str
    via: str


class RolloutList(Body):
    """Rollouts, newest first."""

    items: list[RolloutView]


class EventView(Body):
    """One line of a rollout's journal."""

    number: int
    at: float
    phase: str
    step: int
    weight: int
    cause: str
    detail: str


class EventList(Body):
    """The journal, oldest first."""

    items: list[EventView]


class Explanation(Body):
    """Why one transition happened: every check judged again from the journal."""

    event: EventView
    verdict: str
    agrees: bool
    """Judging the saved evidence again gives the saved verdict, number by number."""
    checks: list[CheckView]
    text: list[str]
    """The same in plain words."""


class ExplanationList(Body):
    """Explanations, oldest first."""

    items: list[Explanation]


class PlanList(Body):
    """The plans the daemon knows."""

    items: list[dict[str, Any]]


class ProblemView(Body):
    """An error (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    """A constant word for programs."""
    hint: str = ""
    """What to do about it."""
    problems: list[dict[str, str]] = []
    """For documents: every problem with its key's path."""
