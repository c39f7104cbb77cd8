"""Binomial counts, exactly, from a generator of uniform numbers.

Few expected successes: jump from one success to the next by geometric gaps, which costs as many draws as there are
successes. Many: draw the median-like order statistic of n uniforms, which is a beta variate, and go on with the half
that contains p (Devroye, "Non-Uniform Random Variate Generation", X.4.3); each draw halves n.
"""

from collections.abc import Sequence
from math import log, log1p
from typing import Protocol, TypeVar

Item = TypeVar("Item")
ALMOST_ONE = 1 - 1e-12  # a remainder that rounding has made certain
_JUMPS_MAX = 24.0  # expected successes up to which jumping is cheaper than halving


class Chance(Protocol):
    """The part of random.Random that a made-up world needs."""

    def random(self) -> float:
        """Uniform in [0, 1)."""

    def betavariate(self, alpha: float, beta: float) -> float:
        """Beta distributed."""

    def choices(self, population: Sequence[Item], *, cum_weights: Sequence[float], k: int) -> list[Item]:
        """Draw k items, each with its own weight."""


def binomial(chance: Chance, trials: int, probability: float) -> int:
    """How many of so many independent trials succeed."""
    if probability > 0.5:
        return trials - binomial(chance, trials, 1 - probability)
    successes = 0
    while trials * probability > _JUMPS_MAX:
        middle = trials // 2 + 1
        pivot = chance.betavariate(middle, trials - middle + 1)
        if pivot <= probability:
            successes, trials = successes + middle, trials - middle
            probability = (probability - pivot) / (1 - pivot)
        else:
            trials, probability = middle - 1, probability / pivot
    return successes + _jumps(chance, trials, probability)


def _jumps(chance: Chance, trials: int, probability: float) -> int:
    if probability <= 0:
        return 0
    log_failure = log1p(-min(probability, ALMOST_ONE))
    successes, position = 0, 0
    while True:
        position += int(min(log(1 - chance.random()) / log_failure, trials)) + 1
        if position > trials:
            return successes
        successes += 1
