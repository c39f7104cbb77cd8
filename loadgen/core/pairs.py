"""Paired A/B: the same due time to every arm, so that whatever the world did then, it did to all of them.

What is kept of a pair is the difference of log latencies (a ratio, whatever the scale), summed: mean and variance of
the ratio, and who was faster, are all a test needs. A/A pairs (the first arm twice) show the noise floor: when they
differ too, the difference of the arms means nothing.
"""

import math
from dataclasses import dataclass

NOISE = "(noise)"  # the arm name of the second half of an A/A pair


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSum:
    """Sums over the pairs of one arm with the reference (the first arm)."""

    arm: str
    count: int = 0  # pairs with two good responses
    log_ratio: float = 0.0  # sum of ln(latency of the arm / latency of the reference)
    log_ratio_squared: float = 0.0
    slower: int = 0
    faster: int = 0
    broken: int = 0  # pairs in which somebody failed: they say something about errors, nothing about latency

    def plus(self, other: "PairSum") -> "PairSum":
        """Merge."""
        return PairSum(
            arm=self.arm,
            count=self.count + other.count,
            log_ratio=self.log_ratio + other.log_ratio,
            log_ratio_squared=self.log_ratio_squared + other.log_ratio_squared,
            slower=self.slower + other.slower,
            faster=self.faster + other.faster,
            broken=self.broken + other.broken,
        )

    def with_pair(self, reference_ns: int, arm_ns: int) -> "PairSum":
        """Add one pair; a negative latency is a failure."""
        if reference_ns <= 0 or arm_ns <= 0:
            return self.plus(PairSum(arm=self.arm, broken=1))
        ratio = math.log(arm_ns / reference_ns)
        one = PairSum(
            arm=self.arm,
            count=1,
            log_ratio=ratio,
            log_ratio_squared=ratio * ratio,
            slower=int(arm_ns > reference_ns),
            faster=int(arm_ns < reference_ns),
        )
        return self.plus(one)


class Pair:
    """One due time's requests, until all have ended."""

    __slots__ = ("_latencies", "_missing", "_names")

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._latencies = [0] * len(names)
        self._missing = len(names)

    def ended(self, place: int, latency_ns: int, sums: dict[str, PairSum]) -> None:
        """Take one side's latency (negative when failed); add the pair up when it is the last."""
        self._latencies[place] = latency_ns
        self._missing -= 1
        if self._missing:
            return
        for name, value in zip(self._names[1:], self._latencies[1:], strict=True):
            sums[name] = sums.get(name, PairSum(arm=name)).with_pair(self._latencies[0], value)
