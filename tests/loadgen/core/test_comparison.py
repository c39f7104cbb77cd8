import math
import random

import pytest

from loadgen.core.comparison import Limit, differences, is_exceeded, parse_limit, ratio_of
from loadgen.core.ledger import Cell
from loadgen.core.outcome import Outcome
from loadgen.core.pairs import PairSum
from tests.loadgen.core.snapshots import cell


def sample(seed: int, factor: float = 1.0, count: int = 4000) -> list[Cell]:
    draw = random.Random(seed)
    return [cell(Outcome.OK, *(round(factor * draw.lognormvariate(4, 0.5)) for _ in range(count)))]


def test_runs_of_the_same_service_differ_within_noise() -> None:
    wrong = sum(
        one.difference.excludes_zero
        for seed in range(20)
        for one in differences(sample(seed, count=1500), sample(seed + 1000, count=1500), 0.99)
    )
    assert wrong <= 3


def test_a_slower_run_is_found_with_its_size() -> None:
    found = {one.name: one for one in differences(sample(1), sample(2, factor=1.3), 0.95)}
    assert list(found) == ["p50", "p90", "p95", "p99", "errors"]
    assert all(found[name].difference.lower > 0 for name in ("p50", "p90", "p95"))
    assert found["p50"].difference.value == pytest.approx(0.3 * found["p50"].first.value, rel=0.15)
    assert not found["errors"].difference.excludes_zero


def test_errors_are_compared_as_shares_of_what_was_sent() -> None:
    first = [cell(Outcome.OK, *[5] * 990), cell(Outcome.TIMEOUT, *[9] * 10), cell(Outcome.DROPPED, *[0] * 500)]
    second = [cell(Outcome.OK, *[5] * 900), cell(Outcome.TIMEOUT, *[9] * 100)]
    errors = differences(first, second, 0.95)[-1]
    assert (errors.first.value, errors.second.value) == (0.01, 0.1)
    assert errors.difference.lower > 0.05


def test_what_has_no_data_is_not_compared() -> None:
    assert differences([], sample(1), 0.95) == ()


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("p99>+25ms", Limit(text="p99>+25ms", name="p99", absolute=0.025, relative=None)),
        ("p50 > 10%", Limit(text="p50 > 10%", name="p50", absolute=None, relative=0.1)),
        ("errors>0.5%", Limit(text="errors>0.5%", name="errors", absolute=0.005, relative=None)),
    ],
)
def test_a_limit_is_absolute_or_a_share(text: str, limit: Limit) -> None:
    assert parse_limit(text) == limit


@pytest.mark.parametrize("text", ["", "p99<5ms", "p98>5ms", "p99>", "p99>soon"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected something like"):
        parse_limit(text)


@pytest.mark.parametrize(
    ("text", "exceeded"),
    [("p50>+1ms", True), ("p50>+1s", False), ("p50>5%", True), ("p50>60%", False), ("errors>0%", False)],
)
def test_a_limit_is_exceeded_when_that_is_certain(text: str, exceeded: bool) -> None:
    found = differences(sample(1), sample(2, factor=1.3), 0.95)
    assert is_exceeded(parse_limit(text), found) is exceeded


def test_what_is_not_known_exceeds_nothing() -> None:
    assert not is_exceeded(parse_limit("p99>0s"), ())


def test_a_ratio_of_pairs_covers_the_truth_as_often_as_it_says() -> None:
    draw = random.Random(3)
    covered = 0
    for _ in range(300):
        pairs = PairSum(arm="canary")
        for _ in range(40):
            world = draw.lognormvariate(16, 1.0)  # what the moment does to both
            pairs = pairs.with_pair(
                round(world * draw.lognormvariate(0, 0.1)), round(1.15 * world * draw.lognormvariate(0, 0.1))
            )
        ratio = ratio_of(pairs, 0.95)
        assert ratio is not None
        covered += ratio.lower <= 1.15 <= ratio.upper
    assert 0.9 <= covered / 300 <= 0.99


def test_pairs_find_what_groups_of_the_same_size_cannot() -> None:
    draw = random.Random(4)
    pairs, one, other = PairSum(arm="canary"), [], []
    for _ in range(60):
        world = draw.lognormvariate(17, 1.0)
        reference, arm = (world * factor * draw.lognormvariate(0, 0.1) for factor in (1.0, 1.15))
        pairs = pairs.with_pair(round(reference), round(arm))
        one.append(round(reference / 1e6))
        other.append(round(arm / 1e6))
    ratio = ratio_of(pairs, 0.95)
    assert ratio is not None
    assert ratio.lower > 1
    unpaired = differences([cell(Outcome.OK, *one)], [cell(Outcome.OK, *other)], 0.95)[0]
    assert not unpaired.difference.excludes_zero


def test_one_pair_says_nothing_about_the_ratio() -> None:
    assert ratio_of(PairSum(arm="a").with_pair(1, 2), 0.95) is None
    same = ratio_of(PairSum(arm="a").with_pair(1, 2).with_pair(1, 2), 0.95)
    assert same is not None
    assert (same.lower, same.value, same.upper) == pytest.approx((2, 2, 2))
    assert math.isfinite(same.upper)
