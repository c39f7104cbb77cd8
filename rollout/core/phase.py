"""The rollout state machine as a table.

Rule: a phase changes in this file and nowhere else. The diagram in the docs is drawn from TRANSITIONS, so the picture
cannot drift from the code. This file does not know why a cause is named (machine.py does) nor what it does to traffic.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from rollout.core.breaker import Breaker
from rollout.core.ledger import Evidence


class Phase(StrEnum):
    """Where a rollout is."""

    PENDING = "Pending"  # preflight: routes, subsets and ready endpoints are being looked for; nothing is touched
    PROGRESSING = "Progressing"  # the canary takes the current step's traffic
    PAUSED = "Paused"  # traffic is held where it is until a person says resume; still judged
    SUCCEEDED = "Succeeded"  # all traffic is on the canary, nothing of ours is left in the documents
    ROLLING_BACK = "RollingBack"  # traffic returns to stable, unconditionally
    ROLLED_BACK = "RolledBack"  # all traffic is on stable; the service is healthy

    @property
    def is_final(self) -> bool:
        """Nothing leaves this phase."""
        return self in (Phase.SUCCEEDED, Phase.ROLLED_BACK)

    @property
    def holds_traffic(self) -> bool:
        """The canary may have traffic, and somebody has to watch it."""
        return self in (Phase.PROGRESSING, Phase.PAUSED)


class Cause(StrEnum):
    """Why the phase or the step changed."""

    PREFLIGHT_PASSED = "preflight passed"
    NOT_READY = "not ready in time"
    TRAFFIC_ARRIVED = "traffic arrived"
    STEP_PASSED = "step passed"
    GATE_APPROVED = "gate approved"
    STEP_PROMOTED = "promoted by a person"
    DEADLINE_PROMOTED = "no harm found until the step's deadline"
    FULLY_PROMOTED = "fully promoted by a person"
    LAST_STEP_PASSED = "last step passed"
    TRAFFIC_MOVED = "all traffic moved"
    PAUSE_REQUESTED = "paused by a person"
    RESUME_REQUESTED = "resumed by a person"
    CHECK_FAILED_HELD = "a check failed, held for a person"
    CHECK_FAILED = "a check failed"
    BREAKER_TRIPPED = "breaker tripped"
    EVIDENCE_STALLED = "no fresh evidence"
    STEP_TIMED_OUT = "step timed out"
    ROLLOUT_TIMED_OUT = "rollout timed out"
    ABORT_REQUESTED = "aborted by a person"
    TRAFFIC_RESTORED = "all traffic restored"


_P, _C = Phase, Cause

TRANSITIONS: Mapping[tuple[Phase, Cause], Phase] = {
    (_P.PENDING, _C.PREFLIGHT_PASSED): _P.PROGRESSING,
    (_P.PENDING, _C.NOT_READY): _P.ROLLING_BACK,
    (_P.PENDING, _C.ABORT_REQUESTED): _P.ROLLING_BACK,
    (_P.PROGRESSING, _C.TRAFFIC_ARRIVED): _P.PROGRESSING,
    (_P.PROGRESSING, _C.STEP_PASSED): _P.PROGRESSING,
    (_P.PROGRESSING, _C.GATE_APPROVED): _P.PROGRESSING,
    (_P.PROGRESSING, _C.STEP_PROMOTED): _P.PROGRESSING,
    (_P.PROGRESSING, _C.DEADLINE_PROMOTED): _P.PROGRESSING,
    (_P.PROGRESSING, _C.FULLY_PROMOTED): _P.PROGRESSING,
    (_P.PROGRESSING, _C.LAST_STEP_PASSED): _P.PROGRESSING,
    (_P.PROGRESSING, _C.TRAFFIC_MOVED): _P.SUCCEEDED,
    (_P.PROGRESSING, _C.PAUSE_REQUESTED): _P.PAUSED,
    (_P.PROGRESSING, _C.CHECK_FAILED_HELD): _P.PAUSED,
    (_P.PROGRESSING, _C.CHECK_FAILED): _P.ROLLING_BACK,
    (_P.PROGRESSING, _C.BREAKER_TRIPPED): _P.ROLLING_BACK,
    (_P.PROGRESSING, _C.EVIDENCE_STALLED): _P.ROLLING_BACK,
    (_P.PROGRESSING, _C.STEP_TIMED_OUT): _P.ROLLING_BACK,
    (_P.PROGRESSING, _C.ROLLOUT_TIMED_OUT): _P.ROLLING_BACK,
    (_P.PROGRESSING, _C.ABORT_REQUESTED): _P.ROLLING_BACK,
    (_P.PAUSED, _C.RESUME_REQUESTED): _P.PROGRESSING,
    (_P.PAUSED, _C.STEP_PROMOTED): _P.PROGRESSING,
    (_P.PAUSED, _C.FULLY_PROMOTED): _P.PROGRESSING,
    (_P.PAUSED, _C.CHECK_FAILED): _P.ROLLING_BACK,
    (_P.PAUSED, _C.BREAKER_TRIPPED): _P.ROLLING_BACK,
    (_P.PAUSED, _C.ABORT_REQUESTED): _P.ROLLING_BACK,
    (_P.ROLLING_BACK, _C.TRAFFIC_RESTORED): _P.ROLLED_BACK,
}

_NEXT_STEP = {_C.STEP_PASSED, _C.GATE_APPROVED, _C.STEP_PROMOTED, _C.DEADLINE_PROMOTED}
_BEYOND_LAST = {_C.LAST_STEP_PASSED, _C.FULLY_PROMOTED}


class IllegalTransition(AssertionError):
    """The core contradicted its own table: a programmer error, never an operating one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a rollout is and what it has to remember. Saved before anything is done; survives any crash."""

    phase: Phase = Phase.PENDING
    step: int = 0
    """Index of the current step; equal to steps when the last one has passed and traffic is being handed over."""
    steps: int
    """How many there are."""
    since: float
    """When this phase or step began; seconds of the injected clock, as every time here."""
    started: float
    """When traffic was first touched, or asked to be."""
    waited_s: float = 0.0
    """Time spent paused and at gates so far: it counts against no deadline."""
    arrived: float | None = None
    """When the proxies held this step's weights; evidence counts from here on."""
    cause: Cause | None = None
    """Why we are here."""
    decided: Cause | None = None
    """What sent the rollout back, once something has."""
    detail: str = ""
    """The cause in a sentence, with its numbers."""
    order: int = 0
    """Number of the last person's order taken."""
    original: str | None = None
    """The http route's destinations before we touched them, as JSON; None until we do."""
    served: Mapping[str, int] | None = None
    """Users' requests per version when this step's weights arrived: the mark the observed share counts from."""
    evidence: Evidence = field(default_factory=Evidence)
    breaker: Breaker = field(default_factory=Breaker)

    @property
    def is_handing_over(self) -> bool:
        """All steps passed; what is left is to remove our traces and read the result back."""
        return self.phase is Phase.PROGRESSING and self.step == self.steps

    def after(self, cause: Cause, now: float, detail: str = "") -> "State":
        """Return the state that *cause* leads to."""
        phase = TRANSITIONS.get((self.phase, cause))
        if phase is None:
            raise IllegalTransition(f"{cause} is not expected in phase {self.phase}")
        moved = replace(self, phase=phase, cause=cause, detail=detail)
        if cause is Cause.TRAFFIC_ARRIVED:
            return replace(moved, arrived=now)
        waited_s = now - self.since if self.phase is Phase.PAUSED or cause is Cause.GATE_APPROVED else 0.0
        moved = replace(moved, since=now, waited_s=self.waited_s + waited_s)
        if phase is Phase.ROLLING_BACK:
            return replace(moved, decided=cause)
        if cause in _NEXT_STEP or cause in _BEYOND_LAST:
            step = self.steps if cause in _BEYOND_LAST else min(self.step + 1, self.steps)
            return replace(moved, step=step, arrived=None, served=None, evidence=self.evidence.for_next_step())
        if cause is Cause.RESUME_REQUESTED:
            return replace(moved, arrived=None, served=None, evidence=Evidence())
        return moved
