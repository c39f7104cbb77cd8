"""Evidence as it is kept: sufficient statistics that fit into the saved state, grow stratum by stratum, and restart.

Nothing here decides. fold() adds one stratum of one source to every trial that reads the source; judge.py reads the
result. All values are frozen and survive JSON exactly, so judging after a restart, or next year from the journal, finds
the same numbers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, log
from typing import TypeVar

from rollout.core.evidence import Counts, Stratum
from rollout.core.sequential import (
    BucketRatioE,
    Buckets,
    ExceedE,
    RatioE,
    Side,
    SloE,
    Stakes,
    Tally,
    Tempering,
    usable_bounds,
)
from rollout.core.spec import Source
from rollout.core.trials import Trial, TrialKind

ERROR_FLOOR = 0.001  # an increase of errors that stay below one in a thousand is never harm
GROWTH_MAX_UNKNOWN = log(100)
"""What one stratum may add to a bet on errors before their burstiness is known: no single stratum convicts, whatever it
shows, for the odds that do are 100:1 and a part of the capital is kept aside. A burst strikes one stratum, a bad canary
each; in simulated rollouts a cap of 20 would cost a release that fails at 5 % another ten seconds, and none at all lets
bursts convict 3 % of the good ones."""
STRATA_KNOWN = {Source.LOAD: 30, Source.PROMETHEUS: 8}
"""Strata after which it is known: the prior of dispersion.py; and two minutes of scrapes, each of which holds more."""
TAU_EVERY_S = 30.0  # how often the stable quantile that canary requests are held to is measured anew
TAU_REQUESTS_MIN = 100  # fewer measured requests give no quantile worth betting on
TAU_REQUESTS_MAX = 2000  # more make no better quantile, and the state larger
TAIL_PER_LATENCY = 2.5
"""How many times faster the share of requests above a boundary grows than the latency itself, for usual shapes:
tolerating 10 % more latency means tolerating 25 % more requests above a boundary (sequential/buckets.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitEvidence:
    """A share of one version against a limit; the stable version is held to the same limit to tell a shared outage.

    worse: and is the canary worse than stable at all? Until the stable version is proven to break the limit as well, a
    shared outage shows in one version sooner than in the other by mere chance.
    """

    harm: SloE
    worse: RatioE
    accept: SloE
    stable: SloE


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioEvidence:
    """The canary's error rate against the stable one. floor: and is it above ERROR_FLOOR at all?"""

    harm: RatioE
    floor: SloE
    accept: RatioE


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceedEvidence:
    """Requests beyond the stable version's earlier quantile."""

    harm: ExceedE
    accept: ExceedE


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketEvidence:
    """Requests above bucket boundaries."""

    harm: BucketRatioE
    accept: BucketRatioE


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueEvidence:
    """The latest value of a custom query."""

    at: float
    value: float
    breaches: int
    """Fresh values outside the limits in a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEvidence:
    """What one source has told so far."""

    cursor: float = 0.0
    """End of the newest stratum seen, counted or not."""
    blind_since: float | None = None
    """Since when it cannot be seen, or says nothing new."""
    stable: Counts = field(default_factory=Counts)
    """Totals of this step."""
    canary: Counts = field(default_factory=Counts)
    earlier: Counts = field(default_factory=Counts)
    """Stable requests of the window before the current one: where tau comes from, so that it is no hindsight."""
    taus: Mapping[float, float] = field(default_factory=dict)
    """Its quantiles, as finely as they were measured: where half of the requests share a bucket, half do not exceed
    its edge, and nothing can be proven of them."""
    recent: Counts = field(default_factory=Counts)
    recent_since: float = 0.0
    tempering: Tempering = field(default_factory=Tempering)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that has been measured and still counts."""

    load: SourceEvidence = field(default_factory=SourceEvidence)
    prometheus: SourceEvidence = field(default_factory=SourceEvidence)
    limits: Mapping[str, LimitEvidence] = field(default_factory=dict)
    ratios: Mapping[str, RatioEvidence] = field(default_factory=dict)
    exceeds: Mapping[str, ExceedEvidence] = field(default_factory=dict)
    buckets: Mapping[str, BucketEvidence] = field(default_factory=dict)
    values: Mapping[str, ValueEvidence] = field(default_factory=dict)

    def of(self, source: Source) -> SourceEvidence:
        """One source's part."""
        match source:
            case Source.LOAD:
                return self.load
            case Source.PROMETHEUS:
                return self.prometheus

    def with_source(self, source: Source, part: SourceEvidence) -> "Evidence":
        """A copy with one source's part replaced."""
        match source:
            case Source.LOAD:
                return replace(self, load=part)
            case Source.PROMETHEUS:
                return replace(self, prometheus=part)

    def for_next_step(self) -> "Evidence":
        """Totals and proofs of health start anew; bets on harm go on, with a fresh stake for a late regression."""
        return replace(
            self,
            load=replace(self.load, stable=Counts(), canary=Counts()),
            prometheus=replace(self.prometheus, stable=Counts(), canary=Counts()),
            limits={key: _next_limit(kept) for key, kept in self.limits.items()},
            ratios={key: _next_ratio(kept) for key, kept in self.ratios.items()},
            exceeds={key: _next_exceed(kept) for key, kept in self.exceeds.items()},
            buckets={key: _next_bucket(kept) for key, kept in self.buckets.items()},
            values={},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Caution:
    """How much of a stratum's errors counts, for they may come in bursts. Known before the stratum is."""

    eta: float
    growth_max: float


NO_CAUTION = _Caution(eta=1.0, growth_max=inf)


def fold(evidence: Evidence, trials: Iterable[Trial], source: Source, stratum: Stratum, steps: int) -> Evidence:
    """Add one stratum of *source* to its totals and to every trial that reads it."""
    part = evidence.of(source)
    is_known = part.tempering.canary.strata >= STRATA_KNOWN[source]
    caution = _Caution(eta=part.tempering.eta, growth_max=inf if is_known else GROWTH_MAX_UNKNOWN)
    trials = [trial for trial in trials if trial.source is source]
    limits, ratios = dict(evidence.limits), dict(evidence.ratios)
    exceeds, buckets = dict(evidence.exceeds), dict(evidence.buckets)
    for trial in trials:
        match trial.kind:
            case TrialKind.ERROR_LIMIT | TrialKind.LATENCY_LIMIT:
                limits[trial.key] = _fold_limit(limits.get(trial.key), trial, stratum, caution, steps)
            case TrialKind.ERROR_GROWTH | TrialKind.ERROR_POINTS:
                ratios[trial.key] = _fold_ratio(ratios.get(trial.key), trial, stratum, part, caution, steps)
            case TrialKind.LATENCY_GROWTH | TrialKind.LATENCY_SHIFT:
                exceeds[trial.key] = _fold_exceed(exceeds.get(trial.key), trial, stratum, part.taus, steps)
            case TrialKind.BUCKET_GROWTH:
                folded = _fold_buckets(buckets.get(trial.key), trial, stratum, part.earlier, steps)
                buckets |= {trial.key: folded} if folded else {}
    counted = replace(evidence, limits=limits, ratios=ratios, exceeds=exceeds, buckets=buckets)
    shares = sorted({trial.quantile for trial in trials if trial.quantile is not None})
    return counted.with_source(source, _with_totals(part, source, stratum, shares))


def _with_totals(part: SourceEvidence, source: Source, stratum: Stratum, shares: Sequence[float]) -> SourceEvidence:
    """Count the stratum, and let what the stable version showed become tomorrow's yardstick."""
    since, recent = part.recent_since or stratum.start, part.recent
    if recent.measured < TAU_REQUESTS_MAX:
        recent = recent.plus(Counts(latency=stratum.stable.latency))
    part = replace(
        part,
        cursor=max(part.cursor, stratum.end),
        stable=part.stable.plus(_kept(source, stratum.stable)).in_order(part.stable),
        canary=part.canary.plus(_kept(source, stratum.canary)).in_order(part.canary),
        tempering=part.tempering.after(_errors(stratum.canary), _errors(stratum.stable)),
        recent=recent,
        recent_since=since,
    )
    is_first = not part.earlier.measured
    if recent.measured < TAU_REQUESTS_MIN or not (is_first or stratum.end - since >= TAU_EVERY_S):
        return part
    taus = {share: tau for share, tau in zip(shares, recent.quantiles(shares), strict=True) if tau is not None}
    return replace(part, earlier=_kept(source, recent), taus=taus, recent=Counts(), recent_since=stratum.end)


def _kept(source: Source, arm: Counts) -> Counts:
    """What is kept for long. Prometheus's few boundaries must stay what they are, to be compared at."""
    match source:
        case Source.LOAD:
            return arm.coarse()
        case Source.PROMETHEUS:
            return arm


def _fold_limit(
    kept: LimitEvidence | None, trial: Trial, stratum: Stratum, caution: _Caution, steps: int
) -> LimitEvidence:
    p0 = trial.limit if trial.quantile is None else 1 - trial.quantile
    kept = kept or LimitEvidence(
        harm=SloE.fresh(Side.HARM, p0=p0, starts_planned=steps),
        worse=RatioE.fresh(Side.HARM, starts_planned=steps),
        accept=SloE.fresh(Side.ACCEPT, p0=p0),
        stable=SloE.fresh(Side.HARM, p0=p0),
    )
    if trial.quantile is None:
        surely = maybe = _errors(stratum.canary)
        stable = _errors(stratum.stable)
    else:
        caution = NO_CAUTION  # it is about errors
        surely, maybe = _beyond(stratum.canary, trial, trial.limit)
        stable, _ = _beyond(stratum.stable, trial, trial.limit)
    return LimitEvidence(
        harm=kept.harm.after(surely, eta=caution.eta, growth_max=caution.growth_max),
        worse=kept.worse.after(surely, stable, eta=caution.eta, growth_max=caution.growth_max),
        accept=kept.accept.after(maybe, eta=caution.eta),
        stable=kept.stable.after(stable, eta=caution.eta, growth_max=caution.growth_max),
    )


def _beyond(arm: Counts, trial: Trial, limit_s: float) -> tuple[Tally, Tally]:
    """Requests that surely took longer than *limit_s*, and those that may have.

    The load generator's buckets are fine enough to be taken at their word. Of Prometheus's, the one that contains the
    limit could lie on either side: the bet on harm leaves it out, the bet on health counts it.
    """
    if trial.source is Source.LOAD:
        tally = Tally(events=arm.count_above(limit_s), exposure=arm.measured)
        return tally, tally
    edges = sorted(arm.latency)
    above = min((edge for edge in edges if edge >= limit_s), default=limit_s)
    below = max((edge for edge in edges if edge <= limit_s), default=0.0)
    return (
        Tally(events=arm.count_above(above), exposure=arm.measured),
        Tally(events=arm.count_above(below), exposure=arm.measured),
    )


def _fold_ratio(
    kept: RatioEvidence | None, trial: Trial, stratum: Stratum, part: SourceEvidence, caution: _Caution, steps: int
) -> RatioEvidence:
    harm_ratio, accept_ratio = _tolerated(trial, part)
    kept = kept or RatioEvidence(
        harm=RatioE.fresh(Side.HARM, psi0=harm_ratio, starts_planned=steps),
        floor=SloE.fresh(Side.HARM, p0=ERROR_FLOOR, starts_planned=steps),
        accept=RatioE.fresh(Side.ACCEPT, psi0=accept_ratio),
    )
    canary, stable, growth_max = _errors(stratum.canary), _errors(stratum.stable), caution.growth_max
    return RatioEvidence(
        harm=kept.harm.after(canary, stable, eta=caution.eta, psi0=harm_ratio, growth_max=growth_max),
        floor=kept.floor.after(canary, eta=caution.eta, growth_max=growth_max),
        accept=kept.accept.after(canary, stable, eta=caution.eta, psi0=accept_ratio),
    )


def _tolerated(trial: Trial, part: SourceEvidence) -> tuple[float, float]:
    """Tolerated ratios for harm and for health; percentage points become a ratio by the stable rate so far."""
    if trial.kind is TrialKind.ERROR_GROWTH:
        return 1 + trial.limit, 1 + 2 * trial.limit
    seen = part.tempering.stable
    usual = max(seen.events / seen.exposure, ERROR_FLOOR) if seen.exposure else ERROR_FLOOR
    return 1 + trial.limit / usual, 1 + 2 * trial.limit / usual


def _fold_exceed(
    kept: ExceedEvidence | None, trial: Trial, stratum: Stratum, taus: Mapping[float, float], steps: int
) -> ExceedEvidence:
    assert trial.quantile is not None, "latency trials of the load have a quantile"
    kept = kept or ExceedEvidence(
        harm=ExceedE.fresh(Side.HARM, quantile=trial.quantile, starts_planned=steps),
        accept=ExceedE.fresh(Side.ACCEPT, quantile=trial.quantile),
    )
    tau = taus.get(trial.quantile)
    if tau is None:
        return kept  # no yardstick yet: the first strata only make one
    is_shift = trial.kind is TrialKind.LATENCY_SHIFT
    tolerated, twice = (tau + d if is_shift else tau * (1 + d) for d in (trial.limit, 2 * trial.limit))
    stable = Tally(events=stratum.stable.count_above(tau), exposure=stratum.stable.measured)
    canary = stratum.canary
    return ExceedEvidence(
        harm=kept.harm.after(Tally(events=canary.count_above(tolerated), exposure=canary.measured), stable),
        accept=kept.accept.after(Tally(events=canary.count_above(twice), exposure=canary.measured), stable),
    )


def _fold_buckets(
    kept: BucketEvidence | None, trial: Trial, stratum: Stratum, earlier: Counts, steps: int
) -> BucketEvidence | None:
    if kept is None:
        bounds = usable_bounds(buckets_of(earlier))
        if not bounds:
            return None
        tolerated = 1 + TAIL_PER_LATENCY * trial.limit
        kept = BucketEvidence(
            harm=BucketRatioE.fresh(Side.HARM, bounds=bounds, psi0=tolerated, starts_planned=steps),
            accept=BucketRatioE.fresh(Side.ACCEPT, bounds=bounds, psi0=2 * tolerated - 1),
        )
    known = set(kept.harm.bounds)
    canary, stable = buckets_of(stratum.canary), buckets_of(stratum.stable)
    if not (known <= set(canary.bounds) and known <= set(stable.bounds)):
        return kept  # the boundaries were changed under way: nothing to compare
    return BucketEvidence(harm=kept.harm.after(canary, stable), accept=kept.accept.after(canary, stable))


def buckets_of(arm: Counts) -> Buckets:
    """The arm's latencies as a cumulative histogram."""
    bounds = tuple(edge for edge in sorted(arm.latency) if edge != float("inf"))
    running, cumulative = 0, []
    for edge in bounds:
        running += arm.latency[edge]
        cumulative.append(float(running))
    return Buckets(bounds=bounds, cumulative=tuple(cumulative), total=float(arm.measured))


def _errors(arm: Counts) -> Tally:
    return Tally(events=arm.failures, exposure=arm.requests)


def _next_limit(kept: LimitEvidence) -> LimitEvidence:
    p0 = kept.harm.p0
    return LimitEvidence(
        harm=_restarted(kept.harm, kept.harm.stakes),
        worse=_restarted(kept.worse, kept.worse.stakes),
        accept=SloE.fresh(Side.ACCEPT, p0=p0),
        stable=SloE.fresh(Side.HARM, p0=p0),
    )


def _next_ratio(kept: RatioEvidence) -> RatioEvidence:
    accept = RatioE.fresh(Side.ACCEPT, psi0=kept.accept.psi0)
    return RatioEvidence(
        harm=_restarted(kept.harm, kept.harm.stakes), floor=_restarted(kept.floor, kept.floor.stakes), accept=accept
    )


def _next_exceed(kept: ExceedEvidence) -> ExceedEvidence:
    accept = ExceedE.fresh(Side.ACCEPT, quantile=kept.accept.quantile)
    return ExceedEvidence(harm=_restarted(kept.harm, kept.harm.stakes), accept=accept)


def _next_bucket(kept: BucketEvidence) -> BucketEvidence:
    accept = BucketRatioE.fresh(Side.ACCEPT, bounds=kept.accept.bounds, psi0=kept.accept.ratios[0].psi0)
    return BucketEvidence(harm=_restarted(kept.harm, kept.harm.ratios[0].stakes), accept=accept)


Bet = TypeVar("Bet", SloE, RatioE, ExceedE, BucketRatioE)


def _restarted(bet: Bet, stakes: Stakes) -> Bet:
    """Stake what was kept aside for this step; a step entered twice may have nothing left, and goes on as it is."""
    return bet.restarted() if stakes.starts < stakes.starts_planned else bet
