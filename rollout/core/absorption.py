"""absorb(): fold what was just measured into the state, before anything is decided on it."""

import math
from dataclasses import replace

from rollout.core.breaker import Breaker, BreakerLimits, Endpoints
from rollout.core.counters import stratum_from
from rollout.core.evidence import Stratum
from rollout.core.judge import Judgement, judge
from rollout.core.ledger import Evidence, SourceEvidence, ValueEvidence, fold
from rollout.core.observation import LoadView, MetricsView, Observation, Trust
from rollout.core.phase import State
from rollout.core.spec import OnNoData, PlanSpec, QueryCheck, RolloutSpec, Source
from rollout.core.split import is_split_as_set
from rollout.core.trials import trials_of

LOAD_STALE_S = 5.0  # strata of a second, plus the slowest request, plus scheduling
METRICS_STALE_S = 60.0  # four scrapes at the usual 15 s


def new_state(spec: RolloutSpec, now: float) -> State:
    """The state of a rollout that has just been asked for."""
    limits = spec.plan.breaker
    breaker = Breaker(
        limits=BreakerLimits(
            consecutive_failures=limits.consecutive_failures,
            failure_rate=limits.failure_rate,
            slow_call_rate=limits.slow_call_rate,
            window=limits.window,
        )
    )
    return State(steps=len(spec.steps), since=now, started=now, breaker=breaker)


def judgement_of(spec: RolloutSpec, state: State) -> Judgement:
    """Judge the evidence in *state*; a function of these two, so that the journal can be judged again."""
    weight = spec.weight_at(min(state.step, state.steps - 1)) if state.phase.holds_traffic else 0
    return judge(spec.plan, state.evidence, weight=weight)


def absorb(spec: RolloutSpec, state: State, seen: Observation, now: float) -> State:
    """Return *state* with the breaker's and the judge's evidence brought up to date."""
    if not state.phase.holds_traffic or state.is_handing_over:
        return state
    state = replace(state, breaker=_breaker(spec, state, seen, now))
    if state.arrived is None:
        return state
    evidence = _load(spec, state, state.evidence, seen.load, now)
    evidence = _metrics(spec, state, evidence, seen, now)
    return replace(state, evidence=evidence)


def _breaker(spec: RolloutSpec, state: State, seen: Observation, now: float) -> Breaker:
    """Single calls and endpoints, at once: the breaker knows no warm-up."""
    breaker = state.breaker
    if seen.load is not None and seen.load.breaker_closed and seen.load.trust is not Trust.INVALID:
        stable_p99_s = state.evidence.load.earlier.quantile(0.99)
        breaker = breaker.after(seen.load.outcomes, stable_p99_s=stable_p99_s)
    pods = (seen.endpoints or {}).get(spec.canary)
    if pods is None:
        return breaker
    return breaker.after_endpoints(Endpoints(ready=pods.ready, restarts=pods.restarts, at_s=now))


def _load(spec: RolloutSpec, state: State, evidence: Evidence, view: LoadView | None, now: float) -> Evidence:
    if spec.plan.load is None:
        return evidence
    part = evidence.load
    if view is None or not view.running:
        return evidence.with_source(Source.LOAD, _blind(part, now))
    if view.trust is Trust.INVALID or not view.breaker_closed:
        newest = max((stratum.end for stratum in view.strata), default=part.cursor)
        return evidence.with_source(Source.LOAD, replace(_blind(part, now), cursor=newest))
    for stratum in view.strata:
        evidence = _counted(spec, state, evidence, Source.LOAD, stratum)
    part = evidence.load
    return evidence.with_source(
        Source.LOAD, _seen(part, part.cursor, state, now, LOAD_STALE_S + spec.plan.load.timeout)
    )


def _metrics(spec: RolloutSpec, state: State, evidence: Evidence, seen: Observation, now: float) -> Evidence:
    view = seen.metrics
    if not _needs_metrics(spec.plan):
        return evidence
    part = evidence.prometheus
    if view is None or view.trouble:
        return evidence.with_source(Source.PROMETHEUS, _blind(part, now))
    if view.requests is not None:
        since = part.cursor or state.started
        stratum = stratum_from(view.requests, view.buckets or (), stable=spec.stable, canary=spec.canary, since=since)
        if stratum is not None and is_split_as_set(spec, state, seen, stratum):
            evidence = _counted(spec, state, evidence, Source.PROMETHEUS, stratum)
        elif stratum is not None:
            evidence = evidence.with_source(Source.PROMETHEUS, replace(part, cursor=stratum.end))
    part, values = evidence.prometheus, _values(spec, state, evidence, view, now)
    newest = [part.cursor] if view.requests is not None else []
    newest += [values[name].at if name in values else 0.0 for name in _required_queries(spec.plan)]
    part = _seen(part, min(newest, default=now), state, now, METRICS_STALE_S)
    return replace(evidence.with_source(Source.PROMETHEUS, part), values=values)


def _required_queries(plan: PlanSpec) -> list[str]:
    return [one.name for one in plan.checks if isinstance(one, QueryCheck) and one.on_no_data is OnNoData.HOLD]


def _needs_metrics(plan: PlanSpec) -> bool:
    return any(check.source is Source.PROMETHEUS for check in plan.checks)


def _counted(spec: RolloutSpec, state: State, evidence: Evidence, source: Source, stratum: Stratum) -> Evidence:
    """Fold a stratum that has not been seen before; those of the warm-up only move the cursor."""
    part = evidence.of(source)
    if stratum.end <= part.cursor:
        return evidence
    assert state.arrived is not None, "evidence counts from the arrival on"
    if stratum.start < state.arrived + spec.plan.settle:
        return evidence.with_source(source, replace(part, cursor=stratum.end))
    return fold(evidence, trials_of(spec.plan), source, stratum, steps=len(spec.steps))


def _values(
    spec: RolloutSpec, state: State, evidence: Evidence, view: MetricsView, now: float
) -> dict[str, ValueEvidence]:
    """The latest of each query. What was good once does not stay good by silence: a query that the step needs becomes
    blindness, dated from its latest value (_metrics), and one whose silence is ignored is forgotten."""
    required = _required_queries(spec.plan)
    kept = {
        name: value for name, value in evidence.values.items() if name in required or now - value.at <= METRICS_STALE_S
    }
    for check in spec.plan.checks:
        sample = view.values.get(check.name)
        if isinstance(check, QueryCheck) and sample is not None and state.arrived is not None:
            before = kept.get(check.name)
            oldest = max(state.arrived + spec.plan.settle, now - METRICS_STALE_S)
            if sample[0] >= oldest and (before is None or sample[0] > before.at):
                kept[check.name] = _judged_value(check, sample, before)
    return kept


def _judged_value(check: QueryCheck, sample: tuple[float, float], before: ValueEvidence | None) -> ValueEvidence:
    at, value = sample
    upper = math.inf if check.max is None else check.max
    lower = -math.inf if check.min is None else check.min
    breaches = before.breaches + 1 if before else 1
    return ValueEvidence(at=at, value=value, breaches=0 if lower <= value <= upper else breaches)


def _blind(part: SourceEvidence, now: float) -> SourceEvidence:
    return part if part.blind_since is not None else replace(part, blind_since=now)


def _seen(part: SourceEvidence, newest: float, state: State, now: float, stale_after_s: float) -> SourceEvidence:
    """The source answers: but does it say anything new?"""
    newest = max(newest, state.arrived or 0.0)
    if now - newest > stale_after_s:
        return _blind(part, newest + stale_after_s)
    return replace(part, blind_since=None)
