"""Evidence in, verdict out: harm proven, health proven, or "I do not know", each with its numbers.

Harm, over all trials of the whole rollout: the weighted mean of their e-values, which is a valid bet under any
dependence between them, must reach 1/ALPHA_HARM. So a good release is rolled back with probability ALPHA_HARM at most,
however many checks there are and however often one looks.

Health, per step: every check must prove it, each at 1/ALPHA_ACCEPT, with evidence of this step alone. That needs no
correction (to fool all of them is harder than to fool one). Where a check has several trials for one number, their mean
counts: proven within the limit, or proven no worse than stable.

When the stable version breaks the same limit, it is a shared outage: no fault of the canary, and no time to advance.
So a limit convicts only a canary that is proven worse than stable as well, as long as there is a stable version to
compare with; the bet against "within the limit, or no worse" is the smaller of the two.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from math import exp, log
from typing import Literal

from rollout.core.ledger import Evidence, LimitEvidence
from rollout.core.quantities import format_duration, format_percent
from rollout.core.sequential import floored, log_average
from rollout.core.spec import Metric, OnNoData, PlanSpec, QueryCheck, Source
from rollout.core.trials import Trial, TrialKind, trials_of

ALPHA_HARM = 0.01  # chance of rolling a good release back, for the whole rollout
ALPHA_ACCEPT = 0.05  # chance that one step takes one bad check for good
HARM_FAILURES_MIN = 5  # trivia never rolls back: so many failures of the canary,
SHOWN_QUANTILE = 0.99  # what a latency check over buckets shows
REASONS_MAX = 3  # a sentence, not a list
ODDS_SHOWN_MAX = log(1e6)
"""Beyond this, more zeros tell nobody anything."""
HARM_REQUESTS_MIN = 50  # or so many of its requests, must stand behind a proof of harm

Unit = Literal["ratio", "seconds", "value"]
_Pair = tuple[float | None, float | None]  # the stable version's number and the canary's


class Verdict(IntEnum):
    """Ordered from good to bad, so that the worst of many is max()."""

    PASS = 0
    INCONCLUSIVE = 1
    FAIL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check (at one quantile): verdict, numbers, and a sentence."""

    check: str
    source: Source
    verdict: Verdict
    reason: str
    stable: float | None = None
    canary: float | None = None
    limit: float | None = None
    """What the canary's value is held to, in its unit."""
    unit: Unit = "value"
    requests: int = 0
    """Of the canary, in this step."""
    log_e_harm: float | None = None
    log_e_accept: float | None = None
    is_required: bool = True
    """Whether the step waits for it to pass."""
    is_blind: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """All findings and what they come to."""

    verdict: Verdict
    reason: str
    findings: tuple[Finding, ...] = ()
    log_e_harm: float = 0.0
    """Evidence of harm over all trials; rolls back at ln(1/ALPHA_HARM)."""
    is_shared_outage: bool = False
    blind_since: float | None = None
    """Since when evidence that the step needs cannot be had."""

    @property
    def is_blind(self) -> bool:
        """Evidence that the step needs cannot be had."""
        return self.blind_since is not None

    @property
    def may_advance(self) -> bool:
        """Health is proven, by fresh evidence, and nothing else is wrong."""
        return self.verdict is Verdict.PASS and not self.is_blind and not self.is_shared_outage


def judge(plan: PlanSpec, evidence: Evidence, *, weight: int) -> Judgement:
    """Judge the evidence of a step in which the canary has *weight* percent of the users."""
    trials = trials_of(plan)
    harm = _harm(trials, evidence, weight)
    findings = [*_metric_findings(plan, trials, evidence, harm, weight), *_query_findings(plan, evidence)]
    shared = _shared_outage(trials, evidence)
    worst = max((f.verdict for f in findings if f.is_required or f.verdict is Verdict.FAIL), default=Verdict.PASS)
    blind = [evidence.of(f.source).blind_since for f in findings if f.is_blind and f.is_required]
    blind_since = min((since for since in blind if since is not None), default=None)
    return Judgement(
        verdict=worst,
        reason=_reason(findings, worst, is_shared=shared),
        findings=tuple(findings),
        log_e_harm=harm.log_e,
        is_shared_outage=shared,
        blind_since=blind_since,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Harm:
    """The combined bet on harm, and which trials it rests on."""

    log_e: float
    log_es: dict[str, float]
    guilty: frozenset[str]
    """Keys of the trials that are convicted; empty unless the combined bet is won."""


def _harm(trials: Sequence[Trial], evidence: Evidence, weight: int) -> _Harm:
    """Combine all bets on harm: equal shares per family, and within a family per trial."""
    betting = [trial for trial in trials if not trial.proves_only]
    log_es = {trial.key: _log_e_harm(trial, evidence, weight) for trial in betting}
    if not betting:
        return _Harm(log_e=0.0, log_es=log_es, guilty=frozenset())
    sizes = Counter(trial.family for trial in betting)
    weights = {trial.key: 1 / (len(sizes) * sizes[trial.family]) for trial in betting}
    combined = log_average(list(log_es.values()), list(weights.values()))
    if combined < log(1 / ALPHA_HARM):
        return _Harm(log_e=combined, log_es=log_es, guilty=frozenset())
    alone = [trial for trial in betting if log_es[trial.key] >= log(1 / (weights[trial.key] * ALPHA_HARM))]
    suspects = alone or [max(betting, key=lambda trial: log_es[trial.key])]
    guilty = frozenset(trial.key for trial in suspects if _is_substantial(trial, evidence))
    return _Harm(log_e=combined, log_es=log_es, guilty=guilty)


def _is_substantial(trial: Trial, evidence: Evidence) -> bool:
    """Whether enough requests stand behind it; a request seen in an earlier step counts as well."""
    seen = evidence.of(trial.source).tempering.canary
    return seen.events >= HARM_FAILURES_MIN or seen.exposure >= HARM_REQUESTS_MIN


def _log_e_harm(trial: Trial, evidence: Evidence, weight: int) -> float:
    match trial.kind:
        case TrialKind.ERROR_LIMIT | TrialKind.LATENCY_LIMIT:
            kept = evidence.limits.get(trial.key)
            if kept is None or _is_shared(kept):
                return 0.0
            has_stable = trial.source is Source.LOAD or weight < 100
            return floored(kept.harm.log_e, kept.worse.log_e) if has_stable else kept.harm.log_e
        case TrialKind.ERROR_GROWTH | TrialKind.ERROR_POINTS:
            ratio = evidence.ratios.get(trial.key)
            return floored(ratio.harm.log_e, ratio.floor.log_e) if ratio else 0.0
        case TrialKind.LATENCY_GROWTH | TrialKind.LATENCY_SHIFT:
            exceed = evidence.exceeds.get(trial.key)
            return exceed.harm.log_e if exceed else 0.0
        case TrialKind.BUCKET_GROWTH:
            bucket = evidence.buckets.get(trial.key)
            return bucket.harm.log_e if bucket else 0.0


def _log_e_accept(trial: Trial, evidence: Evidence) -> float:
    for kept in (evidence.limits, evidence.ratios, evidence.exceeds, evidence.buckets):
        if trial.key in kept:
            return kept[trial.key].accept.log_e
    return 0.0


def _is_shared(kept: LimitEvidence) -> bool:
    """The stable version is proven to break the limit as well."""
    return kept.stable.log_e >= log(1 / ALPHA_HARM)


def _shared_outage(trials: Iterable[Trial], evidence: Evidence) -> bool:
    """Both versions break a limit that somebody wrote."""
    return any(
        _is_shared(kept) and kept.harm.log_e >= log(1 / ALPHA_HARM)
        for trial in trials
        if not trial.proves_only and (kept := evidence.limits.get(trial.key)) is not None
    )


def _metric_findings(
    plan: PlanSpec, trials: Sequence[Trial], evidence: Evidence, harm: _Harm, weight: int
) -> list[Finding]:
    ignoring = {check.name for check in plan.checks if check.on_no_data is OnNoData.IGNORE}
    by_label: dict[str, list[Trial]] = {}
    for trial in trials:
        by_label.setdefault(trial.label, []).append(trial)
    measured = _measured(trials, evidence)
    findings = [_metric_finding(asked, evidence, harm, measured[label], weight) for label, asked in by_label.items()]
    return [
        replace(finding, is_required=False) if asked[0].check in ignoring else finding
        for finding, asked in zip(findings, by_label.values(), strict=True)
    ]


def _metric_finding(trials: list[Trial], evidence: Evidence, harm: _Harm, measured: _Pair, weight: int) -> Finding:
    first = trials[0]
    part = evidence.of(first.source)
    asked = [trial for trial in trials if _is_asked(trial, weight)]
    needed = log(1 / ALPHA_ACCEPT)
    log_e_accept = log_average([_log_e_accept(trial, evidence) for trial in asked]) if asked else None
    log_e_harm = max((harm.log_es[trial.key] for trial in trials if trial.key in harm.log_es), default=None)
    guilty = [trial for trial in trials if trial.key in harm.guilty]
    is_blind = part.blind_since is not None
    if guilty:
        worst = max(harm.log_es[trial.key] for trial in guilty)
        verdict, reason = Verdict.FAIL, f"harm proven, odds {odds_of(worst)}"
    elif is_blind:
        verdict, reason = Verdict.INCONCLUSIVE, f"no fresh evidence from {first.source}"
    elif log_e_accept is None:
        verdict, reason = Verdict.INCONCLUSIVE, "not asked at this weight"
    elif part.canary.requests < first.min_requests:
        verdict, reason = Verdict.INCONCLUSIVE, f"{part.canary.requests} of {first.min_requests} requests so far"
    elif log_e_accept >= needed:
        verdict, reason = Verdict.PASS, f"health proven, odds {odds_of(log_e_accept)}"
    else:
        verdict, reason = (
            Verdict.INCONCLUSIVE,
            (f"odds {odds_of(log_e_accept)} of {odds_of(needed)} after {part.canary.requests} requests"),
        )
    stable, canary = measured
    return Finding(
        check=first.label,
        source=first.source,
        verdict=verdict,
        reason=reason,
        stable=stable,
        canary=canary,
        limit=_limit(trials, stable),
        unit="ratio" if first.metric is Metric.ERROR_RATE else "seconds",
        requests=part.canary.requests,
        log_e_harm=log_e_harm,
        log_e_accept=log_e_accept,
        is_required=bool(asked),
        is_blind=is_blind,
    )


def _is_asked(trial: Trial, weight: int) -> bool:
    """Whether the trial can be answered at this weight: users reach the canary from 1 % on, and stable up to 99 %.

    Synthetic load reaches both by header at any weight.
    """
    if trial.source is Source.LOAD:
        return True
    return weight > 0 and (trial.kind.is_limit or weight < 100)


def _measured(trials: Sequence[Trial], evidence: Evidence) -> dict[str, _Pair]:
    """What to show of each label; all quantiles of a source in one walk over its buckets."""
    found: dict[str, _Pair] = {}
    for source in {trial.source for trial in trials}:
        part = evidence.of(source)
        shares = sorted({trial.quantile or SHOWN_QUANTILE for trial in trials if trial.source is source})
        slow = dict(
            zip(shares, zip(part.stable.quantiles(shares), part.canary.quantiles(shares), strict=True), strict=True)
        )
        for trial in trials:
            if trial.source is source:
                match trial.metric:
                    case Metric.ERROR_RATE:
                        found[trial.label] = (part.stable.error_rate, part.canary.error_rate)
                    case Metric.LATENCY:
                        found[trial.label] = slow[trial.quantile or SHOWN_QUANTILE]
    return found


def _limit(trials: Iterable[Trial], stable: float | None) -> float | None:
    """The tightest of the written limits, in the unit of the measured value."""
    limits = []
    for trial in trials:
        match trial.kind:
            case TrialKind.ERROR_LIMIT | TrialKind.LATENCY_LIMIT:
                limits += [] if trial.proves_only else [trial.limit]
            case TrialKind.ERROR_GROWTH | TrialKind.LATENCY_GROWTH | TrialKind.BUCKET_GROWTH:
                limits += [] if stable is None else [stable * (1 + trial.limit)]
            case TrialKind.ERROR_POINTS | TrialKind.LATENCY_SHIFT:
                limits += [] if stable is None else [stable + trial.limit]
    return min(limits, default=None)


def _query_findings(plan: PlanSpec, evidence: Evidence) -> list[Finding]:
    return [_query_finding(check, evidence) for check in plan.checks if isinstance(check, QueryCheck)]


def _query_finding(check: QueryCheck, evidence: Evidence) -> Finding:
    """A custom value is held to plain limits; several fresh values in a row must break them (hysteresis)."""
    kept = evidence.values.get(check.name)
    is_blind = kept is None or evidence.prometheus.blind_since is not None
    limits = " and ".join(
        f"{word} {limit:g}" for word, limit in (("at least", check.min), ("at most", check.max)) if limit is not None
    )
    if kept is not None and kept.breaches >= check.failures:
        verdict, reason = Verdict.FAIL, f"{kept.value:g}, {kept.breaches} times in a row; must be {limits}"
    elif kept is None or is_blind:
        verdict, reason = Verdict.INCONCLUSIVE, "no fresh value from prometheus"
    elif kept.breaches:
        verdict, reason = (
            Verdict.INCONCLUSIVE,
            f"{kept.value:g}; must be {limits} ({kept.breaches} of {check.failures})",
        )
    else:
        verdict, reason = Verdict.PASS, f"{kept.value:g} is {limits}"
    return Finding(
        check=check.name,
        source=Source.PROMETHEUS,
        verdict=verdict,
        reason=reason,
        canary=kept.value if kept else None,
        limit=check.max if check.max is not None else check.min,
        is_required=check.on_no_data is OnNoData.HOLD or kept is not None,
        is_blind=is_blind and check.on_no_data is OnNoData.HOLD,
    )


def _reason(findings: Iterable[Finding], worst: Verdict, *, is_shared: bool) -> str:
    """The worst findings in a sentence."""
    if is_shared and worst is not Verdict.FAIL:
        return "shared outage: both versions break the limit; holding"
    told = [f for f in findings if f.verdict is worst and (f.is_required or worst is Verdict.FAIL)]
    if worst is Verdict.PASS:
        return f"{len(told)} checks passed"
    return "; ".join(f"{f.check}: {f.reason}{_numbers(f)}" for f in told[:REASONS_MAX])


def _numbers(finding: Finding) -> str:
    if finding.verdict is not Verdict.FAIL or finding.unit == "value":
        return ""
    stable, canary, limit = (_shown(value, finding.unit) for value in (finding.stable, finding.canary, finding.limit))
    return f" (canary {canary}, stable {stable}, limit {limit}, {finding.requests} requests)"


def _shown(value: float | None, unit: Unit) -> str:
    if value is None:
        return "unknown"
    return format_percent(round(value, 5)) if unit == "ratio" else format_duration(round(value, 4))


def odds_of(log_e: float) -> str:
    """Evidence as betting odds; a person reads 20:1 at a glance."""
    if log_e >= ODDS_SHOWN_MAX:
        return "over a million to one"
    odds = exp(log_e)
    return f"{odds:.3g}:1" if odds < 100 else f"{odds:,.0f}:1"
