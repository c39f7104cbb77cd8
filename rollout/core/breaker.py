"""The rollout breaker: a fuse between a failing canary and the users, faster and blunter than any statistic.

It looks at single calls as they come and trips on the first of

    consecutive failures   the last 10 canary calls failed
    failure rate           half of the last 20 canary calls failed while less than a quarter of the stable ones did
    slow calls             80 % of the last 20 canary calls were slow while less than a quarter of the stable ones were
    no endpoints           the canary has no ready endpoint
    restarts               its containers restarted three times within a minute

A fuse, not a thermostat: once tripped it stays so for the life of the rollout, there is no half-open and no second try,
and tripping means weight 0 at once.

Where both versions fail or are slow the fault is shared, and the state says so: hold, never advance, never blame the
canary. What the canary did during a shared outage is evidence against nobody, so its window starts empty when the
outage ends; otherwise its last failures would trip the fuse just as the busier stable version recovers.

Windows count calls, not seconds: at half a canary call per second a window of 10 s would never fill. Age only retires
calls, so a clock that jumps in either direction may retire a window and can never trip the fuse; the run of consecutive
failures has no clock at all.

The judge (`sequential` and its user) sees smaller regressions; this one needs no baseline, no warm-up and ten calls. A
person may bypass it, which is for the journal to record.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import inf, isfinite
from typing import Self

from rollout.core.sequential import Tally


class Arm(StrEnum):
    """Which version answered."""

    STABLE = "stable"
    CANARY = "canary"


class BreakerState(StrEnum):
    """ARMED watches; TRIPPED is final; BYPASSED is blind by order; SHARED holds while both versions are bad."""

    ARMED = "armed"
    TRIPPED = "tripped"
    BYPASSED = "bypassed"
    SHARED = "shared"


class Symptom(StrEnum):
    """What the breaker saw."""

    CONSECUTIVE_FAILURES = "consecutive-failures"
    FAILURE_RATE = "failure-rate"
    SLOW_CALLS = "slow-calls"
    NO_ENDPOINTS = "no-endpoints"
    RESTARTS = "restarts"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLimits:
    """When the fuse blows. Rates are shares of the window."""

    consecutive_failures: int = 10  # by chance once in 10^20 calls at an error rate of 1 %
    failure_rate: float = 0.5  # of 20 calls: by chance once in 10^8 windows at 5 %, once in 400 at 20 %
    slow_call_rate: float = 0.8
    window: int = 20  # calls per version
    calls_min: int = 10  # fewer say nothing about a rate
    age_s_max: float = 60.0  # older calls are about another time
    stable_share_max: float = 0.25  # a stable version this bad is no yardstick for a rate
    slow_factor: float = 5.0  # times the stable version's p99 is slow...
    slow_s_min: float = 1.0  # ...but nothing faster than this
    restarts: int = 3  # within age_s_max

    def __post_init__(self) -> None:
        for name in ("failure_rate", "slow_call_rate", "stable_share_max"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share above 0 and at most 1, not {getattr(self, name)}")
        for name in ("consecutive_failures", "calls_min", "restarts", "age_s_max", "slow_factor", "slow_s_min"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        if self.window < self.calls_min:
            raise ValueError(f"a window of {self.window} calls never holds the calls_min of {self.calls_min}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One call, in the order in which calls ended. `at_s` is any clock that usually runs forward."""

    arm: Arm
    failed: bool
    latency_s: float
    at_s: float
    timed_out: bool = False

    def __post_init__(self) -> None:
        if not (isfinite(self.at_s) and self.latency_s >= 0):
            raise ValueError(f"a call at {self.at_s} s that took {self.latency_s} s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The canary's pods: how many are ready, and how often their containers have restarted in total."""

    ready: int
    restarts: int
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What the window keeps of an outcome."""

    at_s: float
    failed: bool
    slow: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """The last calls of each version, and how many canary calls in a row have failed."""

    canary: tuple[Call, ...] = ()
    stable: tuple[Call, ...] = ()
    failures_in_a_row: int = 0
    calls: int = 0  # outcomes looked at since the rollout began

    def after(self, arm: Arm, call: Call, window: int) -> Self:
        """The newest call enters, the oldest of its version leaves."""
        canary, stable, in_a_row = self.canary, self.stable, self.failures_in_a_row
        match arm:
            case Arm.CANARY:
                canary = (*canary, call)[-window:]
                in_a_row = in_a_row + 1 if call.failed else 0
            case Arm.STABLE:
                stable = (*stable, call)[-window:]
        return type(self)(canary=canary, stable=stable, failures_in_a_row=in_a_row, calls=self.calls + 1)

    def without_canary(self) -> Self:
        """As if the canary had not been called yet."""
        return type(self)(stable=self.stable, calls=self.calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Why the state is what it is: `observed` reached `limit`. The tallies are the bad calls among the recent ones."""

    symptom: Symptom
    observed: float
    limit: float
    at_s: float
    calls: int  # outcomes looked at, the decisive one included
    canary: Tally | None = None
    stable: Tally | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """The state of the fuse: bounded by two windows, complete in JSON."""

    limits: BreakerLimits = field(default_factory=BreakerLimits)
    state: BreakerState = BreakerState.ARMED
    finding: Finding | None = None
    recent: Recent = field(default_factory=Recent)
    restarts: int | None = None
    restarted_at_s: tuple[float, ...] = ()

    def after(self, outcomes: Iterable[Outcome], *, stable_p99_s: float | None) -> "Breaker":
        """The state after a batch. Without a p99 of the stable version only a timeout is slow."""
        if self.is_blind:
            return self
        state, finding, recent = self.state, self.finding, self.recent
        slow_over_s = _slow_over_s(self.limits, stable_p99_s)
        for outcome in outcomes:
            slow = outcome.timed_out or outcome.latency_s > slow_over_s
            call = Call(at_s=outcome.at_s, failed=outcome.failed, slow=slow)
            recent = recent.after(outcome.arm, call, self.limits.window)
            found = _found(self.limits, recent, outcome.at_s)
            is_shared = found is not None and found[0] is BreakerState.SHARED
            if state is BreakerState.SHARED and not is_shared:
                state, finding, recent = BreakerState.ARMED, None, recent.without_canary()
            elif state is BreakerState.ARMED and found is not None:
                state, finding = found
                if state is BreakerState.TRIPPED:
                    break
        return replace(self, state=state, finding=finding, recent=recent)

    def after_endpoints(self, endpoints: Endpoints) -> "Breaker":
        """The state after a look at the canary's pods. A count that fell belongs to new pods: nothing restarted."""
        if self.is_blind:
            return self
        limit = self.limits.restarts
        new = 0 if self.restarts is None else max(0, endpoints.restarts - self.restarts)
        times = (*self.restarted_at_s, *(endpoints.at_s,) * min(new, limit))[-limit:]
        breaker = replace(self, restarts=endpoints.restarts, restarted_at_s=times)
        recent = sum(abs(endpoints.at_s - at_s) <= self.limits.age_s_max for at_s in times)
        if endpoints.ready <= 0:
            return _tripped(breaker, Symptom.NO_ENDPOINTS, endpoints.ready, 0, endpoints.at_s)
        if recent >= limit:
            return _tripped(breaker, Symptom.RESTARTS, recent, limit, endpoints.at_s)
        return breaker

    def bypassed(self) -> "Breaker":
        """Blind, and forgetful, until armed again. A fuse that has blown stays blown."""
        if self.state is BreakerState.TRIPPED:
            raise ValueError("the breaker has tripped: the rollout is being taken back")
        return type(self)(limits=self.limits, state=BreakerState.BYPASSED, recent=Recent(calls=self.recent.calls))

    def armed(self) -> "Breaker":
        """Watching again after a bypass, from now on."""
        return replace(self, state=BreakerState.ARMED) if self.state is BreakerState.BYPASSED else self

    @property
    def is_blind(self) -> bool:
        """Whether outcomes no longer matter."""
        return self.state in {BreakerState.TRIPPED, BreakerState.BYPASSED}


def _tripped(breaker: Breaker, symptom: Symptom, observed: float, limit: float, at_s: float) -> Breaker:
    finding = Finding(symptom=symptom, observed=observed, limit=limit, at_s=at_s, calls=breaker.recent.calls)
    return replace(breaker, state=BreakerState.TRIPPED, finding=finding)


def _slow_over_s(limits: BreakerLimits, stable_p99_s: float | None) -> float:
    return inf if stable_p99_s is None else max(limits.slow_factor * stable_p99_s, limits.slow_s_min)


def _found(limits: BreakerLimits, recent: Recent, now_s: float) -> tuple[BreakerState, Finding] | None:
    """What the windows show, if anything. A stable version as bad shares the fault, a less bad one leaves it open."""
    if not [call for call in recent.canary if call.failed or call.slow]:
        return None  # nearly always
    canary = _fresh(recent.canary, limits, now_s)
    for charge in _charges(limits, recent.failures_in_a_row, canary):
        stable = _tally(_fresh(recent.stable, limits, now_s), charge.symptom)
        share = stable.events / stable.exposure if stable.exposure else 0.0
        finding = Finding(
            symptom=charge.symptom,
            observed=charge.observed,
            limit=charge.limit,
            at_s=now_s,
            calls=recent.calls,
            canary=_tally(canary, charge.symptom),
            stable=stable,
        )
        if share >= charge.shared_from:
            return BreakerState.SHARED, finding
        if share < charge.stable_share_below:
            return BreakerState.TRIPPED, finding
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Charge:
    """A limit the canary has reached, and how bad the stable version must be, or must not be, for it to count."""

    symptom: Symptom
    observed: float
    limit: float
    shared_from: float
    stable_share_below: float


def _charges(limits: BreakerLimits, in_a_row: int, canary: Sequence[Call]) -> Iterator[_Charge]:
    """Failures before slowness, since a call that failed is often a slow one as well."""
    if in_a_row >= limits.consecutive_failures:
        yield _Charge(
            symptom=Symptom.CONSECUTIVE_FAILURES,
            observed=in_a_row,
            limit=limits.consecutive_failures,
            shared_from=limits.failure_rate,
            stable_share_below=limits.failure_rate,
        )
    if len(canary) < limits.calls_min:
        return
    for symptom, limit in (
        (Symptom.FAILURE_RATE, limits.failure_rate),
        (Symptom.SLOW_CALLS, limits.slow_call_rate),
    ):
        share = sum([call.slow if symptom is Symptom.SLOW_CALLS else call.failed for call in canary]) / len(canary)
        if share >= limit:
            yield _Charge(
                symptom=symptom,
                observed=share,
                limit=limit,
                shared_from=limit,
                stable_share_below=limits.stable_share_max,
            )


def _fresh(calls: Sequence[Call], limits: BreakerLimits, now_s: float) -> list[Call]:
    return [call for call in calls if abs(now_s - call.at_s) <= limits.age_s_max]


def _tally(calls: Sequence[Call], symptom: Symptom) -> Tally:
    bad = [call.slow if symptom is Symptom.SLOW_CALLS else call.failed for call in calls]
    return Tally(events=sum(bad), exposure=len(bad))
