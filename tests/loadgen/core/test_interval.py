import math
import random

import pytest

from loadgen.core.histogram import Histogram
from loadgen.core.interval import Interval, quantile_interval, share_interval


def histogram(values: list[float]) -> Histogram:
    found = Histogram()
    for value in values:
        found.record(round(value * 1e9))
    return found


def test_a_quantiles_interval_covers_the_truth_as_often_as_it_says() -> None:
    draw = random.Random(11)
    truth = -math.log(0.1)
    covered = 0
    for _ in range(400):
        found = quantile_interval(histogram([draw.expovariate(1) for _ in range(300)]).sparse(), 0.9, 0.95)
        assert found is not None
        covered += found.lower <= truth <= found.upper
    assert 0.93 <= covered / 400 <= 1.0


def test_few_requests_do_not_reach_the_ends() -> None:
    few = quantile_interval(histogram([1, 2, 3]).sparse(), 0.99, 0.99)
    low = quantile_interval(histogram([1, 2, 3]).sparse(), 0.01, 0.99)
    assert few is not None
    assert low is not None
    assert (few.upper, low.lower) == (math.inf, 0.0)
    assert quantile_interval([], 0.5, 0.95) is None


def test_more_requests_say_more() -> None:
    values = [float(n % 100 + 1) for n in range(20_000)]
    small = quantile_interval(histogram(values[:1000]).sparse(), 0.5, 0.95)
    large = quantile_interval(histogram(values).sparse(), 0.5, 0.95)
    assert small is not None
    assert large is not None
    assert large.upper - large.lower < small.upper - small.lower


@pytest.mark.parametrize(
    ("part", "total", "lower", "upper"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_a_shares_interval_is_wilsons(part: int, total: int, lower: float, upper: float) -> None:
    """81 of 263 is Newcombe's (1998) own example."""
    found = share_interval(part, total, 0.95)
    assert found is not None
    assert (found.value, found.lower, found.upper) == pytest.approx((part / total, lower, upper), abs=5e-5)
    assert share_interval(0, 0, 0.95) is None


def test_a_difference_of_shares_is_newcombes() -> None:
    """56/70 - 48/80 is example (a), method 10 of Newcombe (1998): 0.0524 to 0.3339."""
    one, other = share_interval(56, 70, 0.95), share_interval(48, 80, 0.95)
    assert one is not None
    assert other is not None
    difference = one.minus(other)
    assert (difference.value, difference.lower, difference.upper) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert difference.excludes_zero
    assert other.minus(one).excludes_zero
    assert not one.minus(one).excludes_zero


def test_an_end_that_is_not_known_makes_the_differences_end_unknown() -> None:
    known, open_ended = Interval(value=1, lower=0.5, upper=1.5), Interval(value=2, lower=1, upper=math.inf)
    assert open_ended.minus(known).upper == math.inf
    assert known.minus(open_ended).lower == -math.inf
