from math import exp, factorial, inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.core.sequential import PoissonE, Side, SloE, Tally
from tests.rollout.core.sequential.strategies import NOTHING, arms, binomial, steady, tally

SIDES = pytest.mark.parametrize(
    ("side", "factor"), [(Side.HARM, 1.0), (Side.HARM, 0.5), (Side.ACCEPT, 1.0), (Side.ACCEPT, 1.7)]
)


@SIDES
@pytest.mark.parametrize("p0", [0.001, 0.01, 0.05, 0.45])
def test_no_alternative_share_is_expected_to_win_while_the_hypothesis_is_true(
    side: Side, factor: float, p0: float
) -> None:
    outcomes = [(binomial(x, 12, p0 * factor), SloE.fresh(side, p0=p0).after(tally(x, 12))) for x in range(13)]
    for alternative in range(len(SloE.fresh(side, p0=p0).stakes.logs)):
        stakes = [(chance, slo.stakes.logs[alternative]) for chance, slo in outcomes]
        assert sum(chance * exp(stake) for chance, stake in stakes if stake is not None) <= 1 + 1e-12


@SIDES
@pytest.mark.parametrize("rate0", [0.01, 0.5])
def test_no_alternative_rate_is_expected_to_win_while_the_hypothesis_is_true(
    side: Side, factor: float, rate0: float
) -> None:
    def chance(x: int) -> float:
        mean = rate0 * factor * 2
        return exp(-mean) * mean**x / factorial(x)

    outcomes = [(chance(x), PoissonE.fresh(side, rate0=rate0).after(tally(x, 2))) for x in range(40)]
    for alternative in range(5):
        stakes = [(chance, poisson.stakes.logs[alternative]) for chance, poisson in outcomes]
        assert sum(chance * exp(stake) for chance, stake in stakes if stake is not None) <= 1 + 1e-12


@given(versions=st.lists(arms, max_size=10), side=st.sampled_from(Side))
@steady
def test_many_strata_say_what_their_sum_says(versions: list[Tally], side: Side) -> None:
    slo, poisson = SloE.fresh(side, p0=0.01), PoissonE.fresh(side, rate0=0.01)
    for version in versions:
        slo, poisson = slo.after(version), poisson.after(version)
    total = tally(sum(version.events for version in versions), sum(version.exposure for version in versions))
    assert slo.log_e == pytest.approx(SloE.fresh(side, p0=0.01).after(total).log_e, abs=1e-6)
    assert poisson.log_e == pytest.approx(PoissonE.fresh(side, rate0=0.01).after(total).log_e, abs=1e-6)


def test_a_quiet_hour_speaks_for_the_alternative_of_no_events_at_all() -> None:
    assert PoissonE.fresh(Side.ACCEPT, rate0=3.0).after(tally(0, 2)).stakes.logs[-1] == 6.0
    assert PoissonE.fresh(Side.ACCEPT, rate0=3.0).after(tally(1, 2)).stakes.logs[-1] is None


def test_an_empty_stratum_changes_nothing() -> None:
    slo, poisson = SloE.fresh(Side.ACCEPT, p0=0.01), PoissonE.fresh(Side.ACCEPT, rate0=0.01)
    assert slo.after(NOTHING) is slo
    assert poisson.after(NOTHING) is poisson


def test_a_limit_near_one_still_has_an_alternative() -> None:
    assert len(SloE.fresh(Side.HARM, p0=0.9).stakes.logs) == 1
    assert SloE.fresh(Side.HARM, p0=0.9).after(tally(200, 200)).log_e > 5


@pytest.mark.parametrize("p0", [0.0, -0.1, 0.99, 1.0, nan])
def test_a_limit_of_a_share_must_leave_room_on_both_sides(p0: float) -> None:
    with pytest.raises(ValueError, match="limit of a share"):
        SloE.fresh(Side.HARM, p0=p0)


def test_a_limit_is_checked_when_state_is_read_back_too() -> None:
    with pytest.raises(ValueError, match="limit of a share"):
        SloE(side=Side.HARM, p0=2.0, stakes=SloE.fresh(Side.HARM, p0=0.5).stakes)


@pytest.mark.parametrize("rate0", [0.0, -1.0, inf, nan])
def test_a_limit_of_a_rate_must_be_a_rate(rate0: float) -> None:
    with pytest.raises(ValueError, match="limit of a rate"):
        PoissonE.fresh(Side.HARM, rate0=rate0)


def test_more_failures_than_requests_are_no_share() -> None:
    with pytest.raises(ValueError, match="3 events among 2 requests"):
        SloE.fresh(Side.HARM, p0=0.01).after(tally(3, 2))
