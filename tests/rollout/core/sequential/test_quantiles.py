from math import inf
from random import Random

import numpy as np
import pytest

from rollout.core.sequential import Buckets, Interval, quantile_interval, quantile_interval_of_buckets
from rollout.core.sequential.quantiles import quantile_counts


@pytest.mark.parametrize(("n", "quantile"), [(50, 0.5), (200, 0.95), (500, 0.99)])
def test_the_counts_are_those_the_mixture_does_not_reject(n: int, quantile: float) -> None:
    """The oracle integrates the mixture over its prior numerically, at every count."""
    grid = (np.arange(10_000) + 0.5) / 10_000
    a, b = quantile * 125, (1 - quantile) * 125
    log_prior = (a - 1) * np.log(grid) + (b - 1) * np.log1p(-grid)
    log_prior -= np.log(np.exp(log_prior - log_prior.max()).sum()) + log_prior.max()
    accepted = []
    for k in range(n + 1):
        terms = log_prior + k * np.log(grid / quantile) + (n - k) * np.log((1 - grid) / (1 - quantile))
        if np.log(np.exp(terms - terms.max()).sum()) + terms.max() < np.log(20):
            accepted.append(k)
    assert quantile_counts(n, quantile, 0.05) == (accepted[0], accepted[-1])
    assert len(accepted) == accepted[-1] - accepted[0] + 1


def test_few_samples_bound_nothing() -> None:
    assert quantile_interval([], 0.5) == Interval(lower=None, upper=None)
    assert quantile_interval([1.0], 0.99) == Interval(lower=None, upper=None)


def test_many_samples_pin_the_median_down() -> None:
    chance = Random(3)
    interval = quantile_interval(sorted(chance.random() for _ in range(10_000)), 0.5)
    assert interval.lower is not None
    assert interval.upper is not None
    assert 0.47 < interval.lower < 0.5 < interval.upper < 0.53


def test_an_interval_ends_at_order_statistics() -> None:
    assert quantile_counts(1000, 0.5, 0.05) == (453, 547)
    assert quantile_interval(list(range(1, 1001)), 0.5) == Interval(lower=453, upper=548)


@pytest.mark.parametrize(("count", "lower"), [(452, 10.0), (453, None)])
def test_a_bucket_bounds_the_quantile_only_if_too_few_samples_lie_below(count: int, lower: float | None) -> None:
    buckets = Buckets(bounds=(10.0, 20.0), cumulative=(count, 547), total=1000)
    assert quantile_interval_of_buckets(buckets, 0.5) == Interval(lower=lower, upper=None)


def test_a_tail_quantile_is_bounded_below_before_it_is_bounded_above() -> None:
    interval = quantile_interval(list(range(200)), 0.99)
    assert interval.lower is not None
    assert interval.upper is None


def test_a_smaller_alpha_is_more_careful() -> None:
    samples = list(range(1000))
    wide, narrow = quantile_interval(samples, 0.5, alpha=0.001), quantile_interval(samples, 0.5, alpha=0.2)
    assert (wide.lower or 0) < (narrow.lower or 0) < (narrow.upper or 0) < (wide.upper or inf)


def test_buckets_that_hold_everything_bound_nothing() -> None:
    one = Buckets(bounds=(10.0,), cumulative=(0,), total=1000)
    assert quantile_interval_of_buckets(one, 0.5) == Interval(lower=10.0, upper=None)
    assert quantile_interval_of_buckets(Buckets(bounds=(10.0,), cumulative=(1000,), total=1000), 0.5).lower is None


@pytest.mark.parametrize(
    ("n", "quantile", "alpha"), [(-1, 0.5, 0.05), (10, 0.0, 0.05), (10, 1.0, 0.05), (10, 0.5, 0.0)]
)
def test_nonsense_is_refused(n: int, quantile: float, alpha: float) -> None:
    with pytest.raises(ValueError, match="quantile="):
        quantile_counts(n, quantile, alpha)
