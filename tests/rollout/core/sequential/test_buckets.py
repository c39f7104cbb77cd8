from math import inf, nan

import pytest

from rollout.core.sequential import BucketRatioE, Buckets, RatioE, Side, log_average, usable_bounds
from tests.rollout.core.sequential.strategies import tally

STABLE = Buckets(bounds=(25, 50, 100, 250, 500), cumulative=(120, 500, 876, 996, 1000), total=1000)
SLOWER = Buckets(bounds=(25, 50, 100, 250, 500), cumulative=(40, 270, 700, 970, 999), total=1000)
EMPTY = Buckets(bounds=(25, 50), cumulative=(0, 0), total=0)


def test_the_count_above_a_bound_is_exact() -> None:
    assert STABLE.above(100) == tally(124, 1000)
    assert STABLE.above(500) == tally(0, 1000)


@pytest.mark.parametrize("bound", [24, 75, 501])
def test_a_bound_between_buckets_is_not_interpolated(bound: float) -> None:
    with pytest.raises(ValueError, match="no bucket ends at"):
        STABLE.above(bound)


def test_bounds_are_usable_where_the_stable_version_has_a_noticeable_tail() -> None:
    assert usable_bounds(STABLE) == (50, 100, 250)
    assert usable_bounds(EMPTY) == ()


def test_a_slower_canary_is_found_at_every_usable_bound_and_averaged() -> None:
    bounds = usable_bounds(STABLE)
    judged = BucketRatioE.fresh(Side.HARM, bounds=bounds).after(SLOWER, STABLE)
    alone = [RatioE.fresh(Side.HARM, psi0=1.25).after(SLOWER.above(b), STABLE.above(b)).log_e for b in bounds]
    assert judged.log_e == pytest.approx(log_average(alone))
    assert judged.log_e > 5
    assert BucketRatioE.fresh(Side.HARM, bounds=bounds).after(STABLE, STABLE).log_e < 0


def test_tempering_and_restarts_reach_every_bound() -> None:
    patient = BucketRatioE.fresh(Side.HARM, bounds=(50, 100), psi0=1.0, starts_planned=2)
    judged = patient.after(SLOWER, STABLE, eta=0.5).restarted()
    assert [ratio.stakes.starts for ratio in judged.ratios] == [2, 2]
    assert judged.log_e < patient.after(SLOWER, STABLE).restarted().log_e


def test_a_test_without_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="no boundary to compare"):
        BucketRatioE.fresh(Side.HARM, bounds=())


@pytest.mark.parametrize(
    ("cumulative", "total"), [((5, 4), 10), ((-1, 4), 10), ((1, 11), 10), ((1,), 10), ((1, nan), 10), ((1, 2), inf)]
)
def test_counts_that_fall_are_refused(cumulative: tuple[float, ...], total: float) -> None:
    with pytest.raises(ValueError, match="must not fall"):
        Buckets(bounds=(1, 2), cumulative=cumulative, total=total)


@pytest.mark.parametrize("bounds", [(2, 1), (1, 1), (1, inf), (-inf, 1), (nan, 1)])
def test_bounds_that_do_not_rise_are_refused(bounds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="must rise"):
        Buckets(bounds=bounds, cumulative=(1, 2), total=3)
