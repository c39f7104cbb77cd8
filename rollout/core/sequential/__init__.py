"""Evidence that may be looked at as often as one likes: e-processes and confidence sequences.

An e-process is the fortune of a gambler who bets against a hypothesis H0. It starts at 1 and no bet can make it grow on
average while H0 is true: E[e at any stopping time] <= 1. Ville's inequality then says P(e ever reaches 1/α) <= α, so a
judge that rejects H0 when e >= 1/α keeps its promise whether it looks once or every second. A p-value looked at every
ten seconds does not: its false alarms grow from 5 % to 40 % within half an hour.

Every test here is a value. It bets on several alternatives at once (`stakes`), is told what one interval of the clock
showed (`after`), and reports the natural logarithm of its fortune (`log_e`). Values are frozen, hold a handful of
floats, and survive JSON exactly, so a restarted daemon continues the same fortune.

    ratio.py       the canary's rate against the stable version's: errors, restarts, slow buckets
    absolute.py    one version against a limit: error share, restarts per hour
    exceed.py      latency quantiles from raw samples
    buckets.py     latency from histogram buckets, without interpolation
    dispersion.py  how bursty the errors are, and how much every bet shrinks because of it
    quantiles.py   an interval for a quantile, for reading
    estimates.py   intervals for rates, for reading
    stakes.py      the fortune itself, its mixtures and its restarts

What the numbers mean for a rollout (weights of the checks, α, verdicts) is the judge's business, not ours.
"""

from rollout.core.sequential.absolute import PoissonE, SloE
from rollout.core.sequential.buckets import BucketRatioE, Buckets, usable_bounds
from rollout.core.sequential.dispersion import Dispersion, Tempering
from rollout.core.sequential.estimates import Estimate, difference_estimate, rate_estimate, ratio_estimate
from rollout.core.sequential.exceed import ExceedE, empirical_quantile
from rollout.core.sequential.quantiles import Interval, quantile_interval, quantile_interval_of_buckets
from rollout.core.sequential.ratio import RatioE
from rollout.core.sequential.stakes import Side, Stakes, floored, log_average
from rollout.core.sequential.tally import Tally

__all__ = [
    "BucketRatioE",
    "Buckets",
    "Dispersion",
    "Estimate",
    "ExceedE",
    "Interval",
    "PoissonE",
    "RatioE",
    "Side",
    "SloE",
    "Stakes",
    "Tally",
    "Tempering",
    "difference_estimate",
    "empirical_quantile",
    "floored",
    "log_average",
    "quantile_interval",
    "quantile_interval_of_buckets",
    "rate_estimate",
    "ratio_estimate",
    "usable_bounds",
]
