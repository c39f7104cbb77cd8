"""How bursty the errors are, measured, and how much every bet shrinks because of it.

The bets assume that requests fail independently within a stratum. Real ones fail together (a garbage collection, a lost
connection pool), the counts vary φ times more than independent ones would, and at φ = 5 an untempered ratio test at
α = 1 % gives 34 % false alarms. So φ is measured on *past* strata by Pearson's statistic, per arm and about the arm's
own mean,

    φ = (30 + Σ (x - n p)² / (n p (1-p))) / (30 + strata)        with p = (Σ x + ½) / (Σ n + 1)

(the 30 is a prior: thirty strata that behaved), and every growth is multiplied by

    η = 1 if φ < 1.2, else 1 / (1.5 φ)

Any η in (0, 1] that the stratum itself did not influence keeps a valid bet valid; the 1.5 pays for the uncertainty of φ
and was found by simulation. A baseline-only warm-up of two minutes teaches φ before the first bet.
"""

from dataclasses import dataclass, field
from typing import Self

from rollout.core.sequential.tally import Tally

PRIOR_STRATA = 30
CALM_BELOW = 1.2  # sampling noise of φ itself over a few dozen strata
CAUTION = 1.5
VARIANCE_MIN = 1e-9  # a mean of 0 or 1 has no variance to divide by


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispersion:
    """Pearson's statistic of one arm so far."""

    pearson: float = 0.0
    strata: int = 0
    events: float = 0.0
    exposure: float = 0.0

    def after(self, tally: Tally) -> Self:
        """Compare one more stratum with the mean so far, itself included. An empty stratum says nothing."""
        if not tally.exposure:
            return self
        events, exposure = self.events + tally.events, self.exposure + tally.exposure
        mean = (events + 0.5) / (exposure + 1)
        deviation = tally.events - tally.exposure * mean
        variance = max(tally.exposure * mean * (1 - mean), VARIANCE_MIN)
        pearson = self.pearson + deviation * deviation / variance
        return type(self)(pearson=pearson, strata=self.strata + 1, events=events, exposure=exposure)

    def phi(self, prior: float = 1.0) -> float:
        """Measured variance over independent variance, pulled towards `prior` while strata are few; at least 1."""
        return max(1.0, (self.pearson + PRIOR_STRATA * prior) / (self.strata + PRIOR_STRATA))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tempering:
    """The dispersion of both arms. Ask for `eta` first, then tell it the stratum: the past alone may temper."""

    stable: Dispersion = field(default_factory=Dispersion)
    canary: Dispersion = field(default_factory=Dispersion)

    def after(self, canary: Tally, stable: Tally) -> Self:
        """Learn from one more stratum; a warm-up passes an empty canary tally."""
        return type(self)(stable=self.stable.after(stable), canary=self.canary.after(canary))

    @property
    def phi(self) -> float:
        """The worse arm's dispersion. The canary, still little known, is presumed to be like the stable version."""
        of_stable = self.stable.phi()
        return max(of_stable, self.canary.phi(prior=of_stable))

    @property
    def eta(self) -> float:
        """The exponent for the next stratum's bets."""
        phi = self.phi
        return 1.0 if phi < CALM_BELOW else 1.0 / (CAUTION * phi)
