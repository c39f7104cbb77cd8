"""How many requests a plan needs before a good canary can be proven good."""

from math import inf
from random import Random
from typing import Any

import pytest

from rollout.core.simulation import Behaviour, Need, Story, Traffic, needs_of, simulate
from tests.rollout.core.worlds import spec

ERRORS = {"name": "errors", "source": "prometheus", "metric": "error-rate", "max": "1%"}
FLAWLESS = Behaviour(error_rate=0, median_s=0.05)


def needed(rps: float, *checks: dict[str, Any], stable: Behaviour = FLAWLESS, **changes: Any) -> list[Need]:
    steps = [{"weight": 10, "hold": "5s"}, {"gate": "sre"}, {"weight": 100, "hold": "5s"}]
    plan = spec(**{"steps": steps, "checks": list(checks), "settle": "5s", **changes}).plan
    return list(needs_of(plan, Traffic(rps=rps, stable=stable, canary=stable)))


def test_a_limit_of_one_percent_needs_380_requests_without_an_error() -> None:
    at_10, at_100 = needed(100, ERRORS)

    assert (at_10.step, at_10.check, at_100.step) == (0, "errors", 2)
    assert at_10.requests == pytest.approx(380, rel=0.02)
    assert at_10.seconds == pytest.approx(38, rel=0.02)
    assert at_100.seconds == pytest.approx(3.8, rel=0.02)


def test_the_deadline_says_whether_that_can_be_had() -> None:
    short: dict[str, Any] = {"timeouts": {"step": "30s"}}

    assert [need.fits for need in needed(100, ERRORS)] == [True, True]
    assert [need.fits for need in needed(100, ERRORS, **short)] == [False, True]
    assert needed(100, ERRORS, **short)[0].timeout_s == 25  # the warm-up is no evidence


def test_without_traffic_nothing_can_ever_be_proven() -> None:
    assert [need.seconds for need in needed(0, ERRORS)] == [inf, inf]
    assert not needed(0, ERRORS)[0].fits


def test_a_stable_version_at_the_limit_leaves_nothing_to_prove() -> None:
    assert needed(100, ERRORS, stable=Behaviour(error_rate=0.01, median_s=0.05))[0].requests == inf


def test_synthetic_load_and_users_are_counted_apart_and_queries_not_at_all() -> None:
    latency = {"name": "latency", "source": "load", "metric": "latency", "maxIncrease": "10%"}
    query = {"name": "custom", "source": "prometheus", "query": "x", "max": 3}

    found = needed(100, latency, ERRORS, query)

    assert [need.check for need in found[:4]] == ["latency.p50", "latency.p95", "latency.p99", "errors"]
    assert found[0].requests < found[1].requests < found[2].requests
    assert found[0].seconds == pytest.approx(found[0].requests / 25)  # 50/s, half of them


def test_what_need_not_be_passed_is_not_needed() -> None:
    query = {"name": "custom", "source": "prometheus", "query": "x", "max": 3}

    assert needed(100, ERRORS | {"onNoData": "ignore"}, query) == []


def test_minimum_requests_are_needed_too() -> None:
    assert needed(100, ERRORS | {"minRequests": 5000})[0].requests == pytest.approx(5000, rel=0.02)


def test_a_simulated_rollout_takes_about_as_long() -> None:
    plan = spec(steps=[{"weight": 100, "hold": "1s"}], checks=[ERRORS | {"source": "load"}], settle="5s")
    traffic = Traffic(rps=10, stable=FLAWLESS, canary=FLAWLESS)
    (need,) = needs_of(plan.plan, traffic)

    took = simulate(Story(spec=plan, traffic=traffic), Random(1)).decided_s

    assert took == pytest.approx(need.seconds + 5, abs=4)
