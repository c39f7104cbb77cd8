"""T4: is the canary slower? Exceedances of a quantile, from raw samples.

Let τ be the stable version's q-quantile, measured on *earlier* requests than the stratum (else it is no bet but
hindsight), and δ the tolerated slow-down. Count x_B = stable requests slower than τ and x_C = canary requests slower
than (1+δ) τ. If the canary is at most 1+δ times slower around that quantile, its share of slow requests is at most the
stable one. For the alternative "the canary's share is r times the expected 1-q":

    θ_B = 1-q,  θ_C = r θ_B,  θ_0 = (n_C θ_C + n_B θ_B) / (n_C + n_B)
    growth(r) = x_C ln(θ_C/θ_0) + (n_C-x_C) ln((1-θ_C)/(1-θ_0)) + x_B ln(θ_B/θ_0) + (n_B-x_B) ln((1-θ_B)/(1-θ_0))

This is the 2x2 e-variable of Turner, Ly, Grünwald, "Generic e-variables for exact sequential k-sample tests" (2024):
with equal shares p in both arms, each request's factor is linear in p, the mean over all n_C + n_B factors is exactly
1, and so their product is at most 1 by the inequality of means; it only falls when the canary is better than H0's edge.

τ drifts with the day and that is fine: both arms of a stratum are held to the same τ. Whole-distribution slow-downs
show at p50 some five times sooner than at p99, tail-only ones at p99, so a judge bets on several quantiles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log, log1p
from typing import Self

from rollout.core.sequential.stakes import EProcess, Side, Stakes
from rollout.core.sequential.tally import Tally, check_share

_ACCEPT_RATIOS = (0.1, 0.2, 0.35, 0.5, 0.65, 0.8)
_HARM_RATIOS = {
    0.5: (1.1, 1.2, 1.4, 1.6, 1.8, 1.95),
    0.9: (1.15, 1.3, 1.5, 2.0, 3.0, 5.0, 9.0),
    0.95: (1.15, 1.3, 1.5, 2.0, 3.0, 5.0, 10.0, 18.0),
    0.99: (1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 90.0),
}
_HARM_RATIOS_ELSEWHERE = (1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 90.0, 200.0, 500.0)
_SLOW_SHARE_MAX = 0.98  # an alternative in which nearly every canary request is slow; beyond it a share is no share
QUANTILE_MAX = 0.9999  # rarer than one in 10,000 no rollout has the traffic for


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceedE(EProcess):
    """Evidence about the share of requests beyond the stable version's earlier q-quantile."""

    side: Side
    quantile: float

    def __post_init__(self) -> None:
        _check_quantile(self.quantile)

    @classmethod
    def fresh(cls, side: Side, *, quantile: float, starts_planned: int = 1) -> Self:
        """No evidence yet. `starts_planned` is the number of steps that may each restart it."""
        _check_quantile(quantile)
        alternatives = len(_slow_shares(side, quantile))
        return cls(side=side, quantile=quantile, stakes=Stakes.fresh(alternatives, starts_planned))

    def after(self, canary: Tally, stable: Tally, *, eta: float = 1.0) -> Self:
        """The evidence after one more stratum: canary requests beyond (1+δ) τ, stable requests beyond τ."""
        check_share(canary)
        check_share(stable)
        requests = canary.exposure + stable.exposure
        if not (canary.exposure and stable.exposure):
            return self
        slow, fast = canary.events, canary.exposure - canary.events
        slow_both = slow + stable.events
        fast_both = requests - slow_both
        usual = 1.0 - self.quantile
        of_stable = stable.events * log(usual) + (stable.exposure - stable.events) * log1p(-usual)
        weight = canary.exposure / requests
        growth = [
            slow * log_slow
            + fast * log_fast
            + of_stable
            - slow_both * log(pooled := usual + weight * (share - usual))
            - fast_both * log1p(-pooled)
            for share, log_slow, log_fast in _slow_shares(self.side, self.quantile)
        ]
        return type(self)(side=self.side, quantile=self.quantile, stakes=self.stakes.after(growth, eta))


@lru_cache(maxsize=64)  # one entry per quantile that plans name
def _slow_shares(side: Side, quantile: float) -> tuple[tuple[float, float, float], ...]:
    """For each alternative: the canary's share of slow requests, and the logarithms of it and of its complement."""
    return tuple((share, log(share), log1p(-share)) for share in alternative_slow_shares(side, quantile))


def alternative_slow_shares(side: Side, quantile: float) -> list[float]:
    """The canary's shares of slow requests to bet on, where 1 - quantile is expected."""
    shares = [(1.0 - quantile) * ratio for ratio in _ratios(side, quantile)]
    return [share for share in shares if share < _SLOW_SHARE_MAX]


def _ratios(side: Side, quantile: float) -> tuple[float, ...]:
    match side:
        case Side.HARM:
            return _HARM_RATIOS.get(quantile, _HARM_RATIOS_ELSEWHERE)
        case Side.ACCEPT:
            return _ACCEPT_RATIOS


def _check_quantile(quantile: float) -> None:
    if not 0.5 <= quantile <= QUANTILE_MAX:
        raise ValueError(f"a latency quantile lies between 0.5 and {QUANTILE_MAX}, not at {quantile}")


def empirical_quantile(sorted_samples: Sequence[float], quantile: float) -> float:
    """The smallest sample that at least a share `quantile` of the samples does not exceed: τ, from earlier requests."""
    if not sorted_samples:
        raise ValueError("no samples, no quantile")
    return sorted_samples[max(0, ceil(quantile * len(sorted_samples)) - 1)]
