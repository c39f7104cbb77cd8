"""What a rollout is doing right now and what it waits for, in a sentence for people."""

from rollout.core.breaker import Breaker, BreakerState, Finding, Symptom
from rollout.core.convergence import preflight, route_gap
from rollout.core.decision import Outlook
from rollout.core.judge import Judgement
from rollout.core.observation import Observation
from rollout.core.phase import Phase, State
from rollout.core.quantities import format_duration
from rollout.core.spec import GateStep, RolloutSpec
from rollout.core.split import split_gap


def hold_left_s(spec: RolloutSpec, state: State, now: float) -> float:
    """Seconds until the current step has been held long enough, counted from the end of its warm-up."""
    assert state.arrived is not None, "a hold begins when the traffic has arrived"
    return max(0.0, state.arrived + spec.plan.settle + spec.steps[state.step].hold - now)


def outlook_of(spec: RolloutSpec, state: State, seen: Observation, judgement: Judgement, now: float) -> Outlook:
    """Describe the state after a decision."""
    return Outlook(
        waiting_for=_waiting_for(spec, state, seen, judgement, now),
        is_blind=state.phase.holds_traffic and judgement.is_blind,
        observed_percent=observed_percent(spec, state, seen),
    )


def observed_percent(spec: RolloutSpec, state: State, seen: Observation) -> float | None:
    """The canary's share of users' requests since the step's weights arrived; None when none were counted."""
    served = seen.proxies.served if seen.proxies else None
    if served is None or state.served is None:
        return None
    counts = {version: served.get(version, 0) - state.served.get(version, 0) for version in served}
    everything = counts.get(spec.stable, 0) + counts.get(spec.canary, 0)
    return 100 * counts.get(spec.canary, 0) / everything if everything > 0 else None


def _waiting_for(spec: RolloutSpec, state: State, seen: Observation, judgement: Judgement, now: float) -> str:
    match state.phase:
        case Phase.PENDING:
            return preflight(spec, seen)
        case Phase.PAUSED:
            return f"paused ({state.detail}); go on with: rollout resume {spec.service}"
        case Phase.ROLLING_BACK:
            return route_gap(spec, state, seen)
        case Phase.SUCCEEDED | Phase.ROLLED_BACK:
            return ""
        case Phase.PROGRESSING:
            return _step_waits_for(spec, state, seen, judgement, now)


def _step_waits_for(spec: RolloutSpec, state: State, seen: Observation, judgement: Judgement, now: float) -> str:
    if state.is_handing_over or state.arrived is None:
        return route_gap(spec, state, seen)
    step = spec.steps[state.step]
    if isinstance(step, GateStep):
        return f"gate {step.gate}; open it with: rollout approve {spec.service}"
    if state.breaker.state is BreakerState.SHARED:
        return f"holding, shared outage: {breaker_reason(state.breaker)}"
    if gap := split_gap(spec, state, seen):
        return gap
    left_s = hold_left_s(spec, state, now)
    held = f"held for another {format_duration(round(left_s, 1))}" if left_s else ""
    if judgement.may_advance:
        return held
    return f"{held}; {judgement.reason}" if held else judgement.reason


def breaker_reason(breaker: Breaker) -> str:
    """What the breaker saw, with its numbers."""
    finding = breaker.finding
    if finding is None:
        return ""
    match finding.symptom:
        case Symptom.CONSECUTIVE_FAILURES:
            return f"{finding.observed:g} calls of the canary in a row failed"
        case Symptom.FAILURE_RATE:
            return f"{finding.observed:.0%} of the canary's latest calls failed{_beside(finding)}"
        case Symptom.SLOW_CALLS:
            return f"{finding.observed:.0%} of the canary's latest calls were slow{_beside(finding)}"
        case Symptom.NO_ENDPOINTS:
            return "the canary has no ready endpoint"
        case Symptom.RESTARTS:
            return f"the canary's containers restarted {finding.observed:g} times within a minute"


def _beside(finding: Finding) -> str:
    stable = finding.stable
    return f", {stable.events:g} of {stable.exposure:g} of stable's" if stable and stable.exposure else ""
