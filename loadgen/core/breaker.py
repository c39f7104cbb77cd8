"""The load breaker: guards the target and ourselves. A thermostat: it opens, tries, and comes back by itself.

    CLOSED --too many transport failures, too slow, full, late, or told to wait--> OPEN
    OPEN --after min(5 s * 2^k, 60 s) +-20 %, or Retry-After (at most 60 s)--> HALF_OPEN
    HALF_OPEN --5 of 5 good--> CLOSED, back to the full rate by 10 % a second
    HALF_OPEN --one bad, or 10 s passed--> OPEN, k + 1

Samples taken while it is not closed (or is coming back) are no evidence. Times are seconds of a monotonic clock, so a
jump of the wall clock changes nothing. Numbers: the circuit-breaker section of the design's statistics reference.
"""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from loadgen.core.chance import uniform

WINDOW_S = 10.0
CALLS_MIN = 20
FAILURE_SHARE = 0.5
SLOW_FACTOR = 10.0
SLOW_FLOOR_S = 0.001  # ten times 50 µs is noise; ten times 1 ms is not
SLOW_BASE_MIN = 50  # calls before the start value of the median is taken
FULL_S = 2.0  # in-flight at the cap for this long
LAG_S = 1.0
WAIT_S = 5.0
WAIT_MAX_S = 60.0
JITTER = 0.2
TRIALS = 5
TRIAL_DEADLINE_S = 10.0
RAMP_PER_S = 0.1


class BreakerState(StrEnum):
    """Whether load may flow."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerChange:
    """One transition, for the report."""

    at_s: float
    state: BreakerState
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was seen since the last sample."""

    at_s: float
    completed: int = 0
    failed: int = 0  # transport failures and timeouts
    median_s: float = 0.0  # of the good responses' times
    is_full: bool = False  # in-flight at the cap
    lag_s: float = 0.0
    retry_after_s: float = 0.0  # from a 429 or 503


class LoadBreaker:
    """Watches samples, says how much of the load may flow."""

    def __init__(self, seed: int) -> None:
        self.state = BreakerState.CLOSED
        self.changes: list[BreakerChange] = []
        self._seed = seed
        self._window: deque[Sample] = deque()
        self._slow_base_s: float | None = None
        self._full_since_s: float | None = None
        self._openings = 0
        self._until_s = 0.0  # OPEN: when to try; HALF_OPEN: when to give up
        self._closed_at_s = float("-inf")
        self._good = 0
        self._admitted = 0
        self._carry = 0.0

    @property
    def is_evidence(self) -> bool:
        """Whether what is seen now says something about the target at its asked rate."""
        return self.state is BreakerState.CLOSED and not self._ramping

    @property
    def limits(self) -> bool:
        """Whether every arrival has to be asked about."""
        return not self.is_evidence

    @property
    def _ramping(self) -> bool:
        return self._closed_at_s > float("-inf")

    def admit(self, at_s: float) -> bool:
        """May this arrival be sent?"""
        match self.state:
            case BreakerState.OPEN:
                return False
            case BreakerState.HALF_OPEN:
                self._admitted += 1
                return self._admitted <= TRIALS
            case BreakerState.CLOSED:
                self._carry += min(1.0, RAMP_PER_S * (1 + at_s - self._closed_at_s)) if self._ramping else 1.0
                admitted = self._carry >= 1.0
                self._carry -= admitted
                return admitted

    def observe(self, sample: Sample) -> BreakerState:
        """Take a sample, move if it says so."""
        match self.state:
            case BreakerState.CLOSED:
                self._observe_closed(sample)
            case BreakerState.OPEN:
                if sample.at_s >= self._until_s:
                    self._good = self._admitted = 0
                    self._until_s = sample.at_s + TRIAL_DEADLINE_S
                    self._move(BreakerState.HALF_OPEN, sample.at_s, "the wait is over")
            case BreakerState.HALF_OPEN:
                self._observe_half_open(sample)
        return self.state

    def _observe_closed(self, sample: Sample) -> None:
        if self._ramping and sample.at_s - self._closed_at_s >= 1 / RAMP_PER_S - 1:
            self._closed_at_s = float("-inf")
            self._openings = 0
        self._window.append(sample)
        while self._window[0].at_s <= sample.at_s - WINDOW_S:
            self._window.popleft()
        if not sample.is_full:
            self._full_since_s = None
        elif self._full_since_s is None:
            self._full_since_s = sample.at_s
        reason = self._reason_to_open(sample)
        if reason:
            self._open(sample, reason)

    def _reason_to_open(self, sample: Sample) -> str:
        completed = sum(seen.completed for seen in self._window)
        failed = sum(seen.failed for seen in self._window)
        if sample.retry_after_s:
            return f"the target asked to wait {sample.retry_after_s:g} s"
        if completed >= CALLS_MIN and failed >= FAILURE_SHARE * completed:
            return f"{failed} of {completed} requests got no answer within {WINDOW_S:g} s"
        if self._full_since_s is not None and sample.at_s - self._full_since_s >= FULL_S:
            return f"in-flight at its cap for {FULL_S:g} s"
        if sample.lag_s > LAG_S:
            return f"the generator was {sample.lag_s:.1f} s late"
        return self._slow_reason()

    def _slow_reason(self) -> str:
        medians = sorted((seen.median_s, seen.completed) for seen in self._window if seen.median_s)
        half = sum(count for _, count in medians) / 2
        if half < SLOW_BASE_MIN / 2:
            return ""
        return self._compare(medians[bisect_left(list(accumulate(count for _, count in medians)), half)][0])

    def _compare(self, median: float) -> str:
        """Hold the window's median against the first one seen."""
        if self._slow_base_s is None:
            self._slow_base_s = max(median, SLOW_FLOOR_S)
        if median > SLOW_FACTOR * self._slow_base_s:
            return f"the median rose from {self._slow_base_s * 1e3:.3g} to {median * 1e3:.3g} ms"
        return ""

    def _open(self, sample: Sample, reason: str) -> None:
        jitter = 1 + JITTER * (2 * uniform(self._seed, self._openings) - 1)
        wait_s = min(WAIT_S * 2**self._openings, WAIT_MAX_S) * jitter
        wait_s = max(wait_s, min(sample.retry_after_s, WAIT_MAX_S))
        self._openings = min(self._openings + 1, 10)
        self._until_s = sample.at_s + wait_s
        self._closed_at_s = float("-inf")
        self._window.clear()
        self._full_since_s = None
        self._move(BreakerState.OPEN, sample.at_s, f"{reason}; waiting {wait_s:.1f} s")

    def _observe_half_open(self, sample: Sample) -> None:
        self._good += sample.completed - sample.failed
        if sample.failed or sample.retry_after_s or sample.at_s >= self._until_s:
            self._open(sample, "a trial call failed" if sample.failed else "the trial calls were not answered in time")
        elif self._good >= TRIALS:
            self._closed_at_s = sample.at_s
            self._carry = 0.0
            self._move(BreakerState.CLOSED, sample.at_s, f"{TRIALS} of {TRIALS} trial calls were good")

    def _move(self, state: BreakerState, at_s: float, reason: str) -> None:
        self.state = state
        self.changes.append(BreakerChange(at_s=at_s, state=state, reason=reason))


Answers = dict[str, tuple[int, int]]  # by arm: completed, and how many of them without an answer


class BestArm:
    """Says what of several arms' answers is about the target: while one arm fares well, another's failures are news.

    Over the breaker's window, not per sample: at ten requests a second a sample holds one request, of one arm.
    """

    def __init__(self) -> None:
        self._window: deque[tuple[float, Answers]] = deque()

    def add(self, at_s: float, seen: Answers) -> tuple[int, int]:
        """Take what was seen since the last sample; give (completed, failed) for the next one."""
        if seen:
            self._window.append((at_s, seen))
        while self._window and self._window[0][0] <= at_s - WINDOW_S:
            self._window.popleft()
        totals: Answers = {}
        for _, answers in self._window:
            for arm, (completed, failed) in answers.items():
                before = totals.get(arm, (0, 0))
                totals[arm] = (before[0] + completed, before[1] + failed)
        if not seen:
            return 0, 0
        best = min(totals, key=lambda arm: totals[arm][1] / totals[arm][0])
        is_bad = totals[best][1] >= FAILURE_SHARE * totals[best][0]
        counted = sum(failed for arm, (_, failed) in seen.items() if is_bad or arm == best)
        return sum(completed for completed, _ in seen.values()), counted

    def forget(self) -> None:
        """Begin anew: what was before the breaker moved says nothing about now."""
        self._window.clear()
