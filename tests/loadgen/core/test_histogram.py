"""Durations in buckets: never more than a thousandth off, and merging is exact."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.core.histogram import (
    NS,
    Histogram,
    bucket_of,
    lower_edge_ns,
    merged,
    middle_s,
    quantile_of,
    upper_edge_s,
)

HOUR_NS = 3600 * NS
durations = st.integers(0, HOUR_NS)


@given(durations)
def test_a_bucket_holds_what_fell_into_it_and_its_middle_is_near(value: int) -> None:
    bucket = bucket_of(value)

    assert lower_edge_ns(bucket) <= value < lower_edge_ns(bucket + 1)
    assert abs(middle_s(bucket) * NS - value) <= max(1, 0.001 * value)
    assert upper_edge_s(bucket) * NS == pytest.approx(lower_edge_ns(bucket + 1))


@given(st.integers(0, HOUR_NS), st.integers(0, HOUR_NS))
def test_buckets_are_in_the_order_of_what_is_in_them(one: int, other: int) -> None:
    assert (bucket_of(one) <= bucket_of(other)) or one > other


@given(st.lists(durations, min_size=1, max_size=200), st.integers(1, 4))
def test_a_merge_of_parts_is_the_whole(values: list[int], parts: int) -> None:
    whole = Histogram()
    pieces = [Histogram() for _ in range(parts)]
    for place, value in enumerate(values):
        whole.record(value)
        pieces[place % parts].record(value)

    assert merged(piece.counts for piece in pieces).sparse() == whole.sparse()
    assert whole.count == len(values)


@given(st.lists(durations, min_size=1, max_size=300), st.floats(0, 1))
def test_a_quantile_is_a_value_that_this_share_does_not_exceed(values: list[int], share: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    found = histogram.quantile_s(share)

    assert found is not None
    ordered = sorted(values)
    exact = ordered[min(len(values) - 1, max(0, -(-len(values) * share // 1).__int__() - 1))]
    assert found * NS == pytest.approx(exact, rel=0.002, abs=2)


def test_an_empty_histogram_says_nothing() -> None:
    empty = Histogram()

    assert (empty.count, empty.quantile_s(0.5), empty.mean_s(), empty.deviation_s()) == (0, None, None, None)
    assert (empty.min_s(), empty.max_s(), empty.share_above(1.0)) == (None, None, None)


def test_the_usual_sums() -> None:
    histogram = Histogram()
    for value_s in (0.1, 0.2, 0.3):
        histogram.record(round(value_s * NS))
    histogram.record(-5)  # a clock that ran backwards

    assert histogram.min_s() == 0
    assert histogram.max_s() == pytest.approx(0.3, rel=0.001)
    assert histogram.mean_s() == pytest.approx(0.15, rel=0.001)
    assert histogram.deviation_s() == pytest.approx(0.1118, rel=0.001)
    assert histogram.share_above(0.15) == 0.5
    assert quantile_of(histogram.sparse(), 100, 1.0) == pytest.approx(0.3, rel=0.001)  # counts that do not add up
