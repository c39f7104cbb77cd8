"""Prometheus, plain and hostile: raw samples from a real HTTP server, and every oddity is no evidence."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from rollout.core.observation import MetricsView
from rollout.edges.prometheus import ANSWER_BYTES_MAX, NoPrometheus, PrometheusSource, filled
from tests.fakes import FakeClock
from tests.rollout.core.worlds import NOW, spec

SPEC = spec(
    checks=[
        {"name": "users", "source": "prometheus", "metric": "error-rate", "max": "1%"},
        {"name": "slow", "source": "prometheus", "metric": "latency", "max": "1s"},
        {"name": "custom", "source": "prometheus", "query": 'sum(x{version="{{ .version }}"})', "max": 3},
    ]
)
Answer = Callable[[str], Any]


def matrix(*rows: tuple[dict[str, str], list[Any]]) -> dict[str, Any]:
    result = [{"metric": labels, "values": values} for labels, values in rows]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


def vector(*samples: Any) -> dict[str, Any]:
    result = [{"metric": {"pod": str(i)}, "value": sample} for i, sample in enumerate(samples)]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def good(query: str) -> Any:
    if query.startswith("istio_requests_total"):
        return matrix(({"destination_version": "v3", "response_code": "200"}, [[NOW - 1, "5"], [NOW, "9"]]))
    if query.startswith("istio_request_duration"):
        return matrix(({"le": "5"}, [[NOW, "1"]]), ({"le": "+Inf"}, [[NOW, "2"]]))
    return vector([NOW, "1.5"])


class Hostile:
    """A small Prometheus that answers what a test tells it."""

    def __init__(self) -> None:
        self.answer: Answer = good
        self.raw: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
        self.queries: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.raw is not None:
            return await self.raw(request)
        query = str((await request.post())["query"])
        self.queries.append(query)
        return web.json_response(
            self.answer(query), dumps=lambda value: value if isinstance(value, str) else json.dumps(value)
        )


@pytest_asyncio.fixture
async def hostile() -> AsyncIterator[tuple[Hostile, PrometheusSource]]:
    fake = Hostile()
    app = web.Application()
    app.router.add_post("/prom/api/v1/query", fake.handle)
    async with TestServer(app) as server:
        source = PrometheusSource(str(server.make_url("/prom/")), FakeClock())
        yield fake, source
        await source.close()


@pytest.mark.asyncio
async def test_raw_samples_of_users_requests_and_a_custom_value_come_back(
    hostile: tuple[Hostile, PrometheusSource],
) -> None:
    _, source = hostile

    view = await source.observe(SPEC, since=NOW - 30)

    assert view.trouble == ""
    assert view.requests is not None
    assert view.requests[0].points == ((NOW - 1, 5.0), (NOW, 9.0))
    assert view.buckets is not None
    assert len(view.buckets) == 2
    assert view.values == {"custom": (NOW, 1.5)}


@pytest.mark.asyncio
async def test_the_queries_leave_synthetic_load_out_and_reach_back_far_enough(
    hostile: tuple[Hostile, PrometheusSource],
) -> None:
    fake, source = hostile

    await source.observe(SPEC, since=NOW - 30)

    assert fake.queries[0] == (
        'istio_requests_total{reporter=~"source|destination",destination_service_name="reviews",'
        'destination_service_namespace="bookinfo",source_workload!="rollout-load"}[90s]'
    )
    assert fake.queries[2] == 'sum(x{version="v3"})'


@pytest.mark.asyncio
async def test_what_no_check_needs_is_not_asked(hostile: tuple[Hostile, PrometheusSource]) -> None:
    fake, source = hostile

    only_load = spec(checks=[{"name": "e", "source": "load", "metric": "error-rate", "max": "1%"}])
    assert await source.observe(only_load, since=NOW) == MetricsView()
    assert fake.queries == []


@pytest.mark.asyncio
async def test_a_scalar_is_a_value_too_and_an_empty_vector_is_none(hostile: tuple[Hostile, PrometheusSource]) -> None:
    fake, source = hostile
    fake.answer = lambda query: (
        {"status": "success", "data": {"resultType": "scalar", "result": [NOW, "7"]}} if "sum" in query else good(query)
    )
    assert (await source.observe(SPEC, NOW)).values == {"custom": (NOW, 7.0)}

    fake.answer = lambda query: vector() if "sum" in query else good(query)
    view = await source.observe(SPEC, NOW)
    assert view.values == {"custom": None}
    assert view.trouble == ""


ODD_VALUES: list[tuple[Any, str]] = [
    (vector([NOW, "NaN"]), "the value is nan"),
    (vector([NOW, "+Inf"]), "the value is inf"),
    (vector([NOW, "-Inf"]), "the value is -inf"),
    (vector([NOW, "1e308"]), "out of all range"),
    (vector([NOW, "0x10"]), "is not a sample"),
    (vector([NOW, ""]), "is not a sample"),
    (vector([NOW, None]), "is not a sample"),
    (vector(None), "is not a sample"),
    (vector([NOW, "1_000"]), "is not a sample"),
    (vector([NOW, 7]), "is not a sample"),
    (vector([NOW, "1e-320"]), "out of all range"),
    (vector([NOW, "12345678901234567"]), "out of all range"),
    (vector([NOW]), "is not a sample"),
    (vector(["soon", "1"]), "is not a sample"),
    (vector([NOW + 3600, "1"]), "from the future"),
    (vector([-1e999, "1"]), "from before all time"),
    ({"status": "success", "data": {"resultType": "vector", "result": [7]}}, "something that is no series"),
    (vector([NOW, "1"], [NOW, "2"]), "2 series instead of one: {'pod': '0'}, {'pod': '1'}"),
    (matrix(({}, [[NOW, "1"]])), "the query gives a matrix, expected a vector or scalar"),
    ({"status": "success", "data": {"resultType": "string", "result": [NOW, "x"]}}, "gives a string"),
    ({"status": "success", "data": {"resultType": "surprise", "result": []}}, "gives a surprise"),
    ({"status": "success", "data": None}, "gives a NoneType"),
    ({"status": "success", "warnings": ["some store is gone"], **vector([NOW, "1"])}, "partial answer: some store"),
    ({"status": "error", "errorType": "bad_data", "error": "parse error"}, "bad_data: parse error"),
    ([], "not with JSON"),
    ("<html>log in</html>", "not with JSON"),
    ("[" * 100_000, "not with JSON"),
    ('{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}', "not with JSON"),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("odd", "says"), ODD_VALUES, ids=[says[:30] for _, says in ODD_VALUES])
async def test_every_odd_value_is_no_evidence_and_says_why(
    hostile: tuple[Hostile, PrometheusSource], odd: Any, says: str
) -> None:
    fake, source = hostile
    fake.answer = lambda query: odd if "sum" in query else good(query)

    view = await source.observe(SPEC, NOW)

    assert view.values == {"custom": None}
    assert says in view.trouble
    assert view.requests is not None  # the others are not harmed


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("odd", "says"),
    [
        (vector([NOW, "1"]), "gives a vector, expected a matrix"),
        (matrix(({"le": "5"}, [[NOW, "NaN"]])), "the value is nan"),
        (matrix(({"le": "+Inf"}, [[NOW, "-5"]])), "is below zero"),
        (matrix(({"le": "+Inf"}, [[NOW, "5"], [NOW - 1, "5"]])), "not in order"),
        (matrix(({"le": "+Inf"}, cast(list[Any], "much"))), "values of a series is not a list"),
        ({"status": "success", "data": {"resultType": "matrix", "result": [{"values": []}]}}, "has no labels"),
        (matrix(({"le": "abc"}, [[NOW, "1"]])), "le='abc'"),
        (matrix(({"le": "5"}, [[NOW, "1"]])), "no bucket le=+Inf"),
        (matrix(({"le": "5"}, [[NOW, "3"]]), ({"le": "+Inf"}, [[NOW, "2"]])), "counts fewer"),
        (matrix(*[({"le": str(i)}, [[NOW, "1"]] * 1001) for i in range(100)]), "more than 100000 samples"),
    ],
)
async def test_odd_buckets_are_no_evidence_of_latency(
    hostile: tuple[Hostile, PrometheusSource], odd: Any, says: str
) -> None:
    fake, source = hostile
    fake.answer = lambda query: odd if "duration" in query else good(query)

    view = await source.observe(SPEC, NOW)

    assert view.buckets is None
    assert says in view.trouble


def native(*points: Any) -> Answer:
    """A Prometheus that has no classic buckets any more."""
    row = {"metric": {"destination_version": "v3"}, "histograms": list(points)}
    answer = {"status": "success", "data": {"resultType": "matrix", "result": [row]}}
    return lambda query: good(query) if "duration" not in query else matrix() if "_bucket" in query else answer


def told(at: float, count: str, *buckets: Any) -> list[Any]:
    return [at, {"count": count, "sum": "1", "buckets": list(buckets)}]


@pytest.mark.asyncio
async def test_a_native_histogram_is_read_as_cumulative_buckets(hostile: tuple[Hostile, PrometheusSource]) -> None:
    fake, source = hostile
    fake.answer = native(told(NOW - 1, "3", [0, "1", "2", "3"]), told(NOW, "9", [0, "1", "2", "4"], [0, "4", "8", "5"]))

    view = await source.observe(SPEC, NOW)

    assert view.trouble == ""
    assert view.buckets is not None
    assert {one.labels["le"]: one.points for one in view.buckets} == {
        "2.0": ((NOW - 1, 3), (NOW, 4)),
        "8.0": ((NOW - 1, 3), (NOW, 9)),
        "+Inf": ((NOW - 1, 3), (NOW, 9)),
    }
    assert "_bucket" in fake.queries[1]
    assert fake.queries[2].startswith("istio_request_duration_milliseconds{")


@pytest.mark.asyncio
async def test_without_any_histogram_there_is_no_trouble_and_no_evidence(
    hostile: tuple[Hostile, PrometheusSource],
) -> None:
    fake, source = hostile
    fake.answer = lambda query: matrix() if "duration" in query else good(query)

    view = await source.observe(SPEC, NOW)

    assert (view.buckets, view.trouble) == ((), "")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("point", "says"),
    [
        ([NOW, "7"], "is not a native histogram"),
        (told(NOW, "9", [0, "1", "2"]), "is not a native histogram"),
        (told(NOW, "9", [0, "1", "2", "NaN"]), "a bucket of a native histogram is nan"),
        (told(NOW, "-9"), "is below zero"),
        (told(NOW, "NaN"), "the value is nan"),
        (told(NOW, "9", [0, "1", "4", "1"], [0, "2", "8", "1"]), "changed its buckets: one from 2 to 8"),
        (told(NOW, "1", [0, "1", "2", "9"]), "le=inf counts fewer"),
    ],
)
async def test_odd_native_histograms_are_no_evidence(
    hostile: tuple[Hostile, PrometheusSource], point: Any, says: str
) -> None:
    fake, source = hostile
    fake.answer = native(point)

    view = await source.observe(SPEC, NOW)

    assert view.buckets is None
    assert says in view.trouble


@pytest.mark.asyncio
async def test_a_redirect_is_not_followed(hostile: tuple[Hostile, PrometheusSource]) -> None:
    fake, source = hostile

    async def redirect(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("https://sso.example/login")

    fake.raw = redirect
    assert "redirects to https://sso.example/login: is it a log-in page?" in (await source.observe(SPEC, NOW)).trouble


@pytest.mark.asyncio
async def test_an_answer_without_end_is_cut(hostile: tuple[Hostile, PrometheusSource]) -> None:
    fake, source = hostile

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(ANSWER_BYTES_MAX // 65536 + 2):
            await answer.write(b" " * 65536)
        return answer

    fake.raw = endless
    assert "larger than" in (await source.observe(SPEC, NOW)).trouble


@pytest.mark.asyncio
async def test_nobody_there_is_trouble_with_the_address(hostile: tuple[Hostile, PrometheusSource]) -> None:
    gone = PrometheusSource("http://127.0.0.1:9", FakeClock())

    view = await gone.observe(SPEC, NOW)
    await gone.close()

    assert "127.0.0.1:9" in view.trouble
    assert view.requests is None


@pytest.mark.asyncio
async def test_a_server_that_hangs_is_trouble_after_the_timeout(
    hostile: tuple[Hostile, PrometheusSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    import aiohttp

    fake, source = hostile
    source._session._timeout = aiohttp.ClientTimeout(total=0.05)

    async def hang(request: web.Request) -> web.StreamResponse:
        import asyncio

        await asyncio.sleep(0.5)
        return web.Response()

    fake.raw = hang
    assert "no answer from" in (await source.observe(SPEC, NOW)).trouble


@pytest.mark.asyncio
async def test_without_a_prometheus_one_is_told_how_to_get_one() -> None:
    assert "--prometheus" in (await NoPrometheus().observe(SPEC, NOW)).trouble


def test_templates_fill_what_they_know_and_leave_the_rest() -> None:
    query = 'x{a="{{ .version }}",b="{{stable}}",c="{{ .service }}.{{ .namespace }}",d="{{ .other }}"}'

    assert filled(query, SPEC) == 'x{a="v3",b="v1",c="reviews.bookinfo",d="{{ .other }}"}'
