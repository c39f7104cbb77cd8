import math

import pytest

from loadgen.core.pairs import Pair, PairSum
from tests.loadgen.core.simulated_pairs import power, rejections


def test_a_pair_counts_once_both_sides_have_ended() -> None:
    sums: dict[str, PairSum] = {}
    pair = Pair(("stable", "canary"))
    pair.ended(1, 2_000_000, sums)
    assert sums == {}
    pair.ended(0, 1_000_000, sums)
    assert sums["canary"].count == 1
    assert sums["canary"].log_ratio == pytest.approx(math.log(2))
    assert (sums["canary"].slower, sums["canary"].faster) == (1, 0)


def test_sums_give_mean_and_variance_of_the_ratio() -> None:
    sums: dict[str, PairSum] = {}
    for reference, arm in ((100, 200), (100, 50), (100, 100)):
        pair = Pair(("stable", "canary"))
        pair.ended(0, reference, sums)
        pair.ended(1, arm, sums)
    found = sums["canary"]
    assert (found.count, found.slower, found.faster) == (3, 1, 1)
    assert found.log_ratio == pytest.approx(0)
    assert found.log_ratio_squared == pytest.approx(2 * math.log(2) ** 2)


@pytest.mark.parametrize(("reference", "arm"), [(-100, 200), (100, -200), (0, 5)])
def test_a_pair_with_a_failure_says_nothing_about_latency(reference: int, arm: int) -> None:
    assert PairSum(arm="canary").with_pair(reference, arm) == PairSum(arm="canary", broken=1)


def test_three_arms_are_each_held_against_the_first() -> None:
    sums: dict[str, PairSum] = {}
    pair = Pair(("a", "b", "c"))
    for place, latency in enumerate((10, 20, 5)):
        pair.ended(place, latency, sums)
    assert (sums["b"].slower, sums["c"].faster) == (1, 1)


# ---- 200 simulated runs (2,000 in tests/acceptance)


def needed(*, paired: bool, step: int) -> int:
    """Give how many requests it takes to see +15 % in 80 % of the runs."""
    return next(n for n in range(step, 1000, step) if power(range(200), requests=n, paired=paired) >= 0.8)


def test_pairs_see_fifteen_per_cent_with_a_fraction_of_the_requests() -> None:
    assert 4 * needed(paired=True, step=20) < needed(paired=False, step=100)


@pytest.mark.parametrize("paired", [True, False])
def test_the_same_against_itself_is_rejected_no_more_often_than_promised(paired: bool) -> None:
    """5 % promised; 200 runs know that to within 3 points."""
    assert rejections(range(200), requests=200, paired=paired) <= 0.05 + 0.03
