"""The rules of the rollout breaker said a second time, plainly: the whole history, looked at anew for every call."""

from collections.abc import Sequence
from random import Random

from rollout.core.breaker import Arm, Breaker, BreakerLimits, BreakerState, Outcome


def oracle(outcomes: Sequence[Outcome], limits: BreakerLimits, p99: float) -> list[str]:
    """The state after each outcome, up to the one that trips."""
    history: dict[str, list[tuple[float, bool, bool]]] = {"stable": [], "canary": []}
    state, states = "armed", []

    def share(arm: str, now: float, kind: int, least: int) -> float:
        recent = [
            call for call in history[arm][-limits.window :] if -limits.age_s_max <= now - call[0] <= limits.age_s_max
        ]
        return sum(call[kind] for call in recent) / len(recent) if len(recent) >= least else 0.0

    for call in outcomes:
        slow = call.timed_out or call.latency_s > max(limits.slow_factor * p99, limits.slow_s_min)
        history[call.arm].append((call.at_s, call.failed, slow))
        run = history["canary"][-limits.consecutive_failures :]
        in_a_row = len(run) == limits.consecutive_failures and all(failed for _, failed, _ in run)
        failing = share("canary", call.at_s, 1, limits.calls_min) >= limits.failure_rate
        slowing = share("canary", call.at_s, 2, limits.calls_min) >= limits.slow_call_rate
        stable_failing, stable_slowing = share("stable", call.at_s, 1, 1), share("stable", call.at_s, 2, 1)
        found = "armed"
        if slowing and (stable_slowing >= limits.slow_call_rate or stable_slowing < limits.stable_share_max):
            found = "shared" if stable_slowing >= limits.slow_call_rate else "tripped"
        if (failing and stable_failing < limits.stable_share_max) or in_a_row:
            found = "tripped"
        if (failing or in_a_row) and stable_failing >= limits.failure_rate:
            found = "shared"
        if state == "shared" and found != "shared":
            history["canary"], found = [], "armed"
        state = found
        states.append(state)
        if state == "tripped":
            break
    return states


def random_case(chance: Random) -> tuple[list[Outcome], BreakerLimits]:
    """A short story with small windows, moody versions, a clock that jumps now and then, and timeouts."""
    window = chance.randint(2, 6)
    limits = BreakerLimits(
        consecutive_failures=chance.randint(2, 6),
        failure_rate=chance.choice((0.3, 0.5, 0.75)),
        slow_call_rate=chance.choice((0.5, 0.8)),
        window=window,
        calls_min=chance.randint(1, window),
        stable_share_max=chance.choice((0.25, 0.4)),
    )
    bad = {arm: chance.choice((0.0, 0.2, 0.5, 0.9)) for arm in Arm}
    outcomes, now = [], chance.uniform(-5, 5)
    for _ in range(chance.randint(1, 24)):
        now += (
            chance.choice((0.1, 0.1, 1.0, 25.0, -0.2)) if chance.random() < 0.97 else chance.choice((3600.0, -3600.0))
        )
        arm = Arm.CANARY if chance.random() < 0.5 else Arm.STABLE
        trouble = chance.random() < bad[arm]
        failed = trouble and chance.random() < 0.7
        slow = trouble and chance.random() < 0.5
        outcomes.append(
            Outcome(arm=arm, failed=failed, latency_s=2.0 if slow else 0.1, at_s=now, timed_out=chance.random() < 0.02)
        )
        if chance.random() < 0.1:
            bad = {arm: chance.choice((0.0, 0.9)) for arm in Arm}
    return outcomes, limits


def states_of(outcomes: Sequence[Outcome], limits: BreakerLimits, p99: float) -> list[str]:
    """The states the breaker itself goes through, fed one outcome at a time."""
    breaker, states = Breaker(limits=limits), []
    for outcome in outcomes:
        breaker = breaker.after([outcome], stable_p99_s=p99)
        states.append(breaker.state.value)
        if breaker.state is BreakerState.TRIPPED:
            break
    return states
