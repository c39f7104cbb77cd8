"""Why a transition happened: the saved evidence judged again, compared with what was decided then."""

from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter

from rollout.core.absorption import judgement_of
from rollout.core.judge import Finding, Judgement
from rollout.core.quantities import format_duration, format_percent
from rollout.edges.api.models import Explanation
from rollout.edges.api.views import check_view, event_view
from rollout.ports import JournalEntry, Rollout

_ANY: TypeAdapter[Any] = TypeAdapter(Any)


def explanation(rollout: Rollout, entry: JournalEntry) -> Explanation:
    """Judge the entry's evidence again and say what it shows, check by check."""
    judgement = judgement_of(rollout.spec, entry.judged)
    return Explanation(
        event=event_view(rollout, entry),
        verdict=judgement.verdict.name.lower(),
        agrees=as_journal(judgement) == entry.judgement,
        checks=[check_view(finding) for finding in judgement.findings],
        text=[sentence(finding, rollout) for finding in judgement.findings],
    )


def as_journal(judgement: Judgement) -> dict[str, Any]:
    """The judgement as it looks after a round trip through the journal's JSON."""
    saved: dict[str, Any] = _ANY.validate_json(_ANY.dump_json(asdict(judgement)))
    return saved


def sentence(finding: Finding, rollout: Rollout) -> str:
    """One check in plain words, with its numbers."""
    values = ", ".join(
        f"{version} {_shown(value, finding.unit)}"
        for version, value in ((rollout.spec.stable, finding.stable), (rollout.spec.canary, finding.canary))
        if value is not None
    )
    limit = f", limit {_shown(finding.limit, finding.unit)}" if finding.limit is not None else ""
    numbers = f" [{values}{limit}; {finding.requests:,} requests]" if values else ""
    return f"{finding.check} ({finding.source}): {finding.verdict.name.lower()}, {finding.reason}{numbers}"


def _shown(value: float, unit: str) -> str:
    match unit:
        case "ratio":
            return format_percent(round(value, 6))
        case "seconds":
            return format_duration(round(value, 6))
        case _:
            return f"{value:g}"
