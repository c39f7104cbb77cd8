import statistics

import pytest

from loadgen.fortio.histogram import BOUNDS, FortioHistogram


def filled(divider: float, *values: float, offset: float = 0.0) -> FortioHistogram:
    histogram = FortioHistogram(divider, offset)
    for value in values:
        histogram.record(value)
    return histogram


GOLDEN = filled(10, 1, 251, 501, 751, 1001)


@pytest.mark.parametrize(
    ("percent", "value"), [(20.01, 250.025), (50, 550), (75, 775), (90, 1000.5), (99.9, 1000.995), (100, 1001), (1, 1)]
)
def test_percentiles_are_those_of_fortios_own_test(percent: float, value: float) -> None:
    """TestHistogram of fortio's stats_test.go."""
    assert GOLDEN.percentile(percent) == pytest.approx(value, abs=1e-6)


def test_rows_are_the_buckets_in_use_between_minimum_and_maximum() -> None:
    rows = filled(0.001, 0.0016, 0.0025, 0.0025, 0.0084).rows()
    assert [(row.start, row.end, row.count, row.percent) for row in rows] == [
        (0.0016, 0.002, 1, 25.0),
        (0.002, 0.003, 2, 75.0),
        (0.008, 0.0084, 1, 100.0),
    ]


def test_a_value_on_a_bound_belongs_below_it() -> None:
    assert filled(0.001, *(bound * 0.001 for bound in BOUNDS)).counts == dict.fromkeys(range(len(BOUNDS)), 1)


def test_beyond_the_last_bound_and_below_the_first_there_is_a_bucket_too() -> None:
    far = filled(1, -5, 0, 200_000, 300_000)
    assert [row.count for row in far.rows()] == [2, 2]
    assert (far.rows()[0].start, far.rows()[-1].end) == (-5, 300_000)


def test_an_offset_moves_the_bounds() -> None:
    assert [row.end for row in filled(1, 10.5, 11.5, 12, offset=10).rows()] == [11, 12]


def test_moments_are_those_of_the_population() -> None:
    values = (1.0, 2.5, 9.0)
    found = filled(1, *values)
    assert (found.average, found.deviation) == pytest.approx((statistics.fmean(values), statistics.pstdev(values)))
    assert (found.min, found.max, found.sum, found.count) == (1, 9, 12.5, 3)


def test_without_data_everything_is_nothing() -> None:
    empty = FortioHistogram(1)
    assert (empty.average, empty.deviation, empty.percentile(50), empty.rows()) == (0, 0, 0, [])


def test_one_value_is_every_percentile() -> None:
    assert [filled(1, 7).percentile(percent) for percent in (1, 50, 99.9)] == [7, 7, 7]
