"""Counts of one interval, and what can be read from them."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from rollout.core.evidence import Counts, coarse_edge


def test_counts_add_up_bucket_by_bucket() -> None:
    both = Counts(requests=3, failures=1, latency={0.1: 2, 0.2: 1}).plus(Counts(requests=2, latency={0.2: 1, 0.4: 1}))

    assert both == Counts(requests=5, failures=1, latency={0.1: 2, 0.2: 2, 0.4: 1})
    assert both.measured == 5


def test_edges_are_put_in_order_when_there_is_a_new_one() -> None:
    before = Counts(requests=1, failures=1, latency={0.2: 1})
    grown = before.plus(Counts(requests=1, latency={0.1: 1}))

    assert list(grown.in_order(before).latency) == [0.1, 0.2]
    assert grown.in_order(before) == grown
    assert grown.in_order(grown) is grown


def test_slow_requests_are_those_in_buckets_that_end_above_the_threshold() -> None:
    counts = Counts(requests=5, latency={0.1: 2, 0.2: 2, 0.4: 1})

    assert [counts.count_above(threshold) for threshold in (0.05, 0.1, 0.2, 0.4)] == [5, 3, 1, 0]


def test_a_quantile_is_the_edge_of_the_bucket_that_holds_it() -> None:
    counts = Counts(requests=5, latency={0.4: 1, 0.1: 2, 0.2: 2})

    assert [counts.quantile(q) for q in (0.0, 0.4, 0.5, 0.8, 0.99)] == [0.1, 0.1, 0.2, 0.2, 0.4]


def test_without_requests_there_is_no_rate_and_no_quantile() -> None:
    assert Counts().error_rate is None
    assert Counts().quantile(0.5) is None
    assert Counts(requests=4, failures=1).error_rate == 0.25


def test_several_quantiles_are_those_asked_for_one_by_one() -> None:
    counts = Counts(latency={0.4: 1, 0.1: 2, 0.2: 2, 0.8: 0})

    assert counts.quantiles((0.0, 0.5, 0.99, 1.0)) == [counts.quantile(q) for q in (0.0, 0.5, 0.99, 1.0)]
    assert counts.quantiles((1.0,)) == [0.4]
    assert Counts(latency={0.1: 0}).quantiles((0.5, 0.9)) == [None, None]


@given(st.floats(min_value=1e-6, max_value=1e5))
def test_a_coarse_edge_is_the_next_one_and_at_most_two_and_a_half_percent_away(edge_s: float) -> None:
    coarse = coarse_edge(edge_s)

    assert edge_s * (1 - 1e-6) <= coarse <= edge_s * 1.025
    assert coarse_edge(coarse) == coarse


def test_coarse_edges_are_round_numbers_and_few() -> None:
    assert [coarse_edge(edge) for edge in (0.01, 0.01003, 0.0999, 0.2431, 12.3, 0.0, inf)] == [
        *(0.01, 0.0102, 0.1, 0.245, 12.4),
        *(0.0, inf),
    ]
    assert len({coarse_edge(0.001 * 1.002**step) for step in range(1152)}) == 161  # a decade


def test_a_coarse_count_is_still_the_whole_count() -> None:
    fine = Counts(requests=9, failures=2, latency={0.01001: 2, 0.0101: 3, 0.5: 4})

    assert fine.coarse() == Counts(requests=9, failures=2, latency={0.0102: 5, 0.5: 4})
