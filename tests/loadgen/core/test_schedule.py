import math
from itertools import pairwise
from statistics import fmean, pvariance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.core.plan import Arrivals, Stage
from loadgen.core.schedule import Schedule, rate_at, time_within
from tests.loadgen.properties import repeatable

rates = st.floats(min_value=0, max_value=500, allow_nan=False)
stages = st.lists(
    st.builds(Stage, from_per_s=rates, to_per_s=rates, duration_s=st.floats(min_value=0.01, max_value=1.0)),
    min_size=1,
    max_size=3,
)


def flat(rate: float, duration_s: float) -> tuple[Stage, ...]:
    return (Stage(from_per_s=rate, to_per_s=rate, duration_s=duration_s),)


def test_constant_arrivals_are_due_one_interval_apart_and_do_not_drift() -> None:
    due = [at for _, at in Schedule(stages=flat(3000, 10)).walk()]
    assert len(due) == 30_000
    assert all(abs(at - index * 1e9 / 3000) <= 1 for index, at in enumerate(due))


@repeatable
@given(stages)
def test_due_times_ascend_and_lie_within_the_stages(plan: list[Stage]) -> None:
    due = [at for _, at in Schedule(stages=tuple(plan)).walk()]
    assert due == sorted(due)
    assert all(0 <= at <= sum(stage.duration_s for stage in plan) * 1e9 + 1 for at in due)
    assert abs(len(due) - sum(stage.arrivals for stage in plan)) <= 1


def expected_until(plan: tuple[Stage, ...], at_s: float) -> float:
    total = 0.0
    for stage in plan:
        t = min(max(at_s, 0.0), stage.duration_s)
        total += stage.from_per_s * t + (stage.to_per_s - stage.from_per_s) * t * t / (2 * stage.duration_s)
        at_s -= stage.duration_s
    return total


@repeatable
@given(stages)
def test_request_i_is_due_where_i_arrivals_are_expected(plan: list[Stage]) -> None:
    """The definition itself: L(due(i)) = i, whatever the ramps."""
    for index, at in Schedule(stages=tuple(plan)).walk():
        assert expected_until(tuple(plan), at / 1e9) == pytest.approx(index, abs=1e-3)


@pytest.mark.parametrize("arrivals", list(Arrivals))
def test_workers_share_the_arrivals_exactly(arrivals: Arrivals) -> None:
    whole = Schedule(stages=flat(500, 2), arrivals=arrivals, seed=5)
    parts = [list(whole.walk(index, 3)) for index in range(3)]
    assert sorted(one for part in parts for one in part) == list(whole.walk())


def test_poisson_arrivals_are_seeded_and_memoryless() -> None:
    walk = [at for _, at in Schedule(stages=flat(1000, 20), arrivals=Arrivals.POISSON, seed=9).walk()]
    again = [at for _, at in Schedule(stages=flat(1000, 20), arrivals=Arrivals.POISSON, seed=9).walk()]
    other = [at for _, at in Schedule(stages=flat(1000, 20), arrivals=Arrivals.POISSON, seed=10).walk()]
    gaps = [(b - a) / 1e9 for a, b in pairwise(walk)]
    assert walk == again != other
    assert fmean(gaps) == pytest.approx(0.001, rel=0.03)
    assert math.sqrt(pvariance(gaps)) == pytest.approx(0.001, rel=0.05)


def test_a_number_of_requests_ends_the_walk() -> None:
    assert [index for index, _ in Schedule(stages=flat(100, 10), requests=7).walk()] == list(range(7))


def test_the_first_arrival_may_be_due_later_and_the_others_follow_it() -> None:
    due = [at for _, at in Schedule(stages=flat(10, 1), first=0.5).walk()]
    assert due[:3] == [50_000_000, 150_000_000, 250_000_000]
    assert len(due) == 10
    random = [at for _, at in Schedule(stages=flat(10, 1), first=0.25, arrivals=Arrivals.POISSON).walk()]
    assert random[0] == 25_000_000


def test_a_rate_of_nothing_makes_nothing_due() -> None:
    assert list(Schedule(stages=flat(0, 5)).walk()) == []


def test_the_rate_is_read_off_the_stages() -> None:
    plan = (Stage(from_per_s=0, to_per_s=100, duration_s=10), Stage(from_per_s=50, to_per_s=50, duration_s=5))
    assert [rate_at(plan, at) for at in (-1.0, 0.0, 5.0, 10.0, 14.9, 15.0)] == [0.0, 0.0, 50.0, 50.0, 50.0, 0.0]


def test_before_the_first_arrival_no_time_has_passed() -> None:
    assert time_within(Stage(from_per_s=0, to_per_s=0, duration_s=1), 0) == 0.0
