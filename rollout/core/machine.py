"""decide(): the whole rollout policy as one pure function.

    absorb     fold what was measured into the state        -> State      (absorption.py)
    diagnose   what does this observation mean here?        -> Diagnosis | None
    after      which state does that cause lead to?         -> State      (phase.py)
    converge   what separates the world from that state?    -> actions    (convergence.py)

The order of the tests in diagnose is the policy: the way back comes first, a person beats the judge, the judge beats
the clock.
"""

from dataclasses import dataclass, replace

from rollout.core.absorption import absorb, judgement_of
from rollout.core.breaker import BreakerState
from rollout.core.convergence import converge, preflight, remember_original, route_gap
from rollout.core.decision import Decision
from rollout.core.judge import Judgement, Verdict
from rollout.core.observation import Observation, Order, OrderKind
from rollout.core.outlook import breaker_reason, hold_left_s, outlook_of
from rollout.core.phase import Cause, Phase, State
from rollout.core.quantities import format_duration
from rollout.core.spec import GateStep, OnFail, OnInconclusive, RolloutSpec
from rollout.core.split import split_gap

TICK_S = 1.0  # evidence comes in strata of a second; looking more often sees nothing new
HURRY_S = 0.1  # while a write is under way: proxies take it within milliseconds
ABORTS = frozenset({OrderKind.ABORT})  # before everything else
WISHES = frozenset(OrderKind) - ABORTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The one thing that moves the rollout on."""

    cause: Cause
    detail: str = ""


def decide(spec: RolloutSpec, state: State, seen: Observation, now: float) -> Decision:
    """Return the new state, what to do, and when to look again. A function of its arguments and of nothing else."""
    state = absorb(spec, state, seen, now)
    judged, judgement = state, judgement_of(spec, state)
    diagnosis = diagnose(spec, state, seen, judgement, now)
    state = replace(state, order=max((order.number for order in seen.orders), default=state.order))
    if diagnosis is not None:
        state = _moved(spec, state, seen, diagnosis, now)
    actions = converge(spec, state, seen)
    return Decision(
        state=state,
        judged=judged,
        judgement=judgement,
        actions=actions,
        wake_at=_wake_at(state, now, moved=diagnosis is not None, acts=bool(actions)),
        outlook=outlook_of(spec, state, seen, judgement, now),
    )


def diagnose(spec: RolloutSpec, state: State, seen: Observation, judgement: Judgement, now: float) -> Diagnosis | None:
    """Name the one thing that moves the rollout on, or None to keep waiting."""
    match state.phase:
        case Phase.PENDING:
            return _order(spec, state, seen, ABORTS) or _start(spec, state, seen, now)
        case Phase.PROGRESSING:
            return (
                _order(spec, state, seen, ABORTS)
                or _harm(spec, state, judgement)
                or _order(spec, state, seen, WISHES)
                or _advance(spec, state, seen, judgement, now)
                or _deadline(spec, state, judgement, now)
            )
        case Phase.PAUSED:
            return (
                _order(spec, state, seen, ABORTS) or _harm(spec, state, judgement) or _order(spec, state, seen, WISHES)
            )
        case Phase.ROLLING_BACK:
            gap = "" if state.original is None else route_gap(spec, state, seen)
            return None if gap else Diagnosis(cause=Cause.TRAFFIC_RESTORED, detail=state.detail)
        case Phase.SUCCEEDED | Phase.ROLLED_BACK:
            return None


def _moved(spec: RolloutSpec, state: State, seen: Observation, diagnosis: Diagnosis, now: float) -> State:
    """Follow the table, and keep what the world looked like at this moment where a later step needs it."""
    moved = state.after(diagnosis.cause, now, diagnosis.detail)
    if diagnosis.cause is Cause.PREFLIGHT_PASSED:
        return replace(moved, started=now, original=remember_original(spec, seen.route))
    if diagnosis.cause is Cause.TRAFFIC_ARRIVED and seen.proxies is not None:
        return replace(moved, served=seen.proxies.served)
    return moved


def _wake_at(state: State, now: float, *, moved: bool, acts: bool) -> float:
    is_routing = state.phase is Phase.ROLLING_BACK or (state.phase is Phase.PROGRESSING and state.arrived is None)
    return now + (HURRY_S if moved or acts or is_routing else TICK_S)


def _pending_orders(state: State, seen: Observation) -> tuple[Order, ...]:
    return tuple(order for order in seen.orders if order.number > state.order)


def _start(spec: RolloutSpec, state: State, seen: Observation, now: float) -> Diagnosis | None:
    problem = preflight(spec, seen)
    if not problem:
        return Diagnosis(cause=Cause.PREFLIGHT_PASSED)
    if now - state.since >= spec.plan.timeouts.ready:
        return Diagnosis(cause=Cause.NOT_READY, detail=problem)
    return None


def _harm(spec: RolloutSpec, state: State, judgement: Judgement) -> Diagnosis | None:
    """Users first: the breaker needs no statistics, the judge has done them."""
    if state.breaker.state is BreakerState.TRIPPED:
        return Diagnosis(cause=Cause.BREAKER_TRIPPED, detail=breaker_reason(state.breaker))
    if judgement.verdict is not Verdict.FAIL or state.is_handing_over:
        return None
    if spec.plan.on_fail is OnFail.ROLLBACK:
        return Diagnosis(cause=Cause.CHECK_FAILED, detail=judgement.reason)
    if state.phase is Phase.PAUSED:
        return None
    return Diagnosis(cause=Cause.CHECK_FAILED_HELD, detail=judgement.reason)


def _order(spec: RolloutSpec, state: State, seen: Observation, kinds: frozenset[OrderKind]) -> Diagnosis | None:
    """The first standing order of *kinds* that means something here; orders that do not are passed over."""
    for order in _pending_orders(state, seen):
        cause = _cause_of(spec, state, order) if order.kind in kinds else None
        if cause is not None:
            return Diagnosis(cause=cause, detail=_by(order))
    return None


def _cause_of(spec: RolloutSpec, state: State, order: Order) -> Cause | None:
    is_paused = state.phase is Phase.PAUSED
    match order.kind:
        case OrderKind.PAUSE:
            return None if is_paused or state.is_handing_over else Cause.PAUSE_REQUESTED
        case OrderKind.RESUME:
            return Cause.RESUME_REQUESTED if is_paused else None
        case OrderKind.APPROVE:
            gate = waiting_gate(spec, state)
            return Cause.GATE_APPROVED if gate is not None and order.gate in (None, gate) else None
        case OrderKind.PROMOTE:
            return None if state.is_handing_over else Cause.STEP_PROMOTED
        case OrderKind.PROMOTE_FULL:
            return None if state.is_handing_over else Cause.FULLY_PROMOTED
        case OrderKind.ABORT:
            return Cause.ABORT_REQUESTED


def waiting_gate(spec: RolloutSpec, state: State) -> str | None:
    """Name of the gate the rollout stands at."""
    if state.phase is not Phase.PROGRESSING or state.is_handing_over:
        return None
    step = spec.steps[state.step]
    return step.gate if isinstance(step, GateStep) else None


def _advance(spec: RolloutSpec, state: State, seen: Observation, judgement: Judgement, now: float) -> Diagnosis | None:
    if state.is_handing_over:
        return None if route_gap(spec, state, seen) else Diagnosis(cause=Cause.TRAFFIC_MOVED)
    if state.arrived is None:
        return None if route_gap(spec, state, seen) else Diagnosis(cause=Cause.TRAFFIC_ARRIVED)
    if waiting_gate(spec, state) or not may_advance(state, judgement) or hold_left_s(spec, state, now) > 0:
        return None
    if split_gap(spec, state, seen):
        return None
    return _next(spec, state, Cause.STEP_PASSED, judgement.reason)


def may_advance(state: State, judgement: Judgement) -> bool:
    """Health is proven, and the breaker sees no outage of both versions."""
    return judgement.may_advance and state.breaker.state is not BreakerState.SHARED


def _next(spec: RolloutSpec, state: State, cause: Cause, detail: str) -> Diagnosis:
    is_last = state.step == len(spec.steps) - 1
    return Diagnosis(cause=Cause.LAST_STEP_PASSED if is_last else cause, detail=detail)


def _deadline(spec: RolloutSpec, state: State, judgement: Judgement, now: float) -> Diagnosis | None:
    """Nothing lasts for ever: blindness, a step, the rollout. Time at a gate or handing over is not counted."""
    timeouts = spec.plan.timeouts
    if state.is_handing_over or waiting_gate(spec, state):
        return None
    if judgement.blind_since is not None and now - judgement.blind_since >= timeouts.stall:
        blind_for = format_duration(round(now - judgement.blind_since))
        return Diagnosis(cause=Cause.EVIDENCE_STALLED, detail=f"blind for {blind_for}: {judgement.reason}")
    if now - state.started - state.waited_s >= timeouts.rollout:
        limit = format_duration(timeouts.rollout)
        return Diagnosis(cause=Cause.ROLLOUT_TIMED_OUT, detail=f"not done after {limit}: {judgement.reason}")
    if now - state.since < timeouts.step:
        return None
    detail = f"undecided after {format_duration(timeouts.step)}: {judgement.reason}"
    match spec.plan.on_inconclusive:
        case OnInconclusive.ROLLBACK:
            return Diagnosis(cause=Cause.STEP_TIMED_OUT, detail=detail)
        case OnInconclusive.HOLD:
            return None
        case OnInconclusive.PROMOTE_IF_NO_HARM:
            if state.arrived is None or judgement.is_blind or judgement.is_shared_outage:
                return None
            return _next(spec, state, Cause.DEADLINE_PROMOTED, detail)


def _by(order: Order) -> str:
    return f"{order.actor}: {order.reason}" if order.reason else order.actor
