"""Why a transition happened: the saved evidence judged again, compared with what was decided then."""

from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter

from rollout.core.absorption import judgement_of
from rollout.core.account import Account, accounts_of, query_of
from rollout.core.judge import Finding, Judgement, odds_of
from rollout.core.quantities import format_duration, format_percent
from rollout.core.sequential import Interval
from rollout.edges.api.models import Explanation
from rollout.edges.api.views import check_view, event_view
from rollout.ports import JournalEntry, Rollout

_ANY: TypeAdapter[Any] = TypeAdapter(Any)


def explanation(rollout: Rollout, entry: JournalEntry) -> Explanation:
    """Judge the entry's evidence again and say what it shows, check by check."""
    judgement = judgement_of(rollout.spec, entry.judged)
    plan = rollout.spec.plan
    accounts = accounts_of(plan, entry.judged.evidence)
    return Explanation(
        event=event_view(rollout, entry),
        verdict=judgement.verdict.name.lower(),
        agrees=as_journal(judgement) == entry.judgement,
        checks=[check_view(finding) for finding in judgement.findings],
        text=[
            sentence(finding, rollout, accounts.get(finding.check), query_of(plan, finding.check))
            for finding in judgement.findings
        ],
    )


def as_journal(judgement: Judgement) -> dict[str, Any]:
    """The judgement as it looks after a round trip through the journal's JSON."""
    saved: dict[str, Any] = _ANY.validate_json(_ANY.dump_json(asdict(judgement)))
    return saved


def sentence(finding: Finding, rollout: Rollout, account: Account | None, query: str) -> str:
    """One check in plain words, with its numbers: of both versions, their intervals (95 %), limit and odds."""
    numbers = []
    for version, value, arm in (
        (rollout.spec.stable, finding.stable, account.stable if account else None),
        (rollout.spec.canary, finding.canary, account.canary if account else None),
    ):
        if value is not None:
            sure = _sure(arm.interval, finding.unit) + f" of {arm.requests:,} requests" if arm else ""
            numbers.append(f"{version} {_shown(value, finding.unit)}{sure}")
    if finding.limit is not None and numbers:
        numbers.append(f"limit {_shown(finding.limit, finding.unit)}")
    odds = ((finding.log_e_harm, "harm"), (finding.log_e_accept, "health"))
    numbers += [f"odds of {what} {odds_of(log_e)}" for log_e, what in odds if log_e is not None and numbers]
    told = f" [{', '.join(numbers)}]" if numbers else ""
    source = f"{finding.source}: {query}" if query else str(finding.source)
    return f"{finding.check} ({source}): {finding.verdict.name.lower()}, {finding.reason}{told}"


def _sure(interval: Interval, unit: str) -> str:
    if interval.lower is None and interval.upper is None:
        return ""
    lower, upper = ("?" if edge is None else _shown(edge, unit) for edge in (interval.lower, interval.upper))
    return f" ({lower} to {upper})"


def _shown(value: float, unit: str) -> str:
    match unit:
        case "ratio":
            return format_percent(round(value, 5))
        case "seconds":
            return format_duration(round(value, 6))
        case _:
            return f"{value:g}"
