"""A run's summary for the terminal: promises, what was sent, how it felt, who failed, and whether to believe it."""

from collections.abc import Iterable

from loadgen.core.comparison import ratio_of
from loadgen.core.interval import Interval
from loadgen.core.pairs import NOISE
from loadgen.core.report import Report, Slow
from loadgen.core.summary import CONFIDENCE, Group, Summary, summary_of
from loadgen.core.threshold import Verdict
from loadgen.core.trust import TrustLevel
from loadgen.core.units import told_s

SHOWN = ("p50", "p90", "p95", "p99", "p99.9")
IN_TABLE = ("p50", "p95", "p99")


def told(report: Report, verdicts: Iterable[Verdict] = ()) -> str:
    """Write the summary."""
    summary = summary_of(report)
    lines = ["--- summary ---", *thresholds(tuple(verdicts)), sent(summary, is_open=not report.plan.closed)]
    lines.append(latency(summary.everything))
    if any(group.name for group in summary.versions):
        lines += table(summary.versions)
    lines += paired(report, CONFIDENCE)
    if summary.outcomes:
        lines.append("errors  " + "  ".join(f"{name} ×{count:,}" for name, count in summary.outcomes.items()))
    lines += [f"slowest {told_s(slow.response_s)}  trace {slow.trace_id}" for slow in slowest(report)]
    lines += [
        f"load breaker {change.state} at {change.at_s:.1f}s: {change.reason}" for change in report.closing.breaker
    ]
    return "\n".join([*lines, *trust(summary)])


def thresholds(verdicts: tuple[Verdict, ...]) -> list[str]:
    """Write which promises held."""
    told = [f"{'✓' if one.passed else '✗'} {one.threshold.text} ({one.told()})" for one in verdicts]
    return ["THRESHOLDS  " + "   ".join(told)] if told else []


def sent(summary: Summary, *, is_open: bool) -> str:
    """Write how many were sent, how fast, and how punctually."""
    parts = [f"requests {summary.sent:,}", f"{summary.achieved_per_s:.2f}/s"]
    if is_open and summary.on_time_share is not None:
        worst = told_s(summary.start_delay_max_s)
        parts.append(f"sent on time {100 * summary.on_time_share:.2f}% (max start delay {worst})")
    parts.append(f"dropped {summary.dropped:,}")
    parts += [
        f"{name} {count:,}" for name, count in (("withheld", summary.withheld), ("retried", summary.retried)) if count
    ]
    return " · ".join(parts)


def latency(group: Group) -> str:
    """Write the quantiles of everything."""
    if not group.quantiles_s:
        return "latency  no data"
    quantiles = [f"{name} {told_s(group.quantiles_s[name])}" for name in SHOWN]
    return "latency (from intended start)   " + "  ".join([*quantiles, f"max {told_s(group.max_s)}"])


def table(groups: tuple[Group, ...]) -> list[str]:
    """Write a row for each version."""
    rows: list[tuple[str, ...]] = [("", "n", "err", *IN_TABLE, "99%-CI of p99")]
    for group in groups:
        quantiles = (told_s(group.quantiles_s.get(name)) for name in IN_TABLE)
        name = group.name or "(none)"
        rows.append((name, f"{group.count:,}", f"{100 * group.error_share:.2f}%", *quantiles, enclosed(group.p99)))
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return ["  " + aligned(row, widths) for row in rows]


def aligned(row: tuple[str, ...], widths: list[int]) -> str:
    """Put names and intervals to the left, numbers to the right."""
    first, *numbers, last = row
    padded = [number.rjust(width) for number, width in zip(numbers, widths[1:-1], strict=True)]
    return "  ".join([first.ljust(widths[0]), *padded, last]).rstrip()


def enclosed(interval: Interval | None) -> str:
    """Write an interval; an end that the data do not reach is a dash."""
    if interval is None:
        return "-"
    lower = told_s(interval.lower) if interval.lower > 0 else "-"
    return f"[{lower}, {told_s(interval.upper) if interval.upper < float('inf') else '-'}]"


def slowest(report: Report) -> list[Slow]:
    """Give the few requests worth looking up."""
    return [slow for slow in report.closing.slowest if slow.trace_id][:1]


def trust(summary: Summary) -> list[str]:
    """Write whether to believe it, and why not."""
    word = {
        TrustLevel.OK: "trust ok",
        TrustLevel.DEGRADED: "trust DEGRADED: believe with care",
        TrustLevel.INVALID: "trust INVALID: this run is no evidence",
    }[summary.trust.level]
    end = ["interrupted: the run was stopped early"] if summary.interrupted else []
    return [*end, word, *(f"  {reason}" for reason in summary.trust.reasons)]


def paired(report: Report, confidence: float) -> list[str]:
    """Write the ratios of pairs, and the noise floor: the ratio of the first arm to itself, which should be 1."""
    lines = []
    for pairs in report.pairs:
        ratio = ratio_of(pairs, confidence)
        if ratio is not None:
            who = f"{report.plan.arms[0].name} against itself" if pairs.arm == NOISE else pairs.arm
            noisy = pairs.arm == NOISE and not ratio.lower <= 1 <= ratio.upper
            lines.append(
                f"paired  {who} takes {ratio.value:.3f} times as long [{ratio.lower:.3f}, {ratio.upper:.3f}]"
                f" over {pairs.count:,} pairs ({pairs.broken:,} broken)"
                + ("  NOISE: the pairs do not see what they should" if noisy else "")
            )
    return lines
