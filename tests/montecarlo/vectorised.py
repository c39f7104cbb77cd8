"""The e-processes of rollout.core.sequential for R rollouts at once: arrays of shape (R, alternatives) of log stakes.

Rollouts in which nothing happened are left out of an update. `test_vectorised.py` proves that these say what the pure
values say, to 1e-9.
"""

from math import log

import numpy as np
import numpy.typing as npt

from rollout.core.sequential import ExceedE, Side, SloE
from rollout.core.sequential.absolute import alternative_shares
from rollout.core.sequential.dispersion import CALM_BELOW, CAUTION, PRIOR_STRATA, VARIANCE_MIN
from rollout.core.sequential.exceed import alternative_slow_shares
from rollout.core.sequential.stakes import ACCEPT_RATIOS, HARM_RATIOS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def log_sum(values: Floats) -> Floats:
    """Ln Σ exp over the last axis."""
    largest = values.max(axis=-1, keepdims=True)
    finite = np.where(np.isfinite(largest), largest, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray((finite + np.log(np.exp(values - finite).sum(axis=-1, keepdims=True)))[..., 0])


def log_mean(values: Floats) -> Floats:
    """Ln of the average of exp over the last axis."""
    return log_sum(values) - log(values.shape[-1])


def _times(count: npt.NDArray[np.number], logarithm: Floats) -> Floats:
    """Count times logarithm, where nothing times minus infinity is nothing."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(count > 0, count * logarithm, 0.0))


class Stakes:
    """Log stakes and fortunes of every rollout."""

    def __init__(self, runs: int, alternatives: int, starts_planned: int = 1) -> None:
        self.logs = np.zeros((runs, alternatives))
        self.log_e = np.zeros(runs)
        self.starts, self.starts_planned = 1, starts_planned

    def grow(self, told: Ints, growth: Floats, eta: Floats | None) -> None:
        """Multiply the stakes of the rollouts that learned something."""
        self.logs[told] += growth if eta is None else eta[told, None] * growth
        self._revalue(told)

    def restart(self) -> None:
        """Stake the share kept aside for the next step."""
        self.logs = np.logaddexp(self.logs, 0.0)
        self.starts += 1
        self._revalue(np.arange(len(self.logs)))

    def _revalue(self, told: Ints) -> None:
        with np.errstate(divide="ignore"):
            kept = np.log(self.starts_planned - self.starts)
        self.log_e[told] = np.logaddexp(log_mean(self.logs[told]), kept) - np.log(self.starts_planned)


class Ratios(Stakes):
    """T1, RatioE."""

    def __init__(self, runs: int, *, psi0: float = 1.0, side: Side = Side.HARM, starts_planned: int = 1) -> None:
        self.grid = np.array(HARM_RATIOS if side is Side.HARM else (*ACCEPT_RATIOS, 0.0))
        with np.errstate(divide="ignore"):
            self.log_grid = np.log(self.grid)
        self.psi0 = psi0
        super().__init__(runs, len(self.grid), starts_planned)

    def update(
        self, canary: Ints, canary_requests: Ints, stable: Ints, stable_requests: Ints, eta: Floats | None = None
    ) -> Floats:
        """One stratum of every rollout."""
        both = canary + stable
        told = np.flatnonzero((both > 0) & (canary_requests > 0) & (stable_requests > 0))
        if told.size:
            tolerated = self.psi0 * canary_requests[told, None]
            share = tolerated / (tolerated + stable_requests[told, None])
            lost = both[told, None] * np.log1p((self.grid - 1) * share)
            self.grow(told, _times(canary[told, None], self.log_grid) - lost, eta)
        return self.log_e


class Objectives(Stakes):
    """T2, SloE. Its stakes are functions of two sums, so they are computed when asked for."""

    def __init__(self, runs: int, p0: float, side: Side = Side.HARM) -> None:
        shares = np.array(alternative_shares(side, p0) + ([] if side is Side.HARM else [0.0]))
        with np.errstate(divide="ignore"):
            self.per_failure = np.log(shares / p0)
        self.per_success = np.log1p(-shares) - np.log1p(-p0)
        assert len(shares) == len(SloE.fresh(side, p0=p0).stakes.logs)
        super().__init__(runs, len(shares))

    def update(self, failed: Ints, requests: Ints, eta: Floats | None = None) -> Floats:
        """One stratum of every rollout."""
        told = np.flatnonzero(requests > 0)
        growth = _times(failed[told, None], self.per_failure) + (requests - failed)[told, None] * self.per_success
        self.grow(told, growth, eta)
        return self.log_e


class Exceedances(Stakes):
    """T4, ExceedE."""

    def __init__(self, runs: int, quantile: float, side: Side = Side.HARM) -> None:
        self.usual = 1.0 - quantile
        self.shares = np.array(alternative_slow_shares(side, quantile))
        assert len(self.shares) == len(ExceedE.fresh(side, quantile=quantile).stakes.logs)
        super().__init__(runs, len(self.shares))

    def update(self, slow: Ints, requests: Ints, stable_slow: Ints, stable_requests: Ints) -> Floats:
        """One stratum of every rollout."""
        told = np.flatnonzero((requests > 0) & (stable_requests > 0))
        x_c, n_c, x_b, n_b = (counts[told, None] for counts in (slow, requests, stable_slow, stable_requests))
        pooled = self.usual + n_c / (n_c + n_b) * (self.shares - self.usual)
        growth = x_c * np.log(self.shares / pooled) + (n_c - x_c) * np.log((1 - self.shares) / (1 - pooled))
        growth += x_b * np.log(self.usual / pooled) + (n_b - x_b) * np.log((1 - self.usual) / (1 - pooled))
        self.grow(told, growth, None)
        return self.log_e


class Dispersions:
    """Pearson's statistic of one arm of every rollout."""

    def __init__(self, runs: int) -> None:
        self.pearson, self.events, self.exposure = np.zeros(runs), np.zeros(runs), np.zeros(runs)
        self.strata = np.zeros(runs)

    def update(self, events: Ints, exposure: Ints) -> None:
        """One stratum of every rollout."""
        self.events += events
        self.exposure += exposure
        mean = (self.events + 0.5) / (self.exposure + 1)
        variance = np.maximum(exposure * mean * (1 - mean), VARIANCE_MIN)
        self.pearson += np.where(exposure > 0, (events - exposure * mean) ** 2 / variance, 0.0)
        self.strata += exposure > 0

    def phi(self, prior: Floats | float = 1.0) -> Floats:
        """Measured variance over independent variance."""
        return np.maximum(1.0, (self.pearson + PRIOR_STRATA * prior) / (self.strata + PRIOR_STRATA))


class Temperings:
    """Both arms' dispersion, and the exponent for the next stratum."""

    def __init__(self, runs: int) -> None:
        self.stable, self.canary = Dispersions(runs), Dispersions(runs)

    def update(self, canary: Ints, canary_requests: Ints, stable: Ints, stable_requests: Ints) -> None:
        """One stratum of every rollout."""
        self.canary.update(canary, canary_requests)
        self.stable.update(stable, stable_requests)

    @property
    def eta(self) -> Floats:
        """From the strata so far."""
        of_stable = self.stable.phi()
        phi = np.maximum(of_stable, self.canary.phi(of_stable))
        return np.where(phi < CALM_BELOW, 1.0, 1.0 / (CAUTION * phi))
