"""What a run has to hold to pass: `p99<300ms`, `errors<1%`, `rate>=190/s`, `p95@v3<80ms`, `share@v3<7%`.

A threshold without data does not pass: silence is no success.
"""

import re
from dataclasses import dataclass

from loadgen.core.outcome import UNSENT, is_failure
from loadgen.core.report import Report
from loadgen.core.summary import sending_s
from loadgen.core.units import per_second, seconds, share, told_s

FORM = re.compile(r"\s*([a-z]+[\d.]*)(?:@(\S+?))?\s*(<=|>=|<|>)\s*(\S+)\s*")
LATENCIES = ("min", "mean", "max")
SHARES = frozenset({"errors", "dropped", "share"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One limit on one number, of everything or of one version."""

    text: str
    metric: str
    version: str | None
    operator: str
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether it held, and the number itself: None without data."""

    threshold: Threshold
    value: float | None
    passed: bool

    def told(self) -> str:
        """Write the number for people."""
        if self.value is None:
            return "no data"
        if self.threshold.metric in SHARES:
            return f"{100 * self.value:.2f}%"
        return f"{self.value:.1f}/s" if self.threshold.metric == "rate" else told_s(self.value)


def parse(text: str) -> Threshold:
    """Read a threshold. Raises ValueError."""
    match = FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"threshold: {text!r} is none: expected something like p99<300ms or errors<1%")
    metric, version, operator, limit = match.groups()
    if metric in SHARES:
        value = share(limit)
    elif metric == "rate":
        value = per_second(limit)
    elif metric in LATENCIES or is_quantile(metric):
        value = seconds(limit)
    else:
        raise ValueError(
            f"threshold: {metric!r}: expected p50 to p99.999, min, mean, max, errors, dropped, rate or share"
        )
    if version is not None and metric in {"rate", "dropped"}:
        raise ValueError(f"threshold: {metric} is known of the whole run only, not of {version}")
    if version is None and metric == "share":
        raise ValueError("threshold: share is that of a version: share@v3")
    return Threshold(text=text.strip(), metric=metric, version=version, operator=operator, limit=value)


def is_quantile(metric: str) -> bool:
    """Whether a name is that of a quantile: p50, p99.9."""
    return re.fullmatch(r"p\d{1,2}(\.\d{1,3})?", metric) is not None


def judge(threshold: Threshold, report: Report) -> Verdict:
    """Hold a report against a threshold."""
    value = value_of(threshold, report)
    return Verdict(threshold=threshold, value=value, passed=value is not None and holds(threshold, value))


def holds(threshold: Threshold, value: float) -> bool:
    """Compare."""
    if threshold.operator.startswith("<"):
        return value < threshold.limit or (threshold.operator == "<=" and value == threshold.limit)
    return value > threshold.limit or (threshold.operator == ">=" and value == threshold.limit)


def value_of(threshold: Threshold, report: Report) -> float | None:
    """Find the number in a report, None without data."""
    if threshold.metric == "rate":
        return report.sent / sending_s(report)
    if threshold.metric == "dropped":
        due = report.sent + report.dropped + report.withheld
        return (report.dropped + report.withheld) / due if due else None
    if threshold.metric == "errors":
        return errors_of(threshold, report)
    if threshold.metric == "share":
        answered = {cell.version: 0 for cell in report.cells}
        for cell in report.cells:
            answered[cell.version] += cell.count if cell.version else 0  # who did not answer was nobody's
        total = sum(answered.values())
        return answered.get(str(threshold.version), 0) / total if total else None
    times = report.response(version=threshold.version)
    if threshold.metric in LATENCIES:
        return {"min": times.min_s, "mean": times.mean_s, "max": times.max_s}[threshold.metric]()
    return times.quantile_s(float(threshold.metric[1:]) / 100)


def errors_of(threshold: Threshold, report: Report) -> float | None:
    """Give the share of requests that failed."""
    cells = [cell for cell in report.cells if cell.outcome not in UNSENT and threshold.version in (None, cell.version)]
    total = sum(cell.count for cell in cells)
    return sum(cell.count for cell in cells if is_failure(cell.outcome)) / total if total else None
