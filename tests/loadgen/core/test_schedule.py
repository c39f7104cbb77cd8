"""When requests are due, which arm they belong to, and the chance behind both."""

import itertools
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.core.arms import BLOCK_MAX, CYCLE, block_of, draw_arms, draw_noise, draw_orders, draw_targets
from loadgen.core.chance import bits, exponential, shuffled, uniform
from loadgen.core.histogram import NS
from loadgen.core.pairs import NOISE, Pair, PairSum
from loadgen.core.plan import Arm, Arrivals, Stage, Target
from loadgen.core.schedule import Schedule, rate_at, time_within


def flat(rate: float, duration_s: float) -> Stage:
    return Stage(from_per_s=rate, to_per_s=rate, duration_s=duration_s)


def times(*stages: Stage, arrivals: Arrivals = Arrivals.CONSTANT, seed: int = 1, requests: int = 0) -> list[float]:
    schedule = Schedule(stages=stages, arrivals=arrivals, seed=seed, requests=requests)
    return [due_ns / NS for _, due_ns in schedule.walk()]


def test_a_constant_rate_is_evenly_spaced_from_the_start() -> None:
    assert times(flat(10, 1)) == [pytest.approx(index / 10) for index in range(10)]


def test_a_ramp_has_as_many_arrivals_as_its_area_and_they_come_ever_closer() -> None:
    due = times(Stage(from_per_s=0, to_per_s=100, duration_s=2))
    gaps = [later - earlier for earlier, later in itertools.pairwise(due)]

    assert len(due) == 100
    assert gaps == sorted(gaps, reverse=True)
    assert due[50] == pytest.approx(math.sqrt(2))  # half the area lies before t = T / sqrt(2)


def test_stages_follow_each_other_without_a_gap_or_a_double() -> None:
    due = times(flat(10, 1), flat(0, 1), flat(20, 1))

    assert len(due) == 30
    assert [at for at in due if 1 <= at < 2] == []
    assert due[10] == pytest.approx(2.0)


def test_a_count_of_requests_ends_it_earlier() -> None:
    assert len(times(flat(10, 100), requests=7)) == 7


def test_poisson_arrivals_are_seeded_have_the_rate_and_unit_exponential_gaps() -> None:
    due = times(flat(1000, 20), arrivals=Arrivals.POISSON)
    gaps = [later - earlier for earlier, later in itertools.pairwise(due)]

    assert due == times(flat(1000, 20), arrivals=Arrivals.POISSON)
    assert due != times(flat(1000, 20), arrivals=Arrivals.POISSON, seed=2)
    assert abs(len(due) - 20_000) < 4 * math.sqrt(20_000)
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert variance / mean**2 == pytest.approx(1.0, abs=0.05)


@given(st.integers(1, 5), st.sampled_from(list(Arrivals)))
def test_the_workers_shares_together_are_the_whole(workers: int, arrivals: Arrivals) -> None:
    schedule = Schedule(stages=(flat(50, 2), Stage(from_per_s=50, to_per_s=10, duration_s=1)), arrivals=arrivals)

    shares = [list(schedule.walk(first, workers)) for first in range(workers)]

    assert sorted(itertools.chain(*shares)) == list(schedule.walk())


def test_the_rate_at_a_time() -> None:
    stages = (flat(10, 1), Stage(from_per_s=10, to_per_s=20, duration_s=2))

    assert [rate_at(stages, at) for at in (-1, 0.5, 1, 2, 3.5)] == [10, 10, 10, 15, 0]


def test_the_first_arrival_of_a_stage_is_due_at_its_start() -> None:
    assert time_within(flat(10, 1), 0) == time_within(flat(10, 1), -1) == 0.0
    assert time_within(flat(10, 1), 100) == 1.0


def test_chance_is_a_function() -> None:
    assert bits(1, 2) == bits(1, 2) != bits(2, 1)
    draws = [uniform(7, index) for index in range(10_000)]
    assert min(draws) >= 0
    assert max(draws) < 1
    assert sum(draws) / len(draws) == pytest.approx(0.5, abs=0.02)
    assert sum(exponential(7, index) for index in range(10_000)) / 10_000 == pytest.approx(1, abs=0.05)
    assert sorted(shuffled(9, 3)) == list(range(9))
    assert shuffled(9, 3) != shuffled(9, 4)


def test_every_block_of_draws_holds_each_arm_by_its_share() -> None:
    arms = (Arm(name="stable", share=0.75), Arm(name="canary", share=0.25))
    drawn = draw_arms(arms, seed=5)

    assert len(drawn) >= CYCLE
    assert block_of([0.75, 0.25]) == [0, 0, 0, 1]
    for start in range(0, 400, 4):
        assert Counter(drawn[start : start + 4]) == {0: 3, 1: 1}
    assert drawn[:40] != sorted(drawn[:40])
    assert draw_arms(arms, seed=5) == drawn != draw_arms(arms, seed=6)


def test_odd_shares_are_kept_to_a_thousandth() -> None:
    block = block_of([0.123, 0.877, 1 / 3])

    assert len(block) <= 2 * BLOCK_MAX
    assert Counter(block)[0] / len(block) == pytest.approx(0.123 / (1 + 1 / 3), abs=0.002)


def test_orders_noise_and_targets_are_drawn_from_the_seed() -> None:
    orders = draw_orders(2, seed=1)
    targets = (Target(url="http://a/", weight=3), Target(url="http://b/"))

    assert 0.4 < orders.count((0, 1)) / len(orders) < 0.6
    assert sum(draw_noise(0.1, seed=1)) / CYCLE == pytest.approx(0.1, abs=0.02)
    assert Counter(draw_targets(targets, seed=1)[:4]) == {0: 3, 1: 1}


def test_a_pair_is_added_up_when_its_last_side_has_ended() -> None:
    sums: dict[str, PairSum] = {}
    pair = Pair(("stable", "canary", NOISE))
    pair.ended(1, 200, sums)
    pair.ended(0, 100, sums)
    assert not sums
    pair.ended(2, 50, sums)

    assert (sums["canary"].count, sums["canary"].slower, sums["canary"].faster) == (1, 1, 0)
    assert sums["canary"].log_ratio == pytest.approx(math.log(2))
    assert sums[NOISE].faster == 1


def test_a_pair_with_a_failure_says_nothing_about_latency() -> None:
    total = PairSum(arm="canary").with_pair(100, -5).with_pair(-1, 5).with_pair(10, 10)

    assert (total.count, total.broken, total.slower, total.faster, total.log_ratio) == (1, 2, 0, 0, 0.0)
