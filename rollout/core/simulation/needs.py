"""How many requests a plan needs before a good canary can be proven good, and how long that takes at a given traffic.

No chance here: both versions show exactly what is expected of them, the ledger and the judge are the real ones, and the
time is found by halving. A real canary needs more or less, by luck; half of them need more.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from rollout.core.evidence import Counts, Stratum
from rollout.core.judge import Finding, Verdict, judge
from rollout.core.ledger import Evidence, fold
from rollout.core.simulation.traffic import Behaviour, Traffic
from rollout.core.simulation.world import ISTIO_BOUNDS_MS
from rollout.core.spec import GateStep, PlanSpec, Source, WeightStep
from rollout.core.trials import Trial, trials_of

YARDSTICK_REQUESTS = 100_000  # of the stable version, before: its quantiles are known
LOOK_AHEAD_S = 30 * 86400.0  # a month: beyond it the answer is "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one check needs in one step."""

    step: int
    check: str
    source: Source
    requests: float
    """Of the canary; inf when no number is enough."""
    seconds: float
    """At the given traffic, from the arrival of the step's weight; inf when it cannot be had."""
    timeout_s: float

    @property
    def fits(self) -> bool:
        """Whether it can be had before the step's deadline."""
        return self.seconds <= self.timeout_s


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rates:
    """Requests per second of either version, and how they answer, as one source sees it."""

    canary: float
    stable: float
    behaviour: Behaviour
    edges: tuple[float, ...]
    within: tuple[float, ...]

    def after(self, seconds: float, start: float) -> Stratum:
        """What is expected in so many seconds."""
        canary, stable = (self._counts(round(rate * seconds)) for rate in (self.canary, self.stable))
        return Stratum(start=start, end=start + seconds, stable=stable, canary=canary)

    def yardstick(self) -> Stratum:
        """The stable version before."""
        return Stratum(start=0.5, end=1.0, stable=self._counts(YARDSTICK_REQUESTS), canary=self._counts(0))

    def _counts(self, requests: int) -> Counts:
        below = [0, *(round(requests * share) for share in self.within)]
        latency = {edge: below[i + 1] - below[i] for i, edge in enumerate(self.edges)}
        return Counts(requests=requests, failures=round(requests * self.behaviour.error_rate), latency=latency)


def needs_of(plan: PlanSpec, traffic: Traffic) -> tuple[Need, ...]:
    """For every step and every check that the step waits for; custom queries need no number of requests."""
    return tuple(need for index in range(len(plan.steps)) for need in _of_step(plan, traffic, index))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One step through the eyes of one source."""

    plan: PlanSpec
    trials: tuple[Trial, ...]
    source: Source
    weight: int
    rates: _Rates
    known: Evidence

    def findings(self, seconds: float) -> dict[str, Finding]:
        """What is found of the source's checks after so many seconds."""
        stratum = self.rates.after(seconds, start=1.0)
        evidence = fold(self.known, self.trials, self.source, stratum, len(self.plan.steps))
        mine = {trial.label for trial in self.trials if trial.source is self.source}
        return {one.check: one for one in judge(self.plan, evidence, weight=self.weight).findings if one.check in mine}

    def passes(self, check: str, seconds: float) -> bool:
        """Whether health is proven by then."""
        return self.findings(seconds)[check].verdict is Verdict.PASS


def _of_step(plan: PlanSpec, traffic: Traffic, index: int) -> Iterator[Need]:
    if isinstance(plan.steps[index], GateStep):
        return
    weight = max((step.weight for step in plan.steps[: index + 1] if isinstance(step, WeightStep)), default=0)
    trials = trials_of(plan)
    for source in dict.fromkeys(trial.source for trial in trials):
        rates = _rates(plan, traffic, source, weight)
        known = fold(Evidence(), trials, source, rates.yardstick(), len(plan.steps)).for_next_step()
        look = _Look(plan=plan, trials=trials, source=source, weight=weight, rates=rates, known=known)
        for check, finding in look.findings(0.0).items():
            if finding.is_required:
                seconds = _seconds(look, check)
                requests = seconds * rates.canary if seconds < inf else inf
                timeout_s = plan.timeouts.step - plan.settle
                yield Need(
                    step=index,
                    check=check,
                    source=source,
                    requests=requests,
                    seconds=seconds,
                    timeout_s=timeout_s,
                )


def _seconds(look: _Look, check: str) -> float:
    """The least number of seconds after which the check passes, to a percent."""
    if not look.rates.canary:
        return inf
    enough = 1.0
    while not look.passes(check, enough):
        enough *= 2
        if enough > LOOK_AHEAD_S:
            return inf
    too_little = enough / 2
    while enough - too_little > 0.01 * enough:
        middle = (too_little + enough) / 2
        enough, too_little = (middle, too_little) if look.passes(check, middle) else (enough, middle)
    return enough


def _rates(plan: PlanSpec, traffic: Traffic, source: Source, weight: int) -> _Rates:
    stable = traffic.stable
    if source is Source.LOAD:
        assert plan.load is not None, "plan_rules sees to it that a check of the load has one"
        rate, share = plan.load.rate, plan.load.split
        edges, within = stable.buckets(plan.load.timeout)
        stable = stable.with_timeout(plan.load.timeout)
    else:
        rate, share = traffic.rps, weight / 100
        edges = (*(bound / 1000 for bound in ISTIO_BOUNDS_MS), inf)
        within = (*(1 - stable.share_slower(edge) for edge in edges[:-1]), 1.0)
    return _Rates(canary=rate * share, stable=rate * (1 - share), behaviour=stable, edges=edges, within=within)
