"""When each request is due. Pure: no clock is read here.

Latency is measured from the due time, never from the actual send, so a slow server cannot hide its own queue (no
coordinated omission). The due time of request i is a function of the plan and i:

Let L(t) be the number of arrivals expected until t (the integral of the rate). With constant spacing request i is due
at the t where L(t) = i. For Poisson arrivals, by the time-rescaling theorem, it is due where L(t) = E_0 + ... + E_i
with independent unit exponentials E, each a function of (seed, index). Within one stage of length T from rate a to b,

    L(t) = a t + (b - a) t^2 / (2 T)    so    t = 2 n / (a + sqrt(a^2 + 2 n (b - a) / T))

for n arrivals since the stage began: the form that survives a flat ramp (b = a) without dividing by nothing.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from loadgen.core.chance import exponential
from loadgen.core.histogram import NS
from loadgen.core.plan import Arrivals, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The stages as one function from index to due time."""

    stages: tuple[Stage, ...]
    arrivals: Arrivals = Arrivals.CONSTANT
    seed: int = 1
    requests: int = 0  # 0 means as many as fit
    first: float | None = None  # L at the first arrival, when something else has fixed it

    def walk(self, first: int = 0, step: int = 1) -> Iterator[tuple[int, int]]:
        """Yield (index, nanoseconds since the start) of every step-th arrival: one worker's share of the whole."""
        limit = self.requests or math.inf
        for index, due_ns in enumerate(self._due_times()):
            if index >= limit:
                return
            if index % step == first:
                yield index, due_ns

    def _due_times(self) -> Iterator[int]:
        elapsed = passed = 0.0
        wanted = self.expected(0, 0.0)
        index = 0
        for stage in self.stages:
            while (n := wanted - passed) < stage.arrivals:
                yield round((elapsed + time_within(stage, n)) * NS)
                index += 1
                wanted = self.expected(index, wanted)
            elapsed += stage.duration_s
            passed += stage.arrivals

    def expected(self, index: int, before: float) -> float:
        """Give L at arrival *index*, when L at the one before is known."""
        if index == 0 and self.first is not None:
            return self.first
        match self.arrivals:
            case Arrivals.CONSTANT:
                return index + (self.first or 0.0)
            case Arrivals.POISSON:
                return before + exponential(self.seed, index)


def rate_at(stages: tuple[Stage, ...], elapsed_s: float) -> float:
    """Give the arrival rate at a time since the start."""
    for stage in stages:
        if elapsed_s < stage.duration_s:
            slope = (stage.to_per_s - stage.from_per_s) / stage.duration_s
            return stage.from_per_s + slope * max(elapsed_s, 0.0)
        elapsed_s -= stage.duration_s
    return 0.0


def time_within(stage: Stage, n: float) -> float:
    """Give the time since a stage's start at which *n* of its arrivals have become due."""
    if n <= 0:
        return 0.0
    slope = (stage.to_per_s - stage.from_per_s) / stage.duration_s
    root = math.sqrt(max(0.0, stage.from_per_s**2 + 2 * slope * n))
    return min(stage.duration_s, 2 * n / (stage.from_per_s + root))
