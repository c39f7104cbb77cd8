"""A risk budget: weights and holds that bound the expected number of failed user requests, whatever the canary does.

Whatever the canary's error rate p, a step of weight w that leads to a rollback ends in one of two ways:

    harm is proven        after N(p) requests of the canary, plus the time until evidence counts, or
    the step gives up     after timeouts.step, with neither harm nor health proven.

Above the limit p0 that the plan writes, a step is passed by bad luck alone, with probability ALPHA_ACCEPT at most. So
the expected number of failures before the rollback is at most

    F(p) = Σ_i ALPHA_ACCEPT^i · rps · w_i · p · min(timeouts.step, settle + N_i(p) / rate_i + lag)        p > p0

N(p) is where the bets on harm (sequential/absolute.py and ratio.py, as judge.py combines them) would stand at 1/α if
the canary showed exactly what is expected of it; by Wald's identity that is the expected number, up to the last
request's overshoot. rate_i is how fast evidence comes: that of synthetic load does not depend on the weight, so with
load the ladder begins with a probe that no user meets.

Just below p0 a canary is allowed but hard to prove healthy: it passes a step with some probability q, and at some later
one time runs out. The worst q makes the bound

    G = max_q Σ_i q^i (1 - q) · rps · w_i · p0 · timeouts.step

Large steps late make it large, more steps before them or less time make it small. So the ladder takes, step by step,
the largest weight that keeps F inside the budget, then slower ladders and, unless the plan writes one, shorter
timeouts, until G is inside as well.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, inf, log
from typing import Any

from rollout.core.quantities import format_duration, format_percent
from rollout.core.sequential import RatioE, Side, SloE, Tally
from rollout.core.spec import GateStep, Metric, MetricCheck, OnInconclusive, PlanSpec, Source, WeightStep

ALPHA_HARM = 0.01  # of judge.py, as is
ALPHA_ACCEPT = 0.05  # the same
FAILURES_MIN = 5  # the same
STARTS = 8  # more steps than a ladder here ever has: what is kept aside for late regressions delays the first
RUNGS = (1, 2, 3, 5, 8, 10, 15, 20, 25, 35, 50, 75, 100)
GROWTHS = (5.0, 3.0, 2.0, 1.5)  # from step to step; more than fivefold is a test of capacity, too
FIRST_MAX = 10
TIMEOUTS_S = (600.0, 300.0, 180.0, 120.0, 90.0, 60.0)
SPEND = 0.8  # of what is left of the budget, at each step
HOLD_S_MIN = 10.0
HOLD_OF_STEP_MAX = 0.7  # the rest of a step's time is for a good canary that fails once or twice
LAG_S = {Source.LOAD: 3.0, Source.PROMETHEUS: 47.0}
"""From the end of the warm-up to evidence that may convict: a second for a stratum to close; three scrapes, of which
the first overlaps the warm-up and the second alone convicts nobody (ledger.py, GROWTH_MAX_UNKNOWN). Then a second for
the decision and one for the proxies."""
STABLE_SHARE = 0.1  # the stable version is presumed to fail a tenth as often as the limit allows


class BudgetProblem(ValueError):
    """No ladder keeps the budget; says why and what would help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One error-rate check with a limit: how much evidence it needs, and how fast it comes."""

    source: Source
    limit: float
    log_e: float
    """Where its bet on harm convicts."""
    rate: float
    """Requests of the canary per second; of the synthetic load, or at weight 100 of the users."""
    split: float
    """The canary's share of the synthetic load."""

    def seconds(self, error_rate: float, weight: int) -> float:
        """Expected time until harm is proven, from the end of the warm-up."""
        is_load = self.source is Source.LOAD
        rate, share = (self.rate, self.split) if is_load else (self.rate * weight / 100, weight / 100)
        if not rate:
            return inf
        return (
            requests_to_convict(self.limit, error_rate, round(share, 4), round(self.log_e, 6)) / rate
            + LAG_S[self.source]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """What a budget chooses."""

    steps: tuple[dict[str, Any], ...]
    """As in a document."""
    timeout_s: float
    """spec.timeouts.step; the plan's own if it writes one."""


def ladder_for(plan: PlanSpec) -> Ladder:
    """The fastest ladder inside the plan's budget, whatever steps the plan has. Raises BudgetProblem."""
    is_written = "timeouts" in plan.model_fields_set and "step" in plan.timeouts.model_fields_set
    problems = []
    for timeout_s in (plan.timeouts.step,) if is_written else TIMEOUTS_S:
        timed = plan.model_copy(update={"timeouts": plan.timeouts.model_copy(update={"step": timeout_s})})
        for growth in GROWTHS:
            try:
                return Ladder(steps=tuple(_steps(timed, growth)), timeout_s=timeout_s)
            except BudgetProblem as problem:
                problems.append(problem)
    raise problems[0]


def _steps(plan: PlanSpec, growth: float) -> list[dict[str, Any]]:
    assert plan.budget is not None, "plan_rules asks only where there is one"
    watches, left, weight = _watches(plan), float(plan.budget.failed_requests), 0
    weights = [0] if _sees_probes(watches) else []
    while weight < 100:
        reach, most = ALPHA_ACCEPT ** len(weights), max(weight + 1, weight * growth) if weight else FIRST_MAX
        costs = {rung: reach * _worst(plan, watches, rung)[0] for rung in RUNGS if weight < rung <= most}
        fitting = [rung for rung, cost in costs.items() if cost <= SPEND * left]
        if not fitting:
            raise BudgetProblem(_refusal(plan, watches, reach, weight))
        weight = fitting[-1]
        left -= costs[weight]
        weights.append(weight)
    undecided = _undecided(plan, watches, weights)
    if undecided > plan.budget.failed_requests:
        raise BudgetProblem(
            f"{plan.budget.failed_requests} cannot be kept: a canary at its limit, neither proven good nor bad within"
            f" {format_duration(plan.timeouts.step)} a step, costs up to {ceil(undecided)}: raise it, or shorten"
            " timeouts.step"
        )
    return [_step(weight, _hold(plan, watches, weight)) for weight in weights]


def _step(weight: int, hold: str) -> dict[str, Any]:
    return {"weight": weight, "hold": hold} if weight else {"probe": {"hold": hold}}


def expected_failures(plan: PlanSpec) -> tuple[float, float]:
    """The most that the plan's own steps expect, and at which error rate. Raises BudgetProblem."""
    watches, weights = _watches(plan), _judged_weights(plan)
    proven = (
        sum(ALPHA_ACCEPT**i * _failures(plan, watches, weight, rate) for i, weight in enumerate(weights))
        for rate in _error_rates(watches)
    )
    undecided = (_undecided(plan, watches, weights), min(watch.limit for watch in watches))
    return max(undecided, *zip(proven, _error_rates(watches), strict=True))


def _judged_weights(plan: PlanSpec) -> list[int]:
    """Of the steps that have to be passed; a gate is opened by a person, which is no evidence."""
    weights, weight = [], 0
    for step in plan.steps:
        weight = step.weight if isinstance(step, WeightStep) else weight
        if not isinstance(step, GateStep):
            weights.append(weight)
    return weights


def _undecided(plan: PlanSpec, watches: Sequence[Watch], weights: Sequence[int]) -> float:
    """G: the worst over the chance to pass a step."""
    assert plan.budget is not None, "a budget names the traffic"
    at_limit = plan.budget.traffic * min(watch.limit for watch in watches) * plan.timeouts.step
    return max(
        sum((chance / 50) ** i * (1 - chance / 50) * at_limit * weight / 100 for i, weight in enumerate(weights))
        for chance in range(50)
    )


def _sees_probes(watches: Sequence[Watch]) -> bool:
    return any(watch.source is Source.LOAD for watch in watches)


def _watches(plan: PlanSpec) -> list[Watch]:
    """Raises BudgetProblem where nothing bounds the error rate, or nothing ends a step that cannot decide."""
    assert plan.budget is not None, "a budget names the traffic"
    if plan.on_inconclusive is not OnInconclusive.ROLLBACK:
        raise BudgetProblem(
            "needs onInconclusive: rollback, or nothing bounds the failures of a step that cannot decide"
        )
    limited = list(_limited(plan))
    if not limited:
        raise BudgetProblem("needs an error-rate check with a max: without a limit no error rate is a failure")
    families = len({(check.source, key) for check, key in _bets(plan)})
    watches = []
    for check, limit in limited:
        alike = sum(one.source is check.source for one, _ in limited)
        rate = plan.load.rate * plan.load.split if check.source is Source.LOAD and plan.load else plan.budget.traffic
        split = plan.load.split if plan.load else 0.5
        log_e = log(families * alike / ALPHA_HARM)
        watches.append(Watch(source=check.source, limit=limit, log_e=log_e, rate=rate, split=split))
    return watches


def _limited(plan: PlanSpec) -> Iterator[tuple[MetricCheck, float]]:
    for check in plan.checks:
        if isinstance(check, MetricCheck) and check.metric is Metric.ERROR_RATE and check.max is not None:
            yield check, check.max.value


def _bets(plan: PlanSpec) -> Iterator[tuple[MetricCheck, tuple[Metric, bool]]]:
    """The families among which judge.py shares the false alarms."""
    for check in plan.checks:
        if isinstance(check, MetricCheck):
            for is_limit, limit in ((True, check.max), (False, check.max_increase)):
                if limit is not None:
                    yield check, (check.metric, is_limit)


def _error_rates(watches: Sequence[Watch]) -> list[float]:
    """From just above the limit to all of them."""
    least = min(watch.limit for watch in watches)
    rates = [least * 1.05]
    while rates[-1] * 1.25 < 1:
        rates.append(rates[-1] * 1.25)
    return [*rates, 1.0]


def _failures(plan: PlanSpec, watches: Sequence[Watch], weight: int, error_rate: float) -> float:
    """Expected failures of users in one step that is not passed."""
    assert plan.budget is not None, "a budget names the traffic"
    if not weight:
        return 0.0
    seconds = min(watch.seconds(error_rate, weight) for watch in watches if error_rate > watch.limit)
    held_s = min(plan.timeouts.step, plan.settle + seconds)
    return plan.budget.traffic * weight / 100 * error_rate * held_s


def _worst(plan: PlanSpec, watches: Sequence[Watch], weight: int) -> tuple[float, float]:
    return max((_failures(plan, watches, weight, rate), rate) for rate in _error_rates(watches))


@lru_cache(maxsize=4096)  # a few hundred per ladder; a plan is read again with every release
def requests_to_convict(limit: float, error_rate: float, share: float, log_e: float) -> float:
    """Canary requests until the bets on harm reach *log_e*, when all goes as expected."""
    harm = SloE.fresh(Side.HARM, p0=limit, starts_planned=STARTS)
    worse = RatioE.fresh(Side.HARM, starts_planned=STARTS)

    def stands(requests: float) -> bool:
        canary = Tally(events=requests * error_rate, exposure=requests)
        others = requests * (1 - share) / share
        stable = Tally(events=others * limit * STABLE_SHARE, exposure=others)
        return harm.after(canary).log_e >= log_e and (share == 1 or worse.after(canary, stable).log_e >= log_e)

    return _least(stands, FAILURES_MIN / error_rate)


@lru_cache(maxsize=256)
def requests_to_accept(limit: float) -> float:
    """Canary requests without a failure until health is proven; half the stake is on another bet."""
    accept = SloE.fresh(Side.ACCEPT, p0=limit)
    return _least(lambda n: accept.after(Tally(events=0, exposure=n)).log_e >= log(2 / ALPHA_ACCEPT), 1.0)


def _least(stands: Callable[[float], bool], least: float) -> float:
    """The least number from *least* on for which it stands, to a percent; inf beyond 10^9."""
    enough = least
    while not stands(enough):
        enough *= 2
        if enough > 1e9:
            return inf
    too_little = enough / 2
    while enough > least and enough - too_little > 0.01 * enough:
        middle = (too_little + enough) / 2
        enough, too_little = (middle, too_little) if stands(middle) else (enough, middle)
    return enough


def _hold(plan: PlanSpec, watches: Sequence[Watch], weight: int) -> str:
    """As long as a canary without failures needs to be proven healthy, and no shorter than anything can be seen."""
    seconds = HOLD_S_MIN
    for watch in watches:
        rate = watch.rate if watch.source is Source.LOAD else watch.rate * weight / 100
        if rate:
            seconds = max(seconds, requests_to_accept(watch.limit) / rate)
    if seconds > HOLD_OF_STEP_MAX * plan.timeouts.step:
        needed, limit = format_duration(ceil(seconds)), format_duration(plan.timeouts.step)
        raise BudgetProblem(
            f"at weight {weight}% a good canary needs {needed} to be proven healthy, too much of the"
            f" {limit} of timeouts.step: add spec.load, or raise the budget or the timeout"
        )
    return format_duration(ceil(seconds))


def _refusal(plan: PlanSpec, watches: Sequence[Watch], reach: float, weight: int) -> str:
    assert plan.budget is not None, "a budget names the traffic"
    least = next(rung for rung in RUNGS if rung > weight)
    failures, rate = _worst(plan, watches, least)
    help_ = "raise it" if _sees_probes(watches) else "raise it, or add spec.load with an error-rate check of its own"
    cost = ceil(reach * failures / SPEND)
    return (
        f"{plan.budget.failed_requests} cannot be kept: at weight {least}% a canary that fails "
        f"{format_percent(round(rate, 3))} of its requests is expected to cost {cost}; {help_}"
    )
