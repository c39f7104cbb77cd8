import json
from collections.abc import Iterable
from dataclasses import replace
from math import inf, nan
from random import Random
from typing import Any

import pytest
from pydantic import TypeAdapter

from rollout.core.breaker import (
    Arm,
    Breaker,
    BreakerLimits,
    BreakerState,
    Endpoints,
    Finding,
    Outcome,
    Symptom,
)
from rollout.core.sequential import Tally
from tests.rollout.core.breaker_oracle import oracle, random_case, states_of

SLOW, FAST = 2.0, 0.1


def calls(script: str, *, start_s: float = 0.0, every_s: float = 0.1) -> list[Outcome]:
    """One letter a call: c canary, s stable; capital if it failed. A ~ after it makes it slow, a ! time out."""
    outcomes: list[Outcome] = []
    for letter in script.replace(" ", ""):
        if letter in "~!":
            outcomes[-1] = replace(outcomes[-1], latency_s=SLOW if letter == "~" else FAST, timed_out=letter == "!")
            continue
        arm = Arm.CANARY if letter in "cC" else Arm.STABLE
        at_s = start_s + every_s * len(outcomes)
        outcomes.append(Outcome(arm=arm, failed=letter.isupper(), latency_s=FAST, at_s=at_s))
    return outcomes


def after(outcomes: Iterable[Outcome], breaker: Breaker | None = None) -> Breaker:
    return (breaker or Breaker()).after(outcomes, stable_p99_s=0.05)


@pytest.mark.parametrize(
    ("script", "symptom", "tripping_call"),
    [
        ("C" * 10, Symptom.CONSECUTIVE_FAILURES, 10),
        ("C" * 9 + "c" + "C" * 10, Symptom.FAILURE_RATE, 10),
        ("sc" * 20 + "sC" * 15, Symptom.CONSECUTIVE_FAILURES, 60),
        ("s" * 20 + "ccC" * 3 + "C", Symptom.FAILURE_RATE, None),
        ("s" * 20 + "cC" * 5, Symptom.FAILURE_RATE, 30),
        ("s" * 20 + "cccC" * 5 + "CCcCCcCCCC", Symptom.FAILURE_RATE, 49),
        ("s" * 20 + "c~" * 10, Symptom.SLOW_CALLS, 30),
        ("s" * 20 + "c!" * 10, Symptom.SLOW_CALLS, 30),
        ("s" * 20 + "c" * 20 + "c~" * 20, Symptom.SLOW_CALLS, 56),
        ("s" * 20 + "c" * 40, None, None),
    ],
)
def test_it_trips_at_exactly_this_call(script: str, symptom: Symptom | None, tripping_call: int | None) -> None:
    breaker = after(calls(script))
    if tripping_call is None:
        assert breaker.state is BreakerState.ARMED
        assert breaker.finding is None
        return
    assert breaker.state is BreakerState.TRIPPED
    assert breaker.finding is not None
    assert (breaker.finding.symptom, breaker.finding.calls) == (symptom, tripping_call)


def test_a_finding_carries_its_numbers() -> None:
    assert after(calls("s" * 18 + "SS" + "cC" * 5)).finding == Finding(
        symptom=Symptom.FAILURE_RATE,
        observed=0.5,
        limit=0.5,
        canary=Tally(events=5, exposure=10),
        stable=Tally(events=2, exposure=20),
        at_s=0.1 * 29,
        calls=30,
    )


@pytest.mark.parametrize("stable", ["S" * 20, "s" * 10 + "S" * 10, "S"])
def test_while_both_fail_it_holds_and_blames_nobody(stable: str) -> None:
    breaker = after(calls(stable + "C" * 30))
    assert breaker.state is BreakerState.SHARED
    assert breaker.finding is not None
    assert breaker.finding.symptom is Symptom.CONSECUTIVE_FAILURES
    assert breaker.finding.calls == len(stable) + 10


def test_while_both_are_slow_it_holds_and_blames_nobody() -> None:
    breaker = after(calls("s~" * 20 + "c~" * 30))
    assert breaker.state is BreakerState.SHARED
    assert breaker.finding is not None
    assert breaker.finding.symptom is Symptom.SLOW_CALLS


@pytest.mark.parametrize("mood", ["cC", "c~c~c~c~c"])
def test_a_stable_version_that_is_somewhat_bad_is_no_yardstick(mood: str) -> None:
    somewhat = "sssS" * 5 if "C" in mood else "ssss~" * 5
    assert after(calls(somewhat + mood * 4)).state is BreakerState.ARMED


def test_failures_in_a_row_need_no_yardstick() -> None:
    assert after(calls("sssS" * 5 + "C" * 10)).state is BreakerState.TRIPPED


def test_a_shared_outage_that_ends_does_not_leave_the_canary_guilty() -> None:
    outage = after(calls("s" * 20 + "c" * 5 + "SSSSSSSSSC" * 15))
    assert outage.state is BreakerState.SHARED
    recovered = after(calls("s" * 20, start_s=20), outage)
    assert recovered.state is BreakerState.ARMED
    assert recovered.finding is None
    assert recovered.recent.canary == ()
    assert after(calls("C" * 9, start_s=30), recovered).state is BreakerState.ARMED
    assert after(calls("C" * 10, start_s=30), recovered).state is BreakerState.TRIPPED


def test_a_shared_outage_keeps_the_numbers_it_began_with() -> None:
    began = after(calls("S" * 20 + "C" * 10))
    assert after(calls("SC" * 20, start_s=5), began).finding == began.finding


def test_it_trips_once_and_stays_so() -> None:
    tripped = after(calls("C" * 10))
    assert after(calls("sc" * 50 + "C" * 30), tripped) == tripped
    assert tripped.after_endpoints(Endpoints(ready=0, restarts=9, at_s=1)) == tripped
    assert tripped.armed() == tripped
    with pytest.raises(ValueError, match="being taken back"):
        tripped.bypassed()


def test_it_stops_looking_at_the_call_that_trips() -> None:
    assert after(calls("C" * 25)).recent.calls == 10


def test_while_bypassed_it_is_blind_and_remembers_nothing() -> None:
    bypassed = after(calls("C" * 9)).bypassed()
    blind = after(calls("C" * 30), bypassed).after_endpoints(Endpoints(ready=0, restarts=0, at_s=0))
    assert blind == bypassed
    armed = bypassed.armed()
    assert armed.state is BreakerState.ARMED
    assert after(calls("C"), armed).state is BreakerState.ARMED
    assert after(calls("C" * 10), armed).state is BreakerState.TRIPPED


def test_a_batch_is_the_same_as_its_calls_one_by_one() -> None:
    script = calls("sccC" * 10 + "SC" * 15 + "s" * 20 + "cC" * 10)
    one_by_one = Breaker()
    for outcome in script:
        one_by_one = after([outcome], one_by_one)
    assert one_by_one == after(script)


def test_old_calls_do_not_count_towards_a_rate() -> None:
    assert after([*calls("cC" * 4), *calls("cC" * 2, start_s=61)]).state is BreakerState.ARMED
    assert after([*calls("cC" * 4), *calls("cC" * 2, start_s=59)]).state is BreakerState.TRIPPED


def test_a_slow_trickle_of_failures_trips_all_the_same() -> None:
    assert after(calls("C" * 10, every_s=600)).state is BreakerState.TRIPPED


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_a_clock_that_jumps_neither_trips_nor_saves(jump_s: float) -> None:
    before = calls("sc" * 20 + "C" * 5)
    assert after([*before, *calls("sc" * 100, start_s=jump_s)]).state is BreakerState.ARMED
    jumped = after([*before, *calls("C" * 5, start_s=jump_s)])
    assert jumped.state is BreakerState.TRIPPED
    assert jumped.finding is not None
    assert jumped.finding.calls == 50


@pytest.mark.parametrize(
    ("latency_s", "stable_p99_s", "trips"),
    [
        (0.9, 0.05, False),
        (1.1, 0.05, True),
        (4.9, 1.0, False),
        (5.1, 1.0, True),
        (999.0, None, False),
    ],
)
def test_slow_is_measured_by_the_stable_version(latency_s: float, stable_p99_s: float | None, trips: bool) -> None:
    canary = [replace(call, latency_s=latency_s) for call in calls("c" * 20)]
    breaker = Breaker().after(canary, stable_p99_s=stable_p99_s)
    assert (breaker.state is BreakerState.TRIPPED) is trips


def test_a_canary_without_ready_endpoints_trips_at_once() -> None:
    breaker = Breaker().after_endpoints(Endpoints(ready=0, restarts=0, at_s=5))
    assert breaker.state is BreakerState.TRIPPED
    assert breaker.finding == Finding(symptom=Symptom.NO_ENDPOINTS, observed=0, limit=0, at_s=5, calls=0)


@pytest.mark.parametrize(
    ("readings", "trips"),
    [
        ([(0, 7), (10, 8), (20, 9), (30, 10)], True),
        ([(0, 7), (10, 10)], True),
        ([(0, 7), (10, 99)], True),
        ([(0, 7), (10, 9)], False),
        ([(0, 7), (10, 8), (70, 9), (80, 10)], False),
        ([(0, 3)], False),
        ([(0, 7), (10, 0), (20, 2)], False),
        ([(0, 7), (10, 8), (20, 9), (-3600, 10)], False),
    ],
)
def test_three_restarts_within_a_minute_trip(readings: list[tuple[float, int]], trips: bool) -> None:
    breaker = Breaker()
    for at_s, restarts in readings:
        breaker = breaker.after_endpoints(Endpoints(ready=2, restarts=restarts, at_s=at_s))
    assert (breaker.state is BreakerState.TRIPPED) is trips
    assert breaker.finding is None or breaker.finding.symptom is Symptom.RESTARTS
    assert len(breaker.restarted_at_s) <= 3


def test_its_memory_is_bounded() -> None:
    breaker = after(calls("scsS" * 500))
    assert (len(breaker.recent.canary), len(breaker.recent.stable)) == (20, 20)


def test_saved_and_read_back_after_any_call_it_continues_identically() -> None:
    script = calls("scC" * 10 + "SSC" * 10 + "s" * 20 + "sccC" * 10 + "C" * 10)
    adapter = TypeAdapter(Breaker)
    straight = restored = Breaker()
    for outcome in script:
        straight = after([outcome], straight)
        saved = adapter.dump_json(after([outcome], restored))
        json.loads(saved, parse_constant=pytest.fail)
        restored = adapter.validate_json(saved, strict=True)
        assert restored == straight
    assert straight.state is BreakerState.TRIPPED


def test_it_agrees_with_the_oracle_on_random_stories() -> None:
    chance = Random(8)
    reached: set[str] = set()
    for _ in range(2000):
        outcomes, limits = random_case(chance)
        expected = oracle(outcomes, limits, 0.1)
        assert states_of(outcomes, limits, 0.1) == expected
        reached.update(expected)
    assert reached == {"armed", "shared", "tripped"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"failure_rate": 0.0},
        {"failure_rate": 1.1},
        {"slow_call_rate": nan},
        {"stable_share_max": -1},
        {"consecutive_failures": 0},
        {"calls_min": 0},
        {"restarts": 0},
        {"age_s_max": 0},
        {"slow_factor": 0},
        {"slow_s_min": nan},
        {"window": 9},
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BreakerLimits(**wrong)


@pytest.mark.parametrize(("at_s", "latency_s"), [(inf, 0.1), (nan, 0.1), (0.0, nan), (0.0, -1.0)])
def test_calls_without_time_are_refused(at_s: float, latency_s: float) -> None:
    with pytest.raises(ValueError, match="a call at"):
        Outcome(arm=Arm.CANARY, failed=False, latency_s=latency_s, at_s=at_s)
