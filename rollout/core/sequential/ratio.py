"""T1: does the canary fail more often than the stable version, in proportion?

For a stratum in which the canary had x_C events in exposure n_C and the stable version x_B in n_B, and for the
alternative "the canary's rate is r ψ0 times the stable one":

    growth(r) = x_C ln r - (x_C + x_B) ln[(r ψ0 n_C + n_B) / (ψ0 n_C + n_B)]

H0 of harm is "rate_C <= ψ0 rate_B" with all r > 1; H0 of accept is "rate_C >= ψ0 rate_B" with all r < 1.

Why it is a fair bet, in one line: given that an event happened, it is the canary's with probability θ0 = ψ0 n_C /
(ψ0 n_C + n_B) at the edge of H0; write a = θ1/θ0 and b = (1-θ1)/(1-θ0) for the alternative θ1, then on H0

    E[exp growth] = (1 + p_C (a-1))^n_C (1 + p_B (b-1))^n_B <= exp(n_C p_C (a-1) + n_B p_B (b-1)) <= 1

for *every* p_B. So the stable version's error rate need not be known, may differ in every stratum (outages, daily
cycle, weight steps), and the bet is exact for requests (Bernoulli) as for counts per time (Poisson: pod-seconds).

Sources: Lindon, Malek, "Anytime-valid inference for multinomial count data" (NeurIPS 2022); the bound above is ours.
"""

from dataclasses import dataclass
from math import inf, log, log1p
from typing import Self

from rollout.core.sequential.stakes import ACCEPT_RATIOS, HARM_RATIOS, EProcess, Side, Stakes
from rollout.core.sequential.tally import Tally

_GRIDS = {
    Side.HARM: tuple((log(ratio), ratio - 1) for ratio in HARM_RATIOS),
    Side.ACCEPT: tuple((log(ratio), ratio - 1) for ratio in ACCEPT_RATIOS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioE(EProcess):
    """Evidence about rate_C / rate_B against the tolerated ratio ψ0 (1.5: "half as many again is tolerated")."""

    side: Side
    psi0: float

    def __post_init__(self) -> None:
        _check_ratio(self.psi0)

    @classmethod
    def fresh(cls, side: Side, *, psi0: float = 1.0, starts_planned: int = 1) -> Self:
        """No evidence yet. `starts_planned` is the number of steps that may each restart it."""
        alternatives = len(_GRIDS[side]) + (side is Side.ACCEPT)
        return cls(side=side, psi0=psi0, stakes=Stakes.fresh(alternatives, starts_planned))

    def after(
        self, canary: Tally, stable: Tally, *, eta: float = 1.0, psi0: float | None = None, growth_max: float = inf
    ) -> Self:
        """The evidence after one more stratum, tempered and capped; `psi0` replaces the tolerated ratio in it alone.

        A stratum that lacks one arm, or in which nothing happened, says nothing about the ratio.
        """
        events = canary.events + stable.events
        if not (events and canary.exposure and stable.exposure):
            return self
        if psi0 is None:
            psi0 = self.psi0
        else:
            _check_ratio(psi0)
        tolerated = psi0 * canary.exposure
        share = tolerated / (tolerated + stable.exposure)
        won = canary.events
        growth: list[float | None] = [
            won * log_ratio - events * log1p(excess * share) for log_ratio, excess in _GRIDS[self.side]
        ]
        if self.side is Side.ACCEPT:
            growth.append(None if won else -events * log1p(-share))
        return type(self)(side=self.side, psi0=self.psi0, stakes=self.stakes.after(growth, eta, growth_max))


def _check_ratio(psi0: float) -> None:
    if not 0 < psi0 < inf:
        raise ValueError(f"a tolerated ratio is above 0 and finite, not {psi0}")
