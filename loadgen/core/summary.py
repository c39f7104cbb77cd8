"""A report in a few numbers: what the terminal, the JSON output, the HTML page and a comparison all show.

Latency is the response time: from when a request was due, with every request in it that was sent, failed ones too.
"""

from dataclasses import dataclass
from typing import cast

from loadgen.core.codec import to_json
from loadgen.core.histogram import Histogram, lower_edge_ns
from loadgen.core.interval import Interval, quantile_interval
from loadgen.core.ledger import Cell
from loadgen.core.outcome import UNSENT, Outcome, is_failure
from loadgen.core.report import Report
from loadgen.core.trust import Trust

SHARES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
NAMES = ("p50", "p75", "p90", "p95", "p99", "p99.9")
CONFIDENCE = 0.99
ON_TIME_NS = 5_000_000  # five ticks of the slowest pace: later than that, somebody was busy


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The requests of one version, or of all."""

    name: str
    count: int
    failed: int
    mean_s: float | None
    max_s: float | None
    quantiles_s: dict[str, float]  # by name, p50 to p99.9; empty without data
    p99: Interval | None

    @property
    def error_share(self) -> float:
        """Which share failed."""
        return self.failed / self.count if self.count else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A run in a few numbers."""

    sent: int
    achieved_per_s: float
    dropped: int
    withheld: int
    retried: int
    on_time_share: float | None
    start_delay_max_s: float | None
    everything: Group
    versions: tuple[Group, ...]
    outcomes: dict[str, int]  # those that are not ok, the most frequent first
    trust: Trust
    interrupted: bool


def summary_of(report: Report) -> Summary:
    """Sum a report up."""
    cells = [cell for cell in report.cells if cell.outcome not in UNSENT]
    names = sorted({cell.version for cell in cells})
    delays = Histogram(dict(report.start_delay))
    return Summary(
        sent=report.sent,
        achieved_per_s=report.sent / sending_s(report),
        dropped=report.dropped,
        withheld=report.withheld,
        retried=report.retried,
        on_time_share=on_time(report),
        start_delay_max_s=delays.max_s(),
        everything=group_of("all", cells),
        versions=tuple(group_of(name, [cell for cell in cells if cell.version == name]) for name in names),
        outcomes=outcomes_of(report.cells),
        trust=report.closing.trust,
        interrupted=report.closing.interrupted,
    )


def document_of(summary: Summary) -> dict[str, object]:
    """Give the summary's JSON shape. JSON has no infinity: an interval's end that the data do not reach is null."""
    return {name: finite(value) for name, value in cast("dict[str, object]", to_json(summary)).items()}


def finite(value: object) -> object:
    """Replace infinities by null, however deep."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if value in (float("inf"), float("-inf")) else value


def sending_s(report: Report) -> float:
    """How long requests were sent: the last answers may have come later."""
    planned_s = report.plan.duration_s
    return min(report.duration_s, planned_s) if planned_s else report.duration_s


def on_time(report: Report) -> float | None:
    """Give the share of the requests that were sent when they were due; a closed loop has no such thing."""
    total = sum(count for _, count in report.start_delay)
    good = sum(count for bucket, count in report.start_delay if lower_edge_ns(bucket) <= ON_TIME_NS)
    return good / total if total else None


def group_of(name: str, cells: list[Cell]) -> Group:
    """Sum some cells up."""
    histogram = Histogram()
    for cell in cells:
        histogram.add(cell.latency)
    found = zip(NAMES, histogram.quantiles_s(SHARES), strict=True)
    return Group(
        name=name,
        count=sum(cell.count for cell in cells),
        failed=sum(cell.count for cell in cells if is_failure(cell.outcome)),
        mean_s=histogram.mean_s(),
        max_s=histogram.max_s(),
        quantiles_s={name: value for name, value in found if value is not None},
        p99=quantile_interval(histogram.sparse(), 0.99, CONFIDENCE),
    )


def outcomes_of(cells: tuple[Cell, ...]) -> dict[str, int]:
    """Count what did not go well: by status where there was one, otherwise by outcome."""
    counts: dict[str, int] = {}
    for cell in cells:
        if cell.outcome is not Outcome.OK:
            name = str(cell.status) if cell.status and cell.outcome is not Outcome.BODY else cell.outcome.value
            counts[name] = counts.get(name, 0) + cell.count
    return dict(sorted(counts.items(), key=lambda item: -item[1]))
