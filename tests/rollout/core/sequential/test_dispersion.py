from random import Random

import pytest

from rollout.core.sequential import Dispersion, Tally, Tempering
from tests.rollout.core.sequential.strategies import NOTHING, tally


def observed(events: list[int], requests: int = 100) -> Dispersion:
    dispersion = Dispersion()
    for failed in events:
        dispersion = dispersion.after(tally(failed, requests))
    return dispersion


def test_what_an_arm_remembers() -> None:
    """Two strata by hand: means 4.5/101 and 4.5/201, itself included."""
    first, second = 4.5 / 101, 4.5 / 201
    pearson = (4 - 100 * first) ** 2 / (100 * first * (1 - first)) + (100 * second) ** 2 / (100 * second * (1 - second))
    dispersion = observed([4, 0])
    assert dispersion.pearson == pytest.approx(pearson)
    assert (dispersion.strata, dispersion.events, dispersion.exposure) == (2, 4, 200)
    assert dispersion.phi() == pytest.approx(max(1, (pearson + 30) / 32))


def test_independent_errors_are_left_alone() -> None:
    chance = Random(1)
    stable = observed([sum(chance.random() < 0.01 for _ in range(100)) for _ in range(400)])
    assert Tempering(stable=stable).eta == 1.0


def test_errors_in_bursts_shrink_the_bets() -> None:
    bursty = observed([0] * 9 + [10] + [0] * 9 + [10])
    assert bursty.phi() > 2
    assert Tempering(stable=bursty).eta == pytest.approx(1 / (1.5 * bursty.phi()))
    assert Tempering(canary=bursty).phi == pytest.approx(bursty.phi())


def test_an_unknown_canary_is_presumed_as_bursty_as_the_stable_version() -> None:
    bursty = observed([0] * 9 + [10] + [0] * 9 + [10])
    assert Tempering(stable=bursty, canary=Dispersion()).phi == bursty.phi()
    moody = Dispersion(pearson=30 * bursty.phi(), strata=10)
    assert Tempering(stable=bursty, canary=moody).phi == pytest.approx(1.5 * bursty.phi())


def test_phi_is_never_below_one() -> None:
    assert observed([1] * 200).phi() == 1.0


def test_an_empty_stratum_says_nothing() -> None:
    assert Tempering().after(NOTHING, NOTHING) == Tempering()


def test_a_warm_up_teaches_the_stable_arm_alone() -> None:
    warmed = Tempering().after(NOTHING, tally(1, 100))
    assert (warmed.stable.strata, warmed.canary.strata) == (1, 0)


@pytest.mark.parametrize("stratum", [tally(0, 100), tally(100, 100), tally(3, 1)])
def test_extremes_do_not_divide_by_zero(stratum: Tally) -> None:
    tempering = Tempering()
    for _ in range(50):
        tempering = tempering.after(stratum, stratum)
    assert 0 < tempering.eta <= 1


def test_a_mean_above_one_per_unit_of_exposure_tempers_rather_than_encourages() -> None:
    assert Tempering().after(NOTHING, tally(3, 1)).eta < 1e-6
