"""One simulated rollout: decide(), obey, let time pass, until it ends."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from rollout.core.absorption import new_state
from rollout.core.breaker import Arm
from rollout.core.decision import Decision
from rollout.core.machine import decide, waiting_gate
from rollout.core.observation import Order, OrderKind
from rollout.core.phase import Cause, Phase, State
from rollout.core.simulation.chance import Chance
from rollout.core.simulation.traffic import Traffic
from rollout.core.simulation.world import World
from rollout.core.spec import RolloutSpec

START_S = 1_000_000.0  # any time but 0, which reads like "never"


class End(StrEnum):
    """How a simulated rollout ended."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"
    TIMED_OUT = "timed out"
    HELD = "held for a person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The end, when it was decided, and what it took."""

    end: End
    cause: str
    """What decided it, and the checks that failed or were still open."""
    decided_s: float
    """Seconds from the start to the decision."""
    step: int
    """Index of the step that was being held."""
    failed_user_requests: int
    """Users' requests that failed at the canary, until the last of them was back on stable or all had moved."""
    canary_requests: int
    """Users' requests that reached the canary until then."""
    probes: int
    """Synthetic requests to the canary until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What to simulate."""

    spec: RolloutSpec
    traffic: Traffic


def simulate(
    story: Story,
    chance: Chance,
    *,
    kept: Callable[[State], State] = lambda state: state,
    each: Callable[[Decision], None] = lambda _: None,
) -> Ending:
    """Run one rollout to its end. *kept* is what the store does to a state; *each* is told of every decision."""
    spec, now = story.spec, START_S
    state, world = new_state(spec, now), World(spec, story.traffic, chance, now)
    step, decided_s, cause = 0, None, ""
    while True:  # the plan's timeouts end every rollout
        seen = world.observe(now)
        if waiting_gate(spec, state):
            approval = Order(number=state.order + 1, kind=OrderKind.APPROVE, actor="simulation")
            seen = replace(seen, orders=(approval,))
        decision = decide(spec, state, seen, now)
        each(decision)
        state = kept(decision.state)
        if state.phase is Phase.PROGRESSING and not state.is_handing_over:
            step = state.step
        elif decided_s is None:
            decided_s, cause = now - START_S, _cause_of(decision)
        for action in decision.actions:
            world.obey(action)
        if state.phase.is_final or state.phase is Phase.PAUSED:
            break
        now = decision.wake_at
        world.advance(now)
    return Ending(
        end=_end_of(state),
        cause=cause,
        decided_s=decided_s or 0.0,
        step=step,
        failed_user_requests=world.users.failures[Arm.CANARY],
        canary_requests=world.users.requests[Arm.CANARY],
        probes=world.probes.requests[Arm.CANARY],
    )


def _cause_of(decision: Decision) -> str:
    """In words without numbers, so that many rollouts can be counted by it."""
    judgement = decision.judgement
    open_checks = [one.check for one in judgement.findings if one.is_required and one.verdict is judgement.verdict]
    is_about_checks = decision.state.cause in (Cause.CHECK_FAILED, Cause.CHECK_FAILED_HELD, Cause.STEP_TIMED_OUT)
    return f"{decision.state.cause}: {', '.join(open_checks)}" if is_about_checks else str(decision.state.cause)


def _end_of(state: State) -> End:
    if state.phase is Phase.SUCCEEDED:
        return End.PROMOTED
    if state.phase is Phase.PAUSED:
        return End.HELD
    return End.ROLLED_BACK if state.decided in (Cause.CHECK_FAILED, Cause.BREAKER_TRIPPED) else End.TIMED_OUT
