"""Scenarios: the draw by the numbers, and the scenario being played while requests wait."""

import asyncio
import math
import random

import pytest

from rollout.demo.scenarios import (
    HEALTHY,
    SCENARIOS,
    Deed,
    Fate,
    Misbehaviour,
    Scenario,
    ScenarioName,
    draw,
    scenario_named,
)

DRAWS = 10_000


def fates(name: str, *, age_s: float = 1e6) -> list[Fate]:
    chance = random.Random(name)
    return [draw(SCENARIOS[ScenarioName(name)], age_s=age_s, chance=chance) for _ in range(DRAWS)]


def assert_share(seen: int, share: float) -> None:
    """Within five standard deviations of the binomial distribution: by chance once in two million."""
    assert abs(seen - DRAWS * share) <= 5 * math.sqrt(DRAWS * share * (1 - share)), f"{seen} of {DRAWS}"


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("healthy", 0.0),
        ("errors-5", 0.05),
        ("errors-20", 0.2),
        ("errors-100", 1.0),
        ("latent", 0.2),
        ("both-bad", 0.2),
        ("slow", 0.0),
        ("slow-p99", 0.0),
    ],
)
def test_as_many_requests_fail_as_the_scenario_says(name: str, share: float) -> None:
    assert_share(sum(fate.deed is Deed.FAIL for fate in fates(name)), share)


def test_two_percent_are_eight_times_as_slow() -> None:
    factors = [fate.work_factor for fate in fates("slow-p99")]
    assert set(factors) == {1.0, 8}
    assert_share(factors.count(8), 0.02)


@pytest.mark.parametrize(("name", "deed"), [("hang", Deed.HANG), ("crash", Deed.CRASH)])
def test_hang_and_crash_hit_every_request(name: str, deed: Deed) -> None:
    assert {fate.deed for fate in fates(name)} == {deed}


def test_slow_adds_half_a_second_to_every_answer() -> None:
    assert {(fate.deed, fate.added_s) for fate in fates("slow")} == {(Deed.ANSWER, 0.5)}


def test_every_scenario_of_the_enumeration_exists_and_says_what_it_does() -> None:
    assert set(SCENARIOS) == set(ScenarioName)
    assert all(scenario.says for scenario in SCENARIOS.values())


@pytest.mark.parametrize(("age_s", "share"), [(59.999, 0.0), (60.0, 0.2)])
def test_latent_is_good_for_a_minute_and_not_longer(age_s: float, share: float) -> None:
    assert_share(sum(fate.deed is Deed.FAIL for fate in fates("latent", age_s=age_s)), share)


def test_only_the_shared_outage_hits_the_stable_version() -> None:
    assert [scenario.name for scenario in SCENARIOS.values() if scenario.hits_stable] == ["both-bad"]


def test_the_time_of_good_behaviour_may_be_another() -> None:
    assert scenario_named("latent").good_for_s == 60
    assert scenario_named("latent", 5.0).good_for_s == 5
    assert scenario_named("hang", 5.0).hangs


def test_an_unknown_scenario_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(ValueError, match="no scenario is named 'sad'; there are healthy, .*both-bad"):
        scenario_named("sad")


@pytest.mark.parametrize(
    "wrong",
    [
        {"error_share": 1.1},
        {"slow_share": -0.1},
        {"good_for_s": -1.0},
        {"good_for_s": math.inf},
        {"good_for_s": math.nan},
    ],
)
def test_numbers_that_mean_nothing_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Scenario(name=ScenarioName.HEALTHY, says="", **wrong)  # type: ignore[arg-type]  # floats, all of them


@pytest.mark.asyncio
async def test_the_age_of_a_scenario_counts_from_when_it_was_chosen() -> None:
    now = [1000.0]
    playing = Misbehaviour(HEALTHY, chance=random.Random(1), now_s=lambda: now[0])
    now[0] = 2000.0
    playing.play(scenario_named("hang", 10.0))

    assert playing.fate().deed is Deed.ANSWER
    now[0] = 2010.0
    assert playing.fate().deed is Deed.HANG


@pytest.mark.asyncio
async def test_another_scenario_lets_go_of_all_that_hang_and_of_none_that_come_later() -> None:
    playing = Misbehaviour(scenario_named("hang"), chance=random.Random(1), now_s=lambda: 0.0)
    async with asyncio.timeout(1), asyncio.TaskGroup() as group:
        hanging = [group.create_task(playing.wait_released()) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in hanging)
        playing.play(HEALTHY)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await playing.wait_released()
