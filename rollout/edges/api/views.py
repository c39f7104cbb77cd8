"""Rollouts as API bodies: what was saved, and what the board knows beyond that."""

from typing import Literal

from rollout.board import Live
from rollout.core.convergence import wanted_percent
from rollout.core.judge import Finding
from rollout.core.machine import waiting_gate
from rollout.core.phase import Cause, Phase, State
from rollout.core.spec import RolloutSpec
from rollout.edges.api.models import CheckView, EventView, RolloutView, StepView
from rollout.ports import JournalEntry, Rollout


def rollout_view(rollout: Rollout, state: State, live: Live | None, journal: list[JournalEntry]) -> RolloutView:
    """One rollout, whole."""
    spec = rollout.spec
    is_over = state.phase.is_final
    return RolloutView(
        id=rollout.id,
        namespace=spec.namespace,
        service=spec.service,
        from_=spec.stable,
        to=spec.canary,
        phase=state.phase.value,
        result=result_of(state),
        cause=state.cause.value if state.cause else "",
        detail=state.detail,
        waiting_for=live.outlook.waiting_for if live else "",
        step=0 if state.phase is Phase.PENDING else min(state.step + 1, state.steps),
        steps=_steps(spec, state, journal),
        weight=wanted_percent(spec, state),
        observed_weight=live.outlook.observed_percent if live else None,
        gate=waiting_gate(spec, state),
        is_blind=live.outlook.is_blind if live else False,
        checks=[check_view(finding) for finding in live.judgement.findings] if live else [],
        load=_load(live),
        trouble=dict(live.seen.trouble) if live else {},
        created_at=rollout.created,
        since=state.since,
        finished_at=state.since if is_over else None,
        actor=rollout.actor,
        reason=rollout.reason,
        via=rollout.via,
    )


def event_view(rollout: Rollout, entry: JournalEntry) -> EventView:
    """One transition."""
    state = entry.state
    return EventView(
        number=entry.number,
        at=entry.at,
        phase=state.phase.value,
        step=0 if state.phase is Phase.PENDING else min(state.step + 1, state.steps),
        weight=wanted_percent(rollout.spec, state),
        cause=state.cause.value if state.cause else "asked for",
        detail=state.detail,
    )


def check_view(finding: Finding) -> CheckView:
    """One check's verdict."""
    return CheckView(
        check=finding.check,
        source=finding.source.value,
        verdict=finding.verdict.name.lower(),
        reason=finding.reason,
        stable=finding.stable,
        canary=finding.canary,
        limit=finding.limit,
        unit=finding.unit,
        requests=finding.requests,
    )


def result_of(state: State) -> Literal["promoted", "rolled_back", "aborted"] | None:
    """How the rollout ended, once it has."""
    match state.phase:
        case Phase.SUCCEEDED:
            return "promoted"
        case Phase.ROLLED_BACK:
            return "aborted" if state.decided is Cause.ABORT_REQUESTED else "rolled_back"
        case _:
            return None


def _steps(spec: RolloutSpec, state: State, journal: list[JournalEntry]) -> list[StepView]:
    return [_step(spec, index, state, journal) for index in range(len(spec.steps))]


def _step(spec: RolloutSpec, index: int, state: State, journal: list[JournalEntry]) -> StepView:
    """A rung with its outcome, read from the transition that left it."""
    entered = next((e.at for e in journal if e.state.phase is not Phase.PENDING and e.state.step == index), None)
    leaving = next((e for e in journal if _leaves(e, index)), None)
    step = spec.steps[index]
    return StepView(
        name=str(step),
        weight=spec.weight_at(index),
        hold_seconds=step.hold,
        state=_step_state(index, state, leaving),
        took_seconds=leaving.at - entered if leaving and entered is not None else None,
        why=f"{leaving.state.cause}{': ' if leaving.state.detail else ''}{leaving.state.detail}" if leaving else "",
    )


def _leaves(entry: JournalEntry, index: int) -> bool:
    if entry.judged.step != index or entry.judged.phase in (Phase.PENDING, Phase.ROLLING_BACK):
        return False
    return entry.state.step != index or entry.state.phase is Phase.ROLLING_BACK


def _step_state(
    index: int, state: State, leaving: JournalEntry | None
) -> Literal["passed", "current", "waiting", "skipped", "failed"]:
    if leaving is not None and leaving.state.phase is Phase.ROLLING_BACK:
        return "failed"
    if leaving is not None:
        return "skipped" if leaving.state.cause in (Cause.STEP_PROMOTED, Cause.FULLY_PROMOTED) else "passed"
    if state.phase.holds_traffic and state.step == index:
        return "current"
    return "skipped" if state.phase.is_final or state.step > index else "waiting"


def _load(live: Live | None) -> dict[str, object] | None:
    load = live.seen.load if live else None
    if load is None:
        return None
    return {"running": load.running, "trust": load.trust.value, "why": load.why, "breakerClosed": load.breaker_closed}
