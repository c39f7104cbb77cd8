"""A hostile Prometheus moves no rollout, forward or back: a real HTTP server, the real edge, the real decide().

The oddities are 27 to 37 of the catalogue of bad input. Each is told in place of an answer, for longer than a step is
held and shorter than `timeouts.stall`, to a rollout that needs the answer. An honest server beside them shows that the
same rollout does move forward on good numbers and back on bad ones.
"""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from rollout.core.machine import decide
from rollout.core.phase import Cause, Phase, State
from rollout.core.spec import RolloutSpec
from rollout.edges.prometheus import ANSWER_BYTES_MAX, PrometheusSource
from tests.fakes import FakeClock
from tests.rollout.core.worlds import NOW, seen, short_spec, state_of

SCRAPE_S = 15.0
TICK_S = 30.0
TICKS = 9  # four and a half minutes: the hold is 10 s, the deadline 10 min, the stall 5 min
RPS = 40  # of either version
BOUNDS_MS = (5, 25, 100, 1000)
ERRORS = {"name": "users", "source": "prometheus", "metric": "error-rate", "max": "1%"}
LATENCY = {"name": "slow", "source": "prometheus", "metric": "latency", "max": "1s"}
QUERY = {"name": "custom", "source": "prometheus", "query": "sum(x)", "max": 3, "failures": 2}
Json = Any
Raw = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Town:
    """What an honest Prometheus would tell: counters of 40 requests a second of each version, and a custom value."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.canary_fails = 0.0
        self.value = "1.5"
        self.odd: Callable[[str, Json], Json] = lambda query, honest: honest
        self.raw: Raw | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.raw is not None:
            return await self.raw(request)
        query = str((await request.post())["query"])
        told = self.odd(query, self.honest(query))
        return web.Response(text=told if isinstance(told, str) else json.dumps(told), content_type="application/json")

    def honest(self, query: str) -> Json:
        if query.startswith("istio_requests_total"):
            rows = [
                self.counter(RPS * share, destination_version=version, response_code=code)
                for version, fails in (("v1", 0.0), ("v3", self.canary_fails))
                for code, share in (("200", 1 - fails), ("503", fails))
            ]
            return told("matrix", rows)
        if query.startswith("istio_request_duration_milliseconds_bucket"):
            edges = [*map(str, BOUNDS_MS), "+Inf"]
            return told(
                "matrix", [self.counter(RPS, destination_version=v, le=le) for v in ("v1", "v3") for le in edges]
            )
        return told("vector", [{"metric": {"pod": "a"}, "value": [self.clock.now(), self.value]}])

    def counter(self, per_s: float, **labels: str) -> Json:
        newest = math.floor(self.clock.now() / SCRAPE_S) * SCRAPE_S
        times = [newest - back * SCRAPE_S for back in (4, 3, 2, 1, 0)]
        values = [[at, f"{round((at - NOW + 3600) * per_s)}"] for at in times]
        return {"metric": {"instance": "a", **labels}, "values": values}


def told(kind: str, result: Json, **more: Json) -> Json:
    return {"status": "success", **more, "data": {"resultType": kind, "result": result}}


@pytest_asyncio.fixture
async def town() -> AsyncIterator[tuple[Town, PrometheusSource]]:
    town, app = Town(), web.Application()
    app.router.add_post("/api/v1/query", town.handle)
    async with TestServer(app) as server:
        source = PrometheusSource(str(server.make_url("/")), town.clock)
        source._session._timeout = aiohttp.ClientTimeout(total=0.2)  # for the server that hangs
        yield town, source
        await source.close()


async def played(
    town: Town, source: PrometheusSource, *checks: Json, ticks: int = TICKS
) -> tuple[RolloutSpec, list[State]]:
    """The first step of a rollout, looked at every thirty seconds until it is over, at most so often."""
    spec = short_spec(load=None, settle="0s", checks=list(checks))
    state, states = state_of(spec), list[State]()
    for _ in range(ticks):
        town.clock.time += TICK_S
        view = await source.observe(spec, since=state.evidence.prometheus.cursor or state.started)
        state = decide(spec, state, seen(50, load=None, metrics=view), town.clock.now()).state
        states.append(state)
        if (state.phase, state.step) != (Phase.PROGRESSING, 0):
            break
    return spec, states


def is_unmoved(states: list[State]) -> bool:
    return len(states) == TICKS and all((one.phase, one.step) == (Phase.PROGRESSING, 0) for one in states)


@pytest.mark.asyncio
@pytest.mark.parametrize("check", [ERRORS, LATENCY, QUERY], ids=lambda check: check["name"])
async def test_an_honest_one_moves_it_forward(town: tuple[Town, PrometheusSource], check: Json) -> None:
    _, states = await played(*town, check)

    assert (states[-1].step, states[-1].cause) == (1, Cause.STEP_PASSED)


@pytest.mark.asyncio
async def test_an_honest_one_moves_it_back(town: tuple[Town, PrometheusSource]) -> None:
    town[0].canary_fails, town[0].value = 0.2, "9"

    for check in (ERRORS, QUERY):
        _, states = await played(*town, check)
        assert (states[-1].phase, states[-1].cause) == (Phase.ROLLING_BACK, Cause.CHECK_FAILED)


def every_value(text: Any) -> Callable[[str, Json], Json]:
    """The honest answer with another value in each sample."""

    def odd(_: str, honest: Json) -> Json:
        for row in honest["data"]["result"]:
            if "value" in row:
                row["value"][1] = text
            else:
                row["values"] = [[at, text] for at, _ in row["values"]]
        return honest

    return odd


def every_time(shift_s: float) -> Callable[[str, Json], Json]:
    def odd(_: str, honest: Json) -> Json:
        for row in honest["data"]["result"]:
            for point in [row["value"]] if "value" in row else row["values"]:
                point[0] += shift_s
        return honest

    return odd


def instead(answer: Json) -> Callable[[str, Json], Json]:
    return lambda _, honest: answer


def more(**keys: Json) -> Callable[[str, Json], Json]:
    return lambda _, honest: {**honest, **keys}


ODDITIES: dict[str, Callable[[str, Json], Json]] = {
    "27 NaN": every_value("NaN"),
    "28 +Inf": every_value("+Inf"),
    "28 -Inf": every_value("-Inf"),
    "29 nothing": lambda _, honest: told(honest["data"]["resultType"], []),
    "29 series without samples": lambda _, honest: told(
        honest["data"]["resultType"], [{"metric": row["metric"], "values": []} for row in honest["data"]["result"]]
    ),
    "30 string": instead(told("string", [NOW, "1"])),
    "30 unknown type": instead(told("surprise", [])),
    "30 matrix for vector and vector for matrix": lambda _, honest: told(
        {"matrix": "vector", "vector": "matrix"}[honest["data"]["resultType"]], honest["data"]["result"]
    ),
    "30 no series": lambda _, honest: told(honest["data"]["resultType"], [1, "x", None]),
    "32 1e308": every_value("1e308"),
    "32 below zero": every_value("-5000"),
    "32 1e-320": every_value("1e-320"),
    "32 hexadecimal": every_value("0x10"),
    "32 1_000": every_value("1_000"),
    "32 empty": every_value(""),
    "32 null": every_value(None),
    "32 17 digits": every_value("12345678901234567"),
    "33 ten minutes old": every_time(-600),
    "33 from the future": every_time(600),
    "34 status error": instead({"status": "error", "errorType": "execution", "error": "boom"}),
    "34 login page": instead("<html>log in</html>"),
    "35 a million brackets": instead("[" * 1_000_000),
    "36 partial": more(warnings=["a store is gone"]),
    "36 the same scrape for ever": lambda _, honest: honest,  # the test stops the clock of the town
}
# A custom value may be below zero; and the last oddity is one of counters.
CASES = [
    (name, check)
    for name in ODDITIES
    for check in (ERRORS, LATENCY, QUERY)
    if check is not QUERY or name not in {"32 below zero", "36 the same scrape for ever"}
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("name", "check"), CASES, ids=[f"{name}, {check['name']}" for name, check in CASES])
async def test_no_oddity_moves_it(town: tuple[Town, PrometheusSource], name: str, check: Json) -> None:
    scene, source = town
    scene.odd = ODDITIES[name]
    if name.startswith("36 the same"):
        frozen = Town()
        frozen.canary_fails = 1.0  # whatever it says of the time before
        scene.odd = lambda query, _: frozen.honest(query)

    spec, states = await played(scene, source, check)

    assert is_unmoved(states), f"{states[-1].phase} by {states[-1].cause}: {states[-1].detail}"
    assert not states[-1].evidence.values
    assert states[-1].evidence.prometheus.canary.requests == 0
    assert states[-1].evidence.prometheus.blind_since is not None
    assert spec.plan.timeouts.stall > TICK_S * TICKS


@pytest.mark.asyncio
async def test_a_custom_query_with_two_series_moves_nothing(town: tuple[Town, PrometheusSource]) -> None:
    """31: the last one of them is not the answer."""
    good, bad = ({"metric": {"pod": pod}, "value": [NOW, value]} for pod, value in (("a", "1"), ("b", "99")))
    for rows in ([good, bad], [bad, good]):
        town[0].odd = instead(told("vector", rows))
        _, states = await played(*town, QUERY)
        assert is_unmoved(states)


async def refused(_: web.Request) -> web.StreamResponse:
    return web.json_response({"status": "error", "errorType": "bad_data", "error": "parse error"}, status=422)


async def unavailable(_: web.Request) -> web.StreamResponse:
    return web.Response(status=503, text="overloaded")


async def elsewhere(_: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("http://127.0.0.1:9/login")


async def hanging(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(0.4)
    return web.Response()


async def endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(ANSWER_BYTES_MAX // 2**20 + 2):
        await answer.write(b" " * 2**20)
    return answer


async def cut_short(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": "1000"})
    await answer.prepare(request)
    await answer.write(b'{"status": "success"')
    assert request.transport is not None
    request.transport.close()
    return answer


@pytest.mark.asyncio
@pytest.mark.parametrize("raw", [refused, unavailable, elsewhere, hanging, endless, cut_short])
async def test_no_odd_server_moves_it(town: tuple[Town, PrometheusSource], raw: Raw) -> None:
    """34 and 35."""
    town[0].raw = raw

    is_slow = raw in {hanging, endless}
    _, states = await played(*town, ERRORS, QUERY, ticks=3 if is_slow else TICKS)

    assert is_unmoved([*states, *states, *states] if is_slow else states)


@pytest.mark.asyncio
async def test_a_reset_between_scrapes_invents_nothing_and_scrapes_told_twice_count_once(
    town: tuple[Town, PrometheusSource],
) -> None:
    """36: the pods restart after a minute, and every answer tells five scrapes of which two are new."""
    scene, source = town
    restart = NOW + 60

    def reset(_: str, honest: Json) -> Json:
        for row in honest["data"]["result"]:
            lost = (restart - NOW + 3600) * RPS if row["metric"]["response_code"] == "200" else 0
            row["values"] = [[at, f"{float(v) - lost if at > restart else float(v):g}"] for at, v in row["values"]]
        return honest

    scene.odd = reset
    _, states = await played(scene, source, ERRORS | {"minRequests": 1_000_000})

    kept = states[-1].evidence.prometheus
    assert kept.canary.requests == kept.stable.requests == RPS * (kept.cursor - NOW)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("edges", "says"),
    [
        (["5", "25", "abc", "+Inf"], "le='abc'"),
        (["5", "25", "100", "1000"], "no bucket le=+Inf"),
    ],
)
async def test_buckets_that_make_no_histogram_move_nothing(
    town: tuple[Town, PrometheusSource], edges: list[str], says: str
) -> None:
    """37."""
    scene, source = town
    scene.odd = lambda query, honest: (
        told("matrix", [scene.counter(RPS, destination_version=v, le=le) for v in ("v1", "v3") for le in edges])
        if "duration" in query
        else honest
    )

    spec, states = await played(scene, source, LATENCY)

    assert is_unmoved(states)
    assert says in (await source.observe(spec, NOW)).trouble


@pytest.mark.asyncio
async def test_buckets_that_fall_move_nothing(town: tuple[Town, PrometheusSource]) -> None:
    """37: fewer requests below 100 ms than below 25 ms."""
    scene, source = town
    rate = {"5": 30, "25": 40, "100": 10, "1000": 40, "+Inf": 40}
    scene.odd = lambda query, honest: (
        told("matrix", [scene.counter(n, destination_version=v, le=le) for v in ("v1", "v3") for le, n in rate.items()])
        if "duration" in query
        else honest
    )

    _, states = await played(scene, source, LATENCY)

    assert is_unmoved(states)
