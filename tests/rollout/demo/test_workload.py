"""One workload: its name, its work, and each fate carried out on a real socket."""

import asyncio
import random
import re
import statistics
import time
from dataclasses import replace
from typing import Never

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from rollout.demo.scenarios import HEALTHY, Misbehaviour, Scenario, scenario_named
from rollout.demo.workload import Performance, Work, workload_app, workload_chance, workload_named
from tests.rollout.demo.stage import bookinfo


class Crashed(Exception):
    """Stands for the end of the process; test_program.py lets a real one end."""


def crash() -> Never:
    raise Crashed


def client_of(scenario: Scenario, *, work_ms: float = 0.0) -> TestClient[web.Request, web.Application]:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    performance = Performance(
        workload=workload_named("reviews", "v3"),
        misbehaviour=Misbehaviour(scenario, chance=random.Random(1), now_s=lambda: 0.0),
        work=Work(median_s=work_ms / 1000, chance=random.Random(1)),
        crash=crash,
    )
    return TestClient(TestServer(workload_app(performance, [web.get("/hello", hello)], health="fine")))


def test_a_pod_is_named_like_a_pod_and_the_same_at_every_start() -> None:
    workload = workload_named("reviews", "v3")
    assert workload.name == "reviews-v3"
    assert re.fullmatch(r"reviews-v3-[a-z0-9]{10}-[a-z0-9]{5}", workload.pod)
    assert workload == workload_named("reviews", "v3")
    assert workload.pod != workload_named("reviews", "v3", seed=2).pod


def test_each_purpose_draws_on_its_own() -> None:
    first = {workload_chance(name, use, seed).random() for name in "ab" for use in "cd" for seed in (None, 0, 1)}
    assert len(first) == 12


def test_work_is_skewed_about_its_median() -> None:
    work = Work(median_s=0.008, chance=random.Random(1))
    drawn = [work.draw_s() for _ in range(10_000)]
    assert statistics.median(drawn) == pytest.approx(0.008, rel=0.02)
    assert sorted(drawn)[9900] == pytest.approx(0.008 * 1.79, rel=0.05)  # exp(2.326 sigma)


def test_no_work_takes_no_time() -> None:
    assert Work(median_s=0.0, chance=random.Random(1)).draw_s() == 0.0


@pytest.mark.parametrize("median_s", [-0.001, 61.0, float("nan")])
def test_work_nobody_waits_for_is_refused(median_s: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 60"):
        Work(median_s=median_s, chance=random.Random(1))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("scenario", "path", "status"),
    [("healthy", "/hello", 200), ("healthy", "/nowhere", 404), ("errors-100", "/hello", 500), ("hang", "/health", 200)],
)
async def test_every_response_says_who_answered(scenario: str, path: str, status: int) -> None:
    async with client_of(scenario_named(scenario)) as client, client.get(path) as response:
        assert response.status == status
        assert response.headers["x-app-version"] == "v3"
        assert response.headers["x-app-pod"] == workload_named("reviews", "v3").pod


@pytest.mark.asyncio
@pytest.mark.parametrize("scenario", ["errors-100", "hang", "crash"])
async def test_health_stays_good_whatever_happens(scenario: str) -> None:
    async with client_of(scenario_named(scenario)) as client, client.get("/health") as response:
        assert await response.json() == {"status": "fine"}


@pytest.mark.asyncio
async def test_an_answer_takes_at_least_the_work() -> None:
    async with client_of(HEALTHY, work_ms=60) as client:
        started_s = time.monotonic()
        await client.get("/hello")
        assert time.monotonic() - started_s > 0.03  # 60 ms less 2.7 sigma


@pytest.mark.asyncio
async def test_the_work_runs_while_the_handler_waits() -> None:
    async def wait(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.25)
        return web.Response()

    performance = Performance(
        workload=workload_named("reviews", "v3"),
        misbehaviour=Misbehaviour(HEALTHY, chance=random.Random(1), now_s=lambda: 0.0),
        work=Work(median_s=0.25, chance=random.Random(1)),
    )
    app = workload_app(performance, [web.get("/", wait)], health="")
    async with TestClient(TestServer(app)) as client:
        started_s = time.monotonic()
        await client.get("/")
        assert time.monotonic() - started_s < 0.45  # one after the other: 0.5 s and more


@pytest.mark.asyncio
async def test_slow_is_half_a_second_slower() -> None:
    async with client_of(scenario_named("slow")) as client:
        started_s = time.monotonic()
        async with client.get("/hello") as response:
            assert await response.text() == "hello"
        assert 0.5 <= time.monotonic() - started_s < 0.9


@pytest.mark.asyncio
async def test_the_slow_ones_take_a_multiple_of_the_work() -> None:
    always = replace(scenario_named("slow-p99"), slow_share=1.0)
    async with client_of(always, work_ms=30) as client:
        started_s = time.monotonic()
        await client.get("/hello")
        assert time.monotonic() - started_s > 0.12  # 8 x 30 ms less 2.7 sigma; once the work takes no 60 ms


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("scenario", "fewest", "most"),
    [
        (scenario_named("errors-5"), 1, 34),  # 15 +- 5 sigma
        (scenario_named("errors-20"), 25, 95),  # 60 +- 5 sigma
        (scenario_named("both-bad"), 25, 95),
        (scenario_named("latent", 0.0), 25, 95),
        (scenario_named("latent"), 0, 0),  # still in its good minute
        (scenario_named("healthy"), 0, 0),
    ],
    ids=["errors-5", "errors-20", "both-bad", "latent-later", "latent-at-first", "healthy"],
)
async def test_so_many_of_300_answers_are_errors(scenario: Scenario, fewest: int, most: int) -> None:
    async with client_of(scenario) as client:
        statuses = []
        for _ in range(300):
            async with client.get("/hello") as response:
                statuses.append(response.status)
    assert fewest <= statuses.count(500) <= most
    assert statuses.count(200) + statuses.count(500) == 300


@pytest.mark.asyncio
async def test_a_shared_outage_hits_every_version_of_reviews_and_nothing_else() -> None:
    async with bookinfo("--all") as stage:
        stage.play("both-bad")
        failing = set()
        for workload in stage.urls:
            service = workload[: -len("-v1")]
            path = "/productpage" if service == "productpage" else f"/{service}/0"
            if 500 in [(await stage.get(workload, path))[0] for _ in range(50)]:  # by chance none: once in 70,000
                failing.add(workload)
    assert failing == {"reviews-v1", "reviews-v2", "reviews-v3"}


@pytest.mark.asyncio
async def test_who_hangs_is_reset_and_never_answered_when_the_scenario_changes() -> None:
    async with bookinfo("--service", "ratings") as stage:
        stage.play("hang")
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            hanging = group.create_task(outcome(stage.session, stage.urls["ratings-v1"] + "/ratings/0"))
            await asyncio.sleep(0.05)
            assert not hanging.done()
            stage.play("healthy")
        assert hanging.result() == "ServerDisconnectedError"
        assert (await stage.get("ratings-v1", "/ratings/0"))[0] == 200


@pytest.mark.asyncio
async def test_who_hangs_does_not_hold_up_the_shutdown() -> None:
    async with asyncio.timeout(5), aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        async with bookinfo("--service", "ratings") as stage:
            stage.play("hang")
            hanging = group.create_task(outcome(session, stage.urls["ratings-v1"] + "/ratings/0"))
            await asyncio.sleep(0.05)
            stopping_s = time.monotonic()
        assert time.monotonic() - stopping_s < 1  # requests that are worked on may take FINISH_S
    assert hanging.result() == "ServerDisconnectedError"


async def outcome(session: aiohttp.ClientSession, url: str) -> str:
    """What became of a request; a POST, because the client sends a GET that was reset once more."""
    try:
        async with session.post(url, data="{}"):
            return "answered"
    except aiohttp.ClientError as failing:
        return type(failing).__name__
