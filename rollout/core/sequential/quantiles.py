"""T6: an interval for a quantile that stays true however often it is drawn. For reading, not for deciding.

k = #{X <= Q(q)} counts successes of probability q, whatever the distribution of X. The beta-binomial mixture

    M(k) = B(a+k, b+n-k) / B(a, b) / (q^k (1-q)^(n-k)),      (a, b) = (q, 1-q) t_opt / 8

is a fortune that starts at 1, so the k with M(k) < 1/α always contain the true count except with probability α; if
those are lo..hi, the quantile lies between the lo-th and the (hi+1)-th smallest sample. `t_opt` says at how many
samples the interval is to be narrow.

Sources: Howard, Ramdas, "Sequential estimation of quantiles" (Bernoulli 2022), with two closed forms of theirs for
cross-checks; Robbins (1970) for the mixture. The constants of the second closed form are slightly conservative: its
exact C is 8.1227 at α = 5 %, the form has 0.8 ln(1612/α) = 8.3048.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import e, lgamma, log, log1p, sqrt

from rollout.core.sequential.buckets import Buckets

T_OPT = 1000  # samples; a minute or two of a busy service


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """From `lower` to `upper`; None is "no bound known" (JSON has no infinity)."""

    lower: float | None
    upper: float | None


def log_beta(a: float, b: float) -> float:
    """Ln B(a, b)."""
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def quantile_counts(n: int, quantile: float, alpha: float, t_opt: float = T_OPT) -> tuple[int, int]:
    """The smallest and the largest k = #{X <= Q(q)} among n samples that the mixture does not reject."""
    if n < 0 or not (0 < quantile < 1 and 0 < alpha < 1):
        raise ValueError(f"n={n}, quantile={quantile}, alpha={alpha}")
    strength = max(2.0, t_opt / 8)
    a, b = quantile * strength, (1 - quantile) * strength
    threshold = log_beta(a, b) - log(alpha)
    log_q, log_not_q = log(quantile), log1p(-quantile)

    def rejected(k: int) -> bool:
        return log_beta(a + k, b + n - k) - k * log_q - (n - k) * log_not_q >= threshold

    likeliest = round(quantile * n)
    lowest = 0 if not rejected(0) else _first(lambda k: not rejected(k), 0, likeliest)
    highest = n if not rejected(n) else _first(rejected, likeliest, n) - 1
    return lowest, highest


def _first(holds: Callable[[int], bool], below: int, at: int) -> int:
    """Bisection: the first number above `below` at which a statement that holds from somewhere on up to `at` holds."""
    while at - below > 1:
        middle = (below + at) // 2
        if holds(middle):
            at = middle
        else:
            below = middle
    return at


def quantile_interval(sorted_samples: Sequence[float], quantile: float, *, alpha: float = 0.05) -> Interval:
    """Where the quantile lies, in the unit of the samples."""
    n = len(sorted_samples)
    lowest, highest = quantile_counts(n, quantile, alpha)
    return Interval(
        lower=sorted_samples[lowest - 1] if lowest else None,
        upper=sorted_samples[highest] if highest < n else None,
    )


def quantile_interval_of_buckets(buckets: Buckets, quantile: float, *, alpha: float = 0.05) -> Interval:
    """Where the quantile lies, as the tightest pair of bucket boundaries that is sure to contain it."""
    lowest, highest = quantile_counts(int(buckets.total), quantile, alpha)
    pairs = list(zip(buckets.bounds, buckets.cumulative, strict=True))
    return Interval(
        lower=max((bound for bound, count in pairs if count < lowest), default=None),
        upper=min((bound for bound, count in pairs if count > highest), default=None),
    )


def quantile_width(n: int, quantile: float, alpha: float) -> float:
    """Howard-Ramdas, theorem 1: Q(p) lies between the empirical quantiles of p - f and p + f at all n at once."""
    spread = (1.4 * log(log(2.1 * n)) + log(10 / alpha)) / n
    return 1.5 * sqrt(quantile * (1 - quantile) * spread) + 0.8 * spread


def band_width(n: int, alpha: float) -> float:
    """Howard-Ramdas, time-uniform Dvoretzky-Kiefer-Wolfowitz: no empirical share is off by more, at all n at once."""
    return 0.85 * sqrt((log(log(e * n)) + 0.8 * log(1612 / alpha)) / n)
