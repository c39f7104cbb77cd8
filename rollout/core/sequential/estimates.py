"""Intervals for rates, for reading: what the dashboard and `explain` print beside a verdict.

A dashboard is looked at all the time, so its intervals must hold all the time too: Wilson's and Newcombe's, made for
one look, would miss the truth far more often than they say. All three here come from the beta-binomial mixture with
Jeffreys' prior,

    M(p) = B(½+x, ½+n-x) / B(½, ½) / (p^x (1-p)^(n-x))          the interval is {p : M(p) < 1/α}

- a rate: x events in n requests;
- the difference of two rates: both intervals at α/2, subtracted corner by corner (holds under any dependence, a little
  wide);
- the ratio of two rates: given an event, the probability θ that it is the canary's, turned into ψ = θ/(1-θ) · n_B/n_C.

They describe one constant rate over the tallies they are given, so give them one step, not the rollout: a verdict rests
on the stratified e-processes, which need no constant rate, and may know more than these intervals show.

Sources: Robbins (1970); Lindon, Malek (NeurIPS 2022) for the ratio.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log, log1p

from rollout.core.sequential.quantiles import log_beta
from rollout.core.sequential.tally import Tally, check_share

JEFFREYS = 0.5
BISECTIONS = 60  # halvings of [0, 1]: beyond the precision of a float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The plain estimate, and an interval that always holds with probability 1 - α. None is unknown or unbounded."""

    value: float | None
    lower: float | None
    upper: float | None


def rate_estimate(tally: Tally, *, alpha: float = 0.05) -> Estimate:
    """Events per request of one version."""
    check_share(tally)
    lower, upper = _share_interval(tally.events, tally.exposure, alpha)
    return Estimate(value=_share(tally), lower=lower, upper=upper)


def difference_estimate(canary: Tally, stable: Tally, *, alpha: float = 0.05) -> Estimate:
    """The canary's rate minus the stable one, in absolute terms: 0.01 is one percentage point more."""
    of_canary, of_stable = _share(canary), _share(stable)
    low_c, high_c = _share_interval(canary.events, canary.exposure, alpha / 2)
    low_b, high_b = _share_interval(stable.events, stable.exposure, alpha / 2)
    value = None if of_canary is None or of_stable is None else of_canary - of_stable
    return Estimate(value=value, lower=low_c - high_b, upper=high_c - low_b)


def ratio_estimate(canary: Tally, stable: Tally, *, alpha: float = 0.05) -> Estimate:
    """The canary's rate over the stable one: 2.0 is twice as often. Events per time (pod-seconds) will do as well."""
    if not (canary.exposure and stable.exposure):
        return Estimate(value=None, lower=None, upper=None)
    scale = stable.exposure / canary.exposure
    theta_low, theta_high = _share_interval(canary.events, canary.events + stable.events, alpha)
    return Estimate(
        value=canary.events / stable.events * scale if stable.events else None,
        lower=theta_low / (1 - theta_low) * scale,
        upper=theta_high / (1 - theta_high) * scale if theta_high < 1 else None,
    )


def _share(tally: Tally) -> float | None:
    return tally.events / tally.exposure if tally.exposure else None


def _share_interval(events: float, requests: float, alpha: float) -> tuple[float, float]:
    """All shares p that the mixture does not reject."""
    others = requests - events
    threshold = log_beta(JEFFREYS + events, JEFFREYS + others) - log_beta(JEFFREYS, JEFFREYS) + log(alpha)

    def rejected(share: float) -> bool:
        likelihood = (events * log(share) if events else 0.0) + (others * log1p(-share) if others else 0.0)
        return likelihood <= threshold

    likeliest = events / requests if requests else 0.5
    lower = _boundary(rejected, 0.0, likeliest) if events else 0.0
    upper = _boundary(rejected, 1.0, likeliest) if others else 1.0
    return lower, upper


def _boundary(rejected: Callable[[float], bool], outside: float, inside: float) -> float:
    """Bisection between a rejected and an accepted share; the rejected end, so that intervals err to be wide."""
    for _ in range(BISECTIONS):
        middle = (outside + inside) / 2
        if rejected(middle):
            outside = middle
        else:
            inside = middle
    return outside
