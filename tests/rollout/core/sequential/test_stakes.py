from math import exp, inf, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.core.sequential import Stakes, floored, log_average
from rollout.core.sequential.stakes import log_sum
from tests.rollout.core.sequential.strategies import etas, steady

growths = st.lists(st.floats(-30, 30), min_size=3, max_size=3)


def test_a_sum_of_logarithms_neither_overflows_nor_counts_the_lost() -> None:
    assert log_sum([1000.0, None, 1000.0]) == pytest.approx(1000 + log(2))
    assert log_sum([-1000.0, -inf]) == -1000.0
    assert log_sum([]) == log_sum([None]) == log_sum([-inf]) == -inf


def test_an_average_weighs_evenly_unless_told_otherwise() -> None:
    assert log_average([log(2), log(4)]) == pytest.approx(log(3))
    assert log_average([log(2), log(4)], [0.75, 0.25]) == pytest.approx(log(2.5))
    assert log_average([log(2), inf], [0.5, 0.0]) == 0.0


@pytest.mark.parametrize("weights", [[0.5], [0.5, 0.6], [-0.1, 0.5]])
def test_weights_that_would_make_an_average_unfair_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="as many weights"):
        log_average([0.0, 0.0], weights)


def test_a_floor_caps_the_evidence() -> None:
    assert floored(5.0, 2.0) == floored(2.0, 5.0, 3.0) == 2.0


@given(growth=growths, eta=etas)
@steady
def test_the_fortune_is_the_average_of_the_stakes(growth: list[float], eta: float) -> None:
    stakes = Stakes.fresh(3, 1).after(growth, eta)
    assert stakes.log_e == pytest.approx(log(sum(exp(eta * grown) for grown in growth) / 3))


@given(growth=growths, eta=etas)
@steady
def test_tempering_never_moves_a_stake_further(growth: list[float], eta: float) -> None:
    tempered, bold = Stakes.fresh(3, 1).after(growth, eta), Stakes.fresh(3, 1).after(growth, 1.0)
    for careful, careless in zip(tempered.logs, bold.logs, strict=True):
        assert careful is not None
        assert careless is not None
        assert abs(careful) <= abs(careless)
        assert careful * careless >= 0


@pytest.mark.parametrize("eta", [0.0, -0.5, 1.0001])
def test_a_temper_that_would_break_the_promise_is_refused(eta: float) -> None:
    with pytest.raises(ValueError, match="temper"):
        Stakes.fresh(1, 1).after([0.0], eta)


def test_a_lost_stake_stays_lost_until_a_restart() -> None:
    stakes = Stakes.fresh(2, 2).after([None, 1.0], 1.0).after([5.0, 1.0], 1.0)
    assert stakes.logs == (None, 2.0)
    assert list(stakes.restarted().logs) == pytest.approx([0.0, log(exp(2) + 1)])


@given(first=growths, second=growths, third=growths)
@steady
def test_restarts_are_the_average_of_fortunes_begun_at_each_step(
    first: list[float], second: list[float], third: list[float]
) -> None:
    restarted = Stakes.fresh(3, 4).after(first, 1.0).restarted().after(second, 1.0).restarted().after(third, 1.0)
    begun = [
        Stakes.fresh(3, 1).after(first, 1.0).after(second, 1.0).after(third, 1.0),
        Stakes.fresh(3, 1).after(second, 1.0).after(third, 1.0),
        Stakes.fresh(3, 1).after(third, 1.0),
    ]
    expected = log_average([*(stakes.log_e for stakes in begun), 0.0])
    assert restarted.log_e == pytest.approx(expected, abs=1e-9)


def test_planned_starts_keep_their_share_aside() -> None:
    stakes = Stakes.fresh(1, 2)
    assert stakes.log_e == 0.0
    assert stakes.after([None], 1.0).log_e == pytest.approx(log(0.5))
    assert Stakes.fresh(1, 1).after([None], 1.0).log_e == -inf


def test_more_starts_than_planned_are_refused() -> None:
    with pytest.raises(ValueError, match="2 starts, 1 planned"):
        Stakes.fresh(1, 1).restarted()


def test_a_bet_on_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one alternative"):
        Stakes.fresh(0, 1)
