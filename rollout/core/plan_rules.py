"""The way into a RolloutPlan: every rule that spans keys, and every problem listed at once with its key's path."""

import itertools
from collections.abc import Iterator
from typing import Any

from rollout.core.budget import BudgetProblem, expected_failures, ladder_for
from rollout.core.plan_errors import Problem, problems_from
from rollout.core.quantities import Unit, format_duration, format_percent
from rollout.core.spec import (
    AUTO,
    Check,
    CohortStep,
    Metric,
    OnNoData,
    PlanSpec,
    ProbeStep,
    QueryCheck,
    RolloutPlan,
    Source,
    StringMatch,
)


class PlanError(ValueError):
    """The document is not a RolloutPlan; every problem found is listed, each with its key's path."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def parse_plan(document: Any) -> RolloutPlan:
    """Read a RolloutPlan from parsed YAML or JSON.

    Raises PlanError listing everything that is wrong, not only the first thing.
    """
    document = _with_ladder(document)
    shape, plan = problems_from(RolloutPlan, document)
    problems = (*shape, *_ladder_problems(document), *(_sense_problems(plan.spec) if plan else ()))
    if problems or plan is None:
        raise PlanError(problems)
    return plan


def _with_ladder(document: Any) -> Any:
    """The document with the steps that its budget chooses: it says `steps: auto`, or has a budget and no steps.

    The second is how a cluster says it: there a list is a list, and nothing else.

    Raises PlanError when the rest of the document is wrong or no ladder keeps the budget.
    """
    spec = document.get("spec") if isinstance(document, dict) else None
    if not isinstance(spec, dict) or spec.get("steps", AUTO if "budget" in spec else None) != AUTO:
        return document
    problems, plan = problems_from(RolloutPlan, {**document, "spec": {**spec, "steps": [_ANY_STEP]}})
    if plan is None:
        raise PlanError(problems)
    if plan.spec.budget is None:
        raise PlanError((Problem(("spec", "budget"), "is required with steps: auto"),))
    try:
        ladder = ladder_for(plan.spec)
    except BudgetProblem as problem:
        raise PlanError((Problem(("spec", "budget", "failedRequests"), str(problem)),)) from problem
    timeouts = {**(spec.get("timeouts") or {}), "step": format_duration(ladder.timeout_s)}
    return {**document, "spec": {**spec, "steps": list(ladder.steps), "timeouts": timeouts}}


_ANY_STEP = {"weight": 100, "hold": "1s"}


def _budget_problems(spec: PlanSpec) -> Iterator[Problem]:
    """Steps that somebody wrote are held to the budget as well."""
    where = ("spec", "budget", "failedRequests")
    if spec.budget is None:
        return
    try:
        expected, rate = expected_failures(spec)
    except BudgetProblem as problem:
        yield Problem(where, str(problem))
        return
    if expected > spec.budget.failed_requests:
        shown_rate = format_percent(round(rate, 3))
        yield Problem(where, f"the steps expect up to {expected:,.0f}, of a canary that fails {shown_rate}")


def _ladder_problems(document: Any) -> Iterator[Problem]:
    """The weights must rise to 100. Looks at the raw document, so that it speaks up beside other problems."""
    spec = document.get("spec") if isinstance(document, dict) else None
    steps = spec.get("steps") if isinstance(spec, dict) else None
    if not isinstance(steps, list):
        return
    weights = [(i, step["weight"]) for i, step in enumerate(steps) if isinstance(step, dict) and "weight" in step]
    if any(isinstance(weight, bool) or not isinstance(weight, int) for _, weight in weights):
        return
    for (_, lower), (index, upper) in itertools.pairwise(weights):
        if upper <= lower:
            yield Problem(("spec", "steps", index, "weight"), f"weights must rise: {upper} follows {lower}")
    if not weights or weights[-1][1] != 100:
        yield Problem(("spec", "steps"), "the last weight must be 100: a rollout ends with all traffic on the canary")
    for index, step in enumerate(steps):
        if isinstance(step, dict) and "probe" in step and any(i < index for i, _ in weights):
            yield Problem(("spec", "steps", index), "a probe looks at weight 0: put it before the first weight")


def _sense_problems(spec: PlanSpec) -> Iterator[Problem]:
    """Rules across keys, once every key by itself is right."""
    at = ("spec",)
    for index, step in enumerate(spec.steps):
        if step.hold >= spec.timeouts.step:
            held, limit = format_duration(step.hold), format_duration(spec.timeouts.step)
            yield Problem((*at, "steps", index), f"is held for {held}, but spec.timeouts.step gives up after {limit}")
        if isinstance(step, ProbeStep) and spec.load is None:
            yield Problem((*at, "steps", index, "probe"), "needs spec.load: at weight 0 only synthetic requests arrive")
        if isinstance(step, CohortStep):
            yield from _match_problems((*at, "steps", index, "cohort", "headers"), step.cohort.headers)
    yield from _budget_problems(spec)
    total_s = sum(step.hold for step in spec.steps)
    if total_s >= spec.timeouts.rollout:
        held, limit = format_duration(total_s), format_duration(spec.timeouts.rollout)
        yield Problem((*at, "timeouts", "rollout"), f"is {limit}, but the steps alone are held for {held}")
    if all(check.on_no_data is OnNoData.IGNORE for check in spec.checks):
        yield Problem((*at, "checks"), "all say onNoData: ignore, so a release would pass without any evidence")
    names: set[str] = set()
    for index, check in enumerate(spec.checks):
        where = (*at, "checks", index)
        if check.name in names:
            yield Problem((*where, "name"), f"{check.name!r} is used twice")
        names.add(check.name)
        if check.source is Source.LOAD and spec.load is None:
            yield Problem((*where, "source"), "is load, but the plan has no spec.load")
        yield from _limit_problems(where, check)


def _match_problems(where: tuple[str | int, ...], headers: dict[str, StringMatch]) -> Iterator[Problem]:
    for name, match in headers.items():
        if sum(value is not None for value in (match.exact, match.prefix, match.regex)) != 1:
            yield Problem((*where, name), "needs exactly one of exact, prefix, regex")


def _limit_problems(where: tuple[str | int, ...], check: Check) -> Iterator[Problem]:
    if isinstance(check, QueryCheck):
        if check.max is None and check.min is None:
            yield Problem(where, "has no limit: set max, min or both")
        elif check.max is not None and check.min is not None and check.min > check.max:
            yield Problem((*where, "min"), f"{check.min:g} is above max {check.max:g}: no value can pass")
        return
    if check.max is None and check.max_increase is None:
        yield Problem(where, "has no limit: set max, maxIncrease or both")
    for key, limit in (("max", check.max), ("maxIncrease", check.max_increase)):
        allowed = _UNITS[check.metric, key]
        if limit is not None and limit.unit not in allowed:
            units = " or ".join(_EXAMPLES[unit] for unit in allowed)
            yield Problem((*where, key), f"{limit} does not fit {check.metric}: write {units}")


_UNITS = {
    (Metric.ERROR_RATE, "max"): (Unit.PERCENT,),
    (Metric.ERROR_RATE, "maxIncrease"): (Unit.PERCENT, Unit.POINTS),
    (Metric.LATENCY, "max"): (Unit.SECONDS,),
    (Metric.LATENCY, "maxIncrease"): (Unit.PERCENT, Unit.SECONDS),
}
_EXAMPLES = {
    Unit.PERCENT: "a percentage (50%)",
    Unit.POINTS: "percentage points (0.5pp)",
    Unit.SECONDS: "a time (25ms)",
}
