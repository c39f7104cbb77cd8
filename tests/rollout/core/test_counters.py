"""Raw counters as strata: no failure lost, no reset mistaken, no zero invented."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.core.counters import (
    CounterProblem,
    check_buckets,
    increase,
    is_failure,
    newest_common_time,
    stratum_from,
    version_of,
)
from rollout.core.observation import Series


def series(*points: tuple[float, float], **labels: str) -> Series:
    return Series(labels={"instance": "a", **labels}, points=points)


def test_a_plain_counter_is_a_difference() -> None:
    one = series((10, 100), (11, 103), (12, 110))

    assert increase(one, 10, 12, from_zero=True) == 10
    assert increase(one, 10, 11, from_zero=True) == 3
    assert increase(one, 12, 12, from_zero=True) == 0


def test_a_counter_that_falls_was_reset_and_counts_from_zero() -> None:
    assert increase(series((10, 100), (11, 4), (12, 6)), 10, 12, from_zero=True) == 6


def test_a_series_that_appears_counts_from_zero_if_its_target_was_known_and_else_from_its_first_sample() -> None:
    fresh = series((11, 5), (12, 9))

    assert increase(fresh, 10, 12, from_zero=True) == 9
    assert increase(fresh, 10, 12, from_zero=False) == 4


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=20), st.data())
def test_what_is_counted_does_not_depend_on_where_the_intervals_are_cut(values: list[int], data: st.DataObject) -> None:
    one = series(*((float(i), float(v)) for i, v in enumerate(values)))
    end = float(len(values) - 1)
    cut = float(data.draw(st.integers(0, len(values) - 1)))

    whole = increase(one, 0, end, from_zero=True)

    assert whole == increase(one, 0, cut, from_zero=True) + increase(one, cut, end, from_zero=True)
    assert whole >= 0


def test_the_first_failures_of_a_fresh_canary_are_not_lost() -> None:
    requests = (
        series((10, 500), (11, 590), destination_version="v1", response_code="200"),
        series((11, 10), destination_version="v3", response_code="503"),
    )

    stratum = stratum_from(requests, (), stable="v1", canary="v3", since=10)

    assert stratum is not None
    assert (stratum.start, stratum.end) == (10, 11)
    assert (stratum.stable.requests, stratum.stable.failures) == (90, 0)
    assert (stratum.canary.requests, stratum.canary.failures) == (10, 10)


def test_buckets_become_counts_per_bucket_in_seconds_and_empty_ones_stay() -> None:
    def bucket(le: str, count: float) -> Series:
        return series((10, 0), (11, count), destination_version="v3", le=le)

    stratum = stratum_from(
        (), (bucket("5", 1), bucket("10", 1), bucket("25", 4), bucket("+Inf", 5)), stable="v1", canary="v3", since=10
    )

    assert stratum is not None
    assert stratum.canary.latency == {0.005: 1, 0.01: 0, 0.025: 3, float("inf"): 1}


def test_rows_of_other_versions_and_unknown_ones_belong_to_neither_arm() -> None:
    requests = (
        series((10, 0), (11, 5), destination_version="v2", response_code="200"),
        series((10, 0), (11, 5), destination_version="unknown", response_code="503"),
    )

    stratum = stratum_from(requests, (), stable="v1", canary="v3", since=10)

    assert stratum is not None
    assert stratum.stable.requests == stratum.canary.requests == 0


def told_by(reporter: str, caller: str, version: str, code: str, count: float, flags: str = "-") -> Series:
    return series(
        (10, 0),
        (11, count),
        reporter=reporter,
        source_workload=caller,
        destination_version=version,
        destination_subset="v3",
        response_code=code,
        response_flags=flags,
    )


def test_each_request_counts_once_whoever_reports_it() -> None:
    requests = (
        told_by("source", "productpage-v1", "v3", "200", 90),
        told_by("destination", "productpage-v1", "v3", "200", 90),  # the same requests
        told_by("source", "productpage-v1", "unknown", "503", 7, "UH"),  # reached nobody: the source alone knows
        told_by("destination", "unknown", "v3", "500", 3),  # from a caller without a proxy
    )

    stratum = stratum_from(requests, (), stable="v1", canary="v3", since=10)

    assert stratum is not None
    assert (stratum.canary.requests, stratum.canary.failures) == (100, 10)


def test_buckets_count_once_as_well() -> None:
    both = [told_by(reporter, "productpage-v1", "v3", "200", 8) for reporter in ("source", "destination")]
    buckets = [Series(labels={**one.labels, "le": "+Inf"}, points=one.points) for one in both]

    stratum = stratum_from(both, buckets, stable="v1", canary="v3", since=10)

    assert stratum is not None
    assert stratum.canary.measured == stratum.canary.requests == 8


def test_nothing_new_is_no_stratum() -> None:
    assert stratum_from((), (), stable="v1", canary="v3", since=0) is None
    assert stratum_from((series(),), (), stable="v1", canary="v3", since=0) is None
    old = (series((10, 5), destination_version="v1"),)
    assert stratum_from(old, (), stable="v1", canary="v3", since=10) is None


def test_an_interval_ends_where_every_target_has_been_scraped_and_a_target_that_is_gone_does_not_count() -> None:
    late = Series(labels={"instance": "b"}, points=((100, 1), (105, 1)))
    gone = Series(labels={"instance": "c"}, points=((10, 1),))

    assert newest_common_time((series((100, 1), (110, 1)), late, gone)) == 105
    assert newest_common_time(()) is None


def test_a_row_without_a_pod_belongs_to_the_subset_that_was_meant() -> None:
    assert version_of({"destination_version": "v1", "destination_subset": "v3"}) == "v1"
    assert version_of({"destination_version": "unknown", "destination_subset": "v3"}) == "v3"
    assert version_of({}) == "unknown"


@pytest.mark.parametrize(
    ("labels", "failed"),
    [
        ({"response_code": "200"}, False),
        ({"response_code": "404", "response_flags": "-"}, False),
        ({"response_code": "500"}, True),
        ({"response_code": "503", "response_flags": "UO"}, True),
        ({"response_code": "0", "response_flags": "DC"}, True),
        ({}, True),
        ({"response_code": "200", "grpc_response_status": "14"}, True),
        ({"response_code": "200", "grpc_response_status": "5"}, False),
        *(({"response_code": "200", "response_flags": flag}, True) for flag in ("UO", "UH", "UF", "UT", "URX", "NC")),
        ({"response_code": "200", "response_flags": "UT,URX"}, True),
        ({"response_code": "200", "response_flags": "DI"}, False),
    ],
)
def test_what_counts_as_a_failure(labels: dict[str, str], failed: bool) -> None:
    assert is_failure(labels) is failed


def test_buckets_that_make_no_histogram_are_refused_by_name() -> None:
    check_buckets((series((1, 1), le="5"), series((1, 1), le="+Inf"), series(le="1")))
    for broken, says in (
        ((series((1, 1), le="abc"), series((1, 1), le="+Inf")), "le='abc'"),
        ((series((1, 1)),), "le=None"),
        ((series((1, 1), le="5"),), r"no bucket le=\+Inf"),
        ((series((1, 3), le="5"), series((1, 2), le="+Inf")), "le=inf counts fewer"),
    ):
        with pytest.raises(CounterProblem, match=says):
            check_buckets(broken)


def test_buckets_of_a_version_that_takes_no_part_are_left_out() -> None:
    rows = [series((10, 0), (11, 8), destination_version=version) for version in ("v1", "v2", "v3")]
    buckets = [series((10, 0), (11, 8), destination_version=version, le="100") for version in ("v1", "v2", "v3")]

    stratum = stratum_from(rows, buckets, stable="v1", canary="v3", since=10)

    assert stratum is not None
    assert (stratum.stable.measured, stratum.canary.measured) == (8, 8)
