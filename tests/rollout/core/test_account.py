"""What `rollout explain` tells beside a verdict."""

from rollout.core import account, judge
from rollout.core.account import accounts_of, query_of
from rollout.core.evidence import Counts, Stratum
from rollout.core.ledger import Evidence, fold
from rollout.core.sequential import Interval
from rollout.core.spec import Source
from rollout.core.trials import trials_of
from tests.rollout.core.worlds import NOW, counts, short_spec

PLAN = short_spec(
    checks=[
        {"name": "errors", "source": "load", "metric": "error-rate", "max": "1%"},
        {"name": "latency", "source": "load", "metric": "latency", "quantiles": ["p50"], "maxIncrease": "10%"},
        {"name": "slow", "source": "prometheus", "metric": "latency", "maxIncrease": "10%"},
        {"name": "custom", "source": "prometheus", "query": "sum(x)", "max": 3},
    ]
).plan


def test_both_versions_are_told_with_their_requests_and_how_sure_the_numbers_are() -> None:
    latency = {0.01: 400, 0.1: 500, 1.0: 100}
    stratum = Stratum(start=NOW, end=NOW + 1, stable=Counts(requests=1000, latency=latency), canary=counts(100, 5))
    evidence = fold(Evidence(), trials_of(PLAN), Source.LOAD, stratum, 3)

    told = accounts_of(PLAN, evidence)

    assert set(told) == {"errors", "latency.p50", "slow"}
    errors = told["errors"]
    assert (errors.stable.requests, errors.canary.requests) == (1000, 100)
    low, high = errors.canary.interval.lower, errors.canary.interval.upper
    assert low is not None
    assert high is not None
    assert 0.005 < low < 0.05 < high < 0.2
    assert told["latency.p50"].stable.interval == Interval(lower=0.01, upper=0.1)
    assert told["slow"].canary.interval == Interval(lower=None, upper=None)
    assert account.SHOWN_QUANTILE == judge.SHOWN_QUANTILE


def test_only_a_custom_check_has_a_query() -> None:
    assert query_of(PLAN, "custom") == "sum(x)"
    assert query_of(PLAN, "errors") == ""
