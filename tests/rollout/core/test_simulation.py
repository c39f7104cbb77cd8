"""Simulated rollouts: the real policy in a made-up world."""

from functools import partial
from random import Random
from typing import Any

import pytest
from pydantic import TypeAdapter

from rollout.core.decision import Decision
from rollout.core.judge import Verdict
from rollout.core.phase import Phase, State
from rollout.core.simulation import BASELINE, End, Ending, Story, Traffic, parse_behaviour, simulate, summary_of
from tests.rollout.core.worlds import spec

LADDER = [{"weight": 5, "hold": "5s"}, {"weight": 50, "hold": "5s"}, {"weight": 100, "hold": "5s"}]
ERRORS = {"name": "errors", "source": "load", "metric": "error-rate", "max": "1%"}
USERS = {"name": "users", "source": "prometheus", "metric": "error-rate", "max": "1%"}


def story(canary: str = "", *, rps: float = 100, baseline: str = "", **changes: Any) -> Story:
    stable = parse_behaviour(baseline, BASELINE)
    plan = {"steps": LADDER, "checks": [ERRORS], **changes}
    return Story(spec=spec(**plan), traffic=Traffic(rps=rps, stable=stable, canary=parse_behaviour(canary, stable)))


def test_a_good_canary_is_promoted_and_everybody_meets_it() -> None:
    ending = simulate(story(), Random(1))

    assert ending.end is End.PROMOTED
    assert ending.step == 2
    assert 15 <= ending.decided_s < 120
    assert ending.canary_requests > 1500
    assert ending.failed_user_requests < 20


def test_a_bad_one_is_taken_back_by_the_check_it_fails() -> None:
    ending = simulate(story("errors=5%"), Random(1))

    assert (ending.end, ending.cause) == (End.ROLLED_BACK, "a check failed: errors")
    assert ending.decided_s < 60
    assert ending.probes > 50


def test_a_dead_one_trips_the_breaker_within_seconds() -> None:
    ending = simulate(story("errors=100%"), Random(1))

    assert (ending.end, ending.cause) == (End.ROLLED_BACK, "breaker tripped")
    assert ending.decided_s < 5
    assert ending.failed_user_requests == ending.canary_requests < 30


def test_one_that_hangs_trips_it_as_well() -> None:
    ending = simulate(story("latency=x60"), Random(1))

    assert ending.cause == "breaker tripped"


def test_what_cannot_be_proven_in_time_ends_at_the_deadline() -> None:
    slow: dict[str, Any] = {"steps": [{"weight": 100, "hold": "1s"}], "timeouts": {"step": "20s"}}

    ending = simulate(story(load={"url": "http://reviews/", "rate": "5/s"}, **slow), Random(1))

    assert (ending.end, ending.cause) == (End.TIMED_OUT, "step timed out: errors")
    assert ending.decided_s == pytest.approx(20, abs=2)


def test_a_plan_that_holds_on_failure_waits_for_a_person() -> None:
    ending = simulate(story("errors=5%", onFail="pause"), Random(1))

    assert (ending.end, ending.cause) == (End.HELD, "a check failed, held for a person: errors")


def test_gates_are_opened_at_once_and_probes_come_before_users() -> None:
    steps = [{"probe": {"hold": "5s"}}, {"gate": "sre"}, *LADDER]

    good, bad = simulate(story(steps=steps), Random(1)), simulate(story("errors=5%", steps=steps), Random(1))

    assert good.end is End.PROMOTED
    assert (bad.end, bad.failed_user_requests, bad.step) == (End.ROLLED_BACK, 0, 0)


QUERIES = [
    {"name": "above", "source": "prometheus", "query": "x", "min": 3},
    {"name": "below", "source": "prometheus", "query": "y", "max": 3},
]


@pytest.mark.parametrize(("canary", "end"), [("", End.PROMOTED), ("errors=8%", End.ROLLED_BACK)])
def test_users_alone_are_judged_by_what_prometheus_scrapes_of_them(canary: str, end: End) -> None:
    slow = {"name": "latency", "source": "prometheus", "metric": "latency", "maxIncrease": "20%"}

    ending = simulate(
        story(canary, load=None, checks=[USERS, slow, *QUERIES], route={"name": "reviews", "http": "main"}), Random(1)
    )

    assert ending.end is end
    assert ending.probes == 0


def test_a_slow_one_is_found_in_buckets() -> None:
    slow = {"name": "latency", "source": "prometheus", "metric": "latency", "maxIncrease": "20%"}

    ending = simulate(story("latency=x2", load=None, checks=[slow]), Random(1))

    assert ending.cause == "a check failed: latency"


def test_an_outage_of_both_is_nobodys_fault() -> None:
    ending = simulate(story(baseline="errors=5%", timeouts={"step": "60s"}), Random(1))

    assert (ending.end, ending.cause) == (End.TIMED_OUT, "step timed out: errors")


def test_a_service_without_users_can_be_released_by_its_load() -> None:
    assert simulate(story(rps=0), Random(1)).end is End.PROMOTED


def test_the_same_seed_gives_the_same_rollout_and_another_seed_another() -> None:
    one, again, other = (simulate(story("errors=2%"), Random(seed)) for seed in (1, 1, 2))

    assert one == again
    assert one != other


@pytest.mark.parametrize("canary", ["", "errors=3%", "latency=x1.5"])
def test_saved_and_loaded_at_every_moment_every_verdict_is_the_same(canary: str) -> None:
    adapter = TypeAdapter(State)
    checks = [
        ERRORS | {"maxIncrease": "50%"},
        {"name": "l", "source": "load", "metric": "latency", "maxIncrease": "10%"},
    ]
    checks += [USERS, {"name": "ul", "source": "prometheus", "metric": "latency", "maxIncrease": "20%", "max": "400ms"}]
    told = story(canary, checks=checks)

    def traced(**keys: Any) -> tuple[Ending, list[tuple[Verdict, str, float, Phase]]]:
        trace: list[tuple[Verdict, str, float, Phase]] = []

        def each(decision: Decision) -> None:
            judgement = decision.judgement
            trace.append((judgement.verdict, judgement.reason, judgement.log_e_harm, decision.state.phase))

        return simulate(told, Random(7), each=each, **keys), trace

    straight = traced()
    saved = traced(kept=lambda state: adapter.validate_json(adapter.dump_json(state)))

    assert saved == straight
    assert len(straight[1]) > 5


def test_many_are_counted_with_what_a_few_hundred_runs_can_say() -> None:
    one = partial(Ending, step=0, canary_requests=90, probes=10, failed_user_requests=3)
    endings = [one(end=End.ROLLED_BACK, cause="breaker tripped", decided_s=float(second)) for second in range(1, 21)]
    endings += [one(end=End.PROMOTED, cause="last step passed", decided_s=100.0)] * 80

    summary = summary_of(endings)

    share = summary.ends[End.ROLLED_BACK]
    assert (share.count, share.share) == (20, 0.2)
    assert [share.lower, share.upper] == pytest.approx([0.1333, 0.2888], abs=1e-3)
    assert [summary.ends[End.HELD].lower, summary.ends[End.HELD].upper] == pytest.approx([0, 0.037], abs=1e-3)
    times = summary.decided_s[End.ROLLED_BACK]
    assert (times.mean, times.median, times.p95, times.largest) == (10.5, 10, 19, 20)
    assert End.HELD not in summary.decided_s
    assert summary.canary_requests.median == 100
    assert summary.causes == (("breaker tripped", 20),)
