from math import log

import pytest
from hypothesis import given

from rollout.core.sequential import Estimate, Tally, difference_estimate, rate_estimate, ratio_estimate
from rollout.core.sequential.quantiles import log_beta
from tests.rollout.core.sequential.strategies import NOTHING, arms, full_arms, steady, tally


def log_mixture(share: float, events: float, requests: float) -> float:
    mixed = log_beta(0.5 + events, 0.5 + requests - events) - log_beta(0.5, 0.5)
    return mixed - events * log(share) - (requests - events) * log(1 - share)


def test_the_ends_of_a_rate_are_where_the_mixture_rejects() -> None:
    rate = rate_estimate(tally(5, 100))
    assert rate.value == 0.05
    assert rate.lower is not None
    assert rate.upper is not None
    assert log_mixture(rate.lower, 5, 100) == pytest.approx(log(20), abs=1e-6)
    assert log_mixture(rate.upper, 5, 100) == pytest.approx(log(20), abs=1e-6)


@pytest.mark.parametrize(("events", "requests"), [(0, 50), (50, 50), (0, 0)])
def test_all_or_nothing_leaves_one_end_open(events: int, requests: int) -> None:
    rate = rate_estimate(tally(events, requests))
    assert (rate.lower == 0.0) is (events == 0)
    assert (rate.upper == 1.0) is (events == requests)
    assert (rate.value is None) is (requests == 0)


def test_a_rate_needs_events_among_its_requests() -> None:
    with pytest.raises(ValueError, match="3 events among 2 requests"):
        rate_estimate(tally(3, 2))


@given(canary=full_arms, stable=full_arms)
@steady
def test_plain_estimates_lie_within_their_intervals(canary: Tally, stable: Tally) -> None:
    for estimate in (rate_estimate(canary), difference_estimate(canary, stable), ratio_estimate(canary, stable)):
        assert estimate.lower is not None
        assert estimate.value is None or estimate.lower <= estimate.value <= (estimate.upper or estimate.value)


def test_a_difference_of_rates() -> None:
    worse = difference_estimate(tally(60, 1000), tally(10, 1000))
    assert worse.value == pytest.approx(0.05)
    assert worse.lower is not None
    assert worse.lower > 0
    canary, stable = rate_estimate(tally(60, 1000), alpha=0.025), rate_estimate(tally(10, 1000), alpha=0.025)
    assert worse.lower == (canary.lower or 0) - (stable.upper or 0)
    assert worse.upper == (canary.upper or 0) - (stable.lower or 0)
    assert difference_estimate(NOTHING, tally(1, 100)).value is None
    assert difference_estimate(tally(1, 100), NOTHING).value is None


def test_a_ratio_of_rates_at_a_small_weight() -> None:
    ratio = ratio_estimate(tally(5, 100), tally(1, 900))
    assert ratio.value == pytest.approx(45)
    assert ratio.lower is not None
    assert ratio.upper is not None
    for psi in (ratio.lower, ratio.upper):
        theta = psi * 100 / (psi * 100 + 900)
        assert log_mixture(theta, 5, 6) == pytest.approx(log(20), abs=1e-6)


def test_a_ratio_without_events_of_the_stable_version_has_no_upper_end() -> None:
    ratio = ratio_estimate(tally(5, 100), tally(0, 900))
    assert ratio.value is None
    assert ratio.upper is None
    assert ratio.lower is not None
    assert ratio.lower > 1


@given(alone=arms)
@steady
def test_one_arm_has_no_ratio(alone: Tally) -> None:
    unknown = Estimate(value=None, lower=None, upper=None)
    assert ratio_estimate(alone, NOTHING) == ratio_estimate(NOTHING, alone) == unknown
