"""One rollout as a document of the cluster, and what the daemon reports on it: the shapes of the CRD TrafficRollout.

A TrafficRollout is written by whoever wants a release (`kubectl apply`, a GitOps tool, the daemon itself); its status
is the daemon's alone. The conditions are kstatus's, so that kubectl wait, Argo CD and Flux understand them:

    Ready        True: the service has all its traffic on one version and nothing is under way
    Reconciling  True: the rollout goes on
    Stalled      True: it waits for a person (paused, a gate) or cannot see
    Promoted     True: the canary has all traffic; False: it never will

The CRDs are generated from these models by rollout/crds.py; rollout/edges/kubernetes writes them.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from rollout.core.phase import Phase
from rollout.core.quantities import Name, Version
from rollout.core.spec import Part, PlanSpec

CONDITIONS_MAX = 16
HISTORY_MAX = 200  # transitions; fifty steps that each arrive and pass, and a person's orders between them

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, max_length=64)]
Sentence = Annotated[str, Field(max_length=4096)]
Free = Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]
"""An object whose keys are the daemon's business."""


class ConditionType(StrEnum):
    """What is claimed of a rollout."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    PROMOTED = "Promoted"


class Condition(Part):
    """Kubernetes' metav1.Condition."""

    type: Annotated[str, Field(pattern=r"^[A-Za-z]([A-Za-z0-9]{0,62})$", max_length=63)]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, Field(pattern=r"^[A-Za-z]([A-Za-z0-9_]*)$", max_length=128)]
    """The cause in one word, for programs."""
    message: Sentence = ""
    last_transition_time: Time
    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] = 0


Conditions = Annotated[tuple[Condition, ...], Field(max_length=CONDITIONS_MAX)]
Generation = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]


class TrafficRolloutSpec(Part):
    """What is asked for. It cannot be changed: another question is another rollout."""

    service: Name
    from_: Version | None = Field(default=None, alias="from")
    """The version that has the traffic now; found out when absent."""
    to: Version
    """The version that is to have all traffic."""
    plan: PlanSpec | None = None
    """How; a snapshot. The service's RolloutPlan as it is at the start when absent."""
    actor: Annotated[str, Field(max_length=253)] = ""
    """Who asked, where it was not whoever wrote the object."""
    reason: Annotated[str, Field(max_length=1024)] = ""


class TrafficRolloutStatus(Part):
    """Where it is; written by the daemon alone."""

    observed_generation: Generation | None = None
    phase: Phase | None = None
    step: Annotated[str, Field(max_length=16)] | None = None
    """The rung it is at, of how many: "3/6"."""
    weight: Annotated[int, Field(ge=0, le=100)] | None = None
    """Percent of users' requests that the canary is to have now."""
    message: Sentence | None = None
    """What it waits for, or why it ended; with the numbers."""
    gate: Name | None = None
    """The gate it waits at."""
    result: Literal["promoted", "rolled_back", "aborted"] | None = None
    started_at: Time | None = None
    finished_at: Time | None = None
    epoch: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] | None = None
    """The fencing number of the daemon that wrote last: one with a lower number may not write any more."""
    conditions: Conditions | None = None
    evidence: Free | None = None
    """Sufficient statistics of every check: enough to go on after a restart, and to judge again."""
    state: Free | None = None
    """Everything else that the daemon has to remember."""
    history: Annotated[tuple[Free, ...], Field(max_length=HISTORY_MAX)] | None = None
    """Transitions, oldest first."""


class RolloutPlanStatus(Part):
    """What the daemon makes of a plan."""

    observed_generation: Generation | None = None
    version: Version | None = None
    """The version that has all traffic."""
    rollout: Annotated[str, Field(max_length=253)] | None = None
    """The newest TrafficRollout of the service."""
    conditions: Conditions | None = None
