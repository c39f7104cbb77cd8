"""Counts of one interval, and what can be read from them."""

from rollout.core.evidence import Counts


def test_counts_add_up_bucket_by_bucket() -> None:
    both = Counts(requests=3, failures=1, latency={0.1: 2, 0.2: 1}).plus(Counts(requests=2, latency={0.2: 1, 0.4: 1}))

    assert both == Counts(requests=5, failures=1, latency={0.1: 2, 0.2: 2, 0.4: 1})
    assert both.measured == 5


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
