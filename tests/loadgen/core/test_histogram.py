import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.core.histogram import (
    Histogram,
    bucket_of,
    lower_edge_ns,
    merged,
    middle_s,
    quantile_of,
    upper_edge_s,
)
from tests.loadgen.properties import repeatable

HOUR_NS = 3_600_000_000_000
durations = st.integers(min_value=1, max_value=HOUR_NS)


@repeatable
@given(durations)
def test_the_value_of_a_bucket_is_within_a_thousandth_of_anything_in_it(value_ns: int) -> None:
    assert abs(middle_s(bucket_of(value_ns)) * 1e9 - value_ns) <= 0.001 * value_ns


@repeatable
@given(durations)
def test_a_duration_lies_between_its_buckets_edges(value_ns: int) -> None:
    bucket = bucket_of(value_ns)
    assert lower_edge_ns(bucket) <= value_ns < lower_edge_ns(bucket + 1)
    assert upper_edge_s(bucket) == lower_edge_ns(bucket + 1) / 1e9


@repeatable
@given(durations, durations)
def test_buckets_keep_the_order(one: int, other: int) -> None:
    assert (bucket_of(one) <= bucket_of(other)) or one > other


def test_an_hour_of_nanoseconds_fits_into_few_buckets() -> None:
    assert bucket_of(HOUR_NS) < 18_000


@repeatable
@given(st.lists(st.lists(durations, max_size=40), min_size=1, max_size=5))
def test_the_merge_of_workers_equals_one(parts: list[list[int]]) -> None:
    together = Histogram()
    workers = [Histogram() for _ in parts]
    for part, worker in zip(parts, workers, strict=True):
        for value in part:
            together.record(value)
            worker.record(value)
    assert merged(worker.counts for worker in workers).sparse() == together.sparse()
    assert together.count == sum(map(len, parts))


def samples(shape: str) -> list[int]:
    draw = random.Random(7)
    shapes = {
        "lognormal": lambda: draw.lognormvariate(math.log(3e5), 0.8),
        "bimodal": lambda: draw.gauss(2e6, 1e5) if draw.random() < 0.7 else draw.gauss(9e7, 4e6),
        "pareto": lambda: 1e6 * draw.paretovariate(1.3),
    }
    return [max(1, round(shapes[shape]())) for _ in range(50_000)]


@pytest.mark.parametrize("shape", ["lognormal", "bimodal", "pareto"])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 0.999])
def test_quantiles_are_within_a_fifth_of_a_percent_of_the_exact_ones(shape: str, share: float) -> None:
    values = samples(shape)
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    exact = sorted(values)[math.ceil(share * len(values)) - 1] / 1e9
    assert histogram.quantile_s(share) == pytest.approx(exact, rel=0.002)


def test_moments_and_extremes_are_those_of_the_sample() -> None:
    histogram = Histogram()
    for value_ms in (1, 2, 3, 4):
        histogram.record(value_ms * 1_000_000)
    assert histogram.mean_s() == pytest.approx(0.0025, rel=0.001)
    assert histogram.deviation_s() == pytest.approx(0.0011180, rel=0.002)
    assert histogram.min_s() == pytest.approx(0.001, rel=0.001)
    assert histogram.max_s() == pytest.approx(0.004, rel=0.001)


def test_a_share_is_above_a_limit_by_whole_buckets() -> None:
    histogram = Histogram()
    for value_ms in (1, 2, 3, 4):
        histogram.record(value_ms * 1_000_000)
    assert histogram.share_above(0.0025) == 0.5
    assert histogram.share_above(0.003) == 0.25


def test_nothing_has_no_quantiles() -> None:
    nothing = Histogram()
    assert nothing.quantiles_s((0.5, 1.0)) == [None, None]
    assert (nothing.mean_s(), nothing.deviation_s(), nothing.min_s(), nothing.max_s()) == (None,) * 4
    assert nothing.share_above(1.0) is None


def test_a_clock_that_ran_backwards_counts_as_nothing() -> None:
    histogram = Histogram()
    histogram.record(-5)
    assert histogram.sparse() == [(0, 1)]


def test_a_share_above_one_gives_the_highest_value() -> None:
    assert quantile_of([(10, 1), (20, 1)], 2, 1.5) == middle_s(20)
