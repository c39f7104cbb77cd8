"""Whether to believe a measurement: what the generator says about itself.

A slow server is news; a slow generator is noise that looks like news. So the generator watches itself in windows of a
tenth of a second and says ok, degraded (believe with care) or invalid (no evidence). Its own lateness is the time from
when a request could have been sent (due, and a connection free) to when it was; waiting for a busy server is not in it.
"""

from dataclasses import dataclass
from enum import StrEnum

LAG_INVALID_S = 0.1  # a pause of a tenth of a second hides a whole window: stopped, swapped, or starved
LAG_DEGRADED_S = 0.02  # twenty times a scheduler's usual worst; seen on busy virtual machines
CPU_DEGRADED_SHARE = 0.9  # above this a queue grows in ourselves
CLIENT_ERRORS_INVALID_SHARE = 0.01  # file descriptors or ports exhausted: we measure our own limits
SENT_DEGRADED_SHARE = 0.99  # of what was asked for
SENT_INVALID_SHARE = 0.8
INVALID_TIME_SHARE = 0.05  # of the run: more, and the whole is invalid
REASONS_MAX = 8


class TrustLevel(StrEnum):
    """How far to believe."""

    OK = "ok"
    DEGRADED = "degraded"
    INVALID = "invalid"


ORDER = (TrustLevel.OK, TrustLevel.DEGRADED, TrustLevel.INVALID)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """A level, and why it is not better."""

    level: TrustLevel = TrustLevel.OK
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What the generator saw of itself in one window."""

    window_s: float
    lag_s_max: float  # its own lateness
    cpu_share: float  # of one core
    throttled: int = 0  # times that the cgroup's CPU quota stopped us
    sent: int = 0
    due: int = 0
    dropped: int = 0
    client_errors: int = 0  # no file descriptors, no ports, no memory


def judge_window(seen: Measures) -> Trust:
    """Judge one window."""
    bad = _invalid_reasons(seen)
    poor = _degraded_reasons(seen)
    if bad:
        return Trust(level=TrustLevel.INVALID, reasons=tuple(bad + poor))
    return Trust(level=TrustLevel.DEGRADED if poor else TrustLevel.OK, reasons=tuple(poor))


def _invalid_reasons(seen: Measures) -> list[str]:
    reasons = []
    if seen.lag_s_max > LAG_INVALID_S:
        reasons.append("the generator itself was late by more than 100 ms")
    if seen.client_errors > CLIENT_ERRORS_INVALID_SHARE * max(seen.sent, 1):
        reasons.append("the generator ran out of file descriptors, ports or memory")
    return reasons


def _degraded_reasons(seen: Measures) -> list[str]:
    reasons = []
    if LAG_DEGRADED_S < seen.lag_s_max <= LAG_INVALID_S:
        reasons.append("the generator itself was late by more than 20 ms")
    if seen.cpu_share > CPU_DEGRADED_SHARE:
        reasons.append("the generator used more than 90 % of its core")
    if seen.throttled:
        reasons.append("the cgroup's CPU quota stopped the generator")
    if seen.dropped:
        reasons.append("requests were dropped at the in-flight cap")
    return reasons


class TrustKeeper:
    """Adds windows up to a judgement of the whole run."""

    def __init__(self) -> None:
        self._time_s = dict.fromkeys(TrustLevel, 0.0)
        self._reasons: dict[str, float] = {}

    def add(self, seen: Measures) -> Trust:
        """Judge a window and keep it."""
        trust = judge_window(seen)
        self._time_s[trust.level] += seen.window_s
        for reason in trust.reasons:
            self._reasons[reason] = self._reasons.get(reason, 0.0) + seen.window_s
        return trust

    def whole(self, *, sent: int, due: int) -> Trust:
        """Judge the run so far; *due* counts what should have been sent by now."""
        level = TrustLevel.OK
        reasons = [f"{reason} (for {time_s:.1f} s)" for reason, time_s in self._reasons.items()]
        total_s = sum(self._time_s.values())
        if self._time_s[TrustLevel.DEGRADED] or self._time_s[TrustLevel.INVALID]:
            level = TrustLevel.DEGRADED
        if self._time_s[TrustLevel.INVALID] > INVALID_TIME_SHARE * total_s:
            level = TrustLevel.INVALID
        if due and sent < SENT_DEGRADED_SHARE * due:
            reasons.append(f"only {100 * sent / due:.1f} % of the requests that were due were sent")
            level = TrustLevel.INVALID if sent < SENT_INVALID_SHARE * due else worst((level, TrustLevel.DEGRADED))
        return Trust(level=level, reasons=tuple(reasons[:REASONS_MAX]))


def worst(levels: tuple[TrustLevel, ...]) -> TrustLevel:
    """Give the least trustworthy of several levels."""
    return max(levels, key=ORDER.index, default=TrustLevel.OK)


def combined(trusts: tuple[Trust, ...]) -> Trust:
    """Add several workers' trust up: the run is as good as its worst worker."""
    reasons = dict.fromkeys(reason for trust in trusts for reason in trust.reasons)
    return Trust(level=worst(tuple(trust.level for trust in trusts)), reasons=tuple(reasons)[:REASONS_MAX])
