"""Made-up traffic: requests split between two versions, failures that come alone or in bursts, and latencies.

Latencies are log-normal with a median of 50 ms and σ = 0.6, so the true p99 is 201.9 ms. A regression either scales all
of them or delays a few: `Slowdown(share=0.02, factor=7.93)` doubles p99 and leaves p50 alone.
"""

from dataclasses import dataclass
from math import erfc, log, sqrt
from statistics import NormalDist

import numpy as np

from tests.montecarlo.vectorised import Floats, Ints

MEDIAN_MS, SIGMA = 50.0, 0.6


def failures(
    chance: np.random.Generator, requests: Ints, rate: float, phi: float = 1.0, usual: float | None = None
) -> Ints:
    """Failures among the requests of one second; in bursts: beta-binomial, with a variance inflated φ times."""
    if phi <= 1:
        return chance.binomial(requests, rate)
    mean = max(2.0, float(requests.mean()) if usual is None else usual)
    correlation = min(0.95, (phi - 1) / (mean - 1))
    strength = (1 - correlation) / correlation
    return chance.binomial(requests, chance.beta(rate * strength, (1 - rate) * strength, len(requests)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Slowdown:
    """All requests `scale` times slower, and a `share` of them another `factor` times."""

    scale: float = 1.0
    share: float = 0.0
    factor: float = 1.0

    def slower_than(self, threshold_ms: Floats) -> Floats:
        """The probability that a request takes longer than each threshold."""
        usual = _tail(threshold_ms / self.scale)
        return (1 - self.share) * usual + self.share * _tail(threshold_ms / self.scale / self.factor)


NO_SLOWDOWN = Slowdown()


def _tail(threshold_ms: Floats) -> Floats:
    z = (np.log(np.maximum(threshold_ms, 1e-9)) - log(MEDIAN_MS)) / (SIGMA * sqrt(2))
    return np.asarray(0.5 * _erfc(z))


_erfc = np.vectorize(erfc, otypes=[np.float64])


def normal_quantile(probability: Floats) -> Floats:
    """The inverse of the normal distribution function."""
    return np.asarray(_normal_quantile(probability))


_normal_quantile = np.vectorize(NormalDist().inv_cdf, otypes=[np.float64])
