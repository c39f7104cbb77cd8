"""T2 and T3: is one version's own rate within a limit?

T2, error share against an objective p0: x errors in n requests, for the alternative "the share is q":

    growth(q) = x ln(q/p0) + (n - x) ln((1-q)/(1-p0))

T3, events per time against λ0: x events in t units of exposure, for the alternative "the rate is r λ0":

    growth(r) = x ln r - λ0 (r - 1) t

Both are likelihood ratios, the oldest fair bets there are (Wald 1945; Ville 1939). H0 of harm is "within the limit",
H0 of accept "at or beyond it". They need no stable version, so they still judge at weight 100, and both versions may be
held to the same limit to tell a shared outage from a bad canary.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import inf, log, log1p
from typing import Self

from rollout.core.sequential.stakes import ACCEPT_RATIOS, HARM_RATIOS, EProcess, Side, Stakes
from rollout.core.sequential.tally import Tally, check_share

SHARES_OF_A_DISASTER = (0.5, 0.8, 0.99)  # alternatives that no multiple of a small limit reaches
LIMIT_MAX = 0.98  # beyond it no alternative is left to bet on


@dataclass(frozen=True, slots=True, kw_only=True)
class SloE(EProcess):
    """Evidence about the share of events among requests against the limit p0 (0.01: one in a hundred)."""

    side: Side
    p0: float

    def __post_init__(self) -> None:
        _check_share_limit(self.p0)

    @classmethod
    def fresh(cls, side: Side, *, p0: float, starts_planned: int = 1) -> Self:
        """No evidence yet. `starts_planned` is the number of steps that may each restart it."""
        _check_share_limit(p0)
        alternatives = len(_share_bets(side, p0)) + (side is Side.ACCEPT)
        return cls(side=side, p0=p0, stakes=Stakes.fresh(alternatives, starts_planned))

    def after(self, version: Tally, *, eta: float = 1.0, growth_max: float = inf) -> Self:
        """The evidence after one more stratum of one version, tempered by `eta` and capped."""
        check_share(version)
        if not version.exposure:
            return self
        bad, good = version.events, version.exposure - version.events
        growth: list[float | None] = [bad * lost + good * kept for lost, kept in _share_bets(self.side, self.p0)]
        if self.side is Side.ACCEPT:
            growth.append(None if bad else -good * log1p(-self.p0))
        return type(self)(side=self.side, p0=self.p0, stakes=self.stakes.after(growth, eta, growth_max))


@dataclass(frozen=True, slots=True, kw_only=True)
class PoissonE(EProcess):
    """Evidence about events per unit of exposure (restarts per pod-hour) against the limit λ0."""

    side: Side
    rate0: float

    def __post_init__(self) -> None:
        if not 0 < self.rate0 < inf:
            raise ValueError(f"a limit of a rate is above 0 and finite, not {self.rate0}")

    @classmethod
    def fresh(cls, side: Side, *, rate0: float, starts_planned: int = 1) -> Self:
        """No evidence yet. `starts_planned` is the number of steps that may each restart it."""
        alternatives = len(_RATE_BETS[side]) + (side is Side.ACCEPT)
        return cls(side=side, rate0=rate0, stakes=Stakes.fresh(alternatives, starts_planned))

    def after(self, version: Tally, *, eta: float = 1.0) -> Self:
        """The evidence after one more stratum of one version, tempered by `eta`."""
        expected = self.rate0 * version.exposure
        if not version.exposure:
            return self
        growth: list[float | None] = [
            version.events * log_ratio - expected * excess for log_ratio, excess in _RATE_BETS[self.side]
        ]
        if self.side is Side.ACCEPT:
            growth.append(None if version.events else expected)
        return type(self)(side=self.side, rate0=self.rate0, stakes=self.stakes.after(growth, eta))


_RATE_BETS = {
    Side.HARM: tuple((log(ratio), ratio - 1) for ratio in HARM_RATIOS),
    Side.ACCEPT: tuple((log(ratio), ratio - 1) for ratio in ACCEPT_RATIOS),
}


@lru_cache(maxsize=256)  # one entry per limit that plans name; a judge asks for the same few in every stratum
def _share_bets(side: Side, p0: float) -> tuple[tuple[float, float], ...]:
    """For each alternative share q: what one bad and what one good request adds to its stake."""
    return tuple((log(share / p0), log1p(-share) - log1p(-p0)) for share in alternative_shares(side, p0))


def alternative_shares(side: Side, p0: float) -> list[float]:
    """The shares to bet on; to accept there is one more, a share of 0."""
    match side:
        case Side.HARM:
            multiples = [p0 * ratio for ratio in HARM_RATIOS if p0 * ratio < SHARES_OF_A_DISASTER[0]]
            return multiples + [share for share in SHARES_OF_A_DISASTER if share > p0]
        case Side.ACCEPT:
            return [p0 * ratio for ratio in ACCEPT_RATIOS]


def _check_share_limit(p0: float) -> None:
    if not 0 < p0 <= LIMIT_MAX:
        raise ValueError(f"a limit of a share lies above 0 and at most at {LIMIT_MAX}, not at {p0}")
