"""Envoy's admin interface over HTTP, well and badly behaved."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from rollout.mesh.admin import Answered, EnvoyAdmin
from rollout.ports import Unavailable
from tests.rollout.mesh.envoys import FakeEnvoy

pytestmark = pytest.mark.asyncio
Pair = tuple[FakeEnvoy, EnvoyAdmin]


@pytest_asyncio.fixture
async def envoy() -> AsyncIterator[Pair]:
    fake = FakeEnvoy()
    async with TestServer(fake.app()) as server:
        admin = EnvoyAdmin(f"127.0.0.1:{server.port}")
        yield fake, admin
        await admin.close()


async def test_the_routes_it_holds_come_with_the_version_of_their_file(envoy: Pair) -> None:
    fake, admin = envoy
    fake.routes = {"a.x": ("v-1", {"name": "a.x", "virtual_hosts": []}), "b.x": ("v-2", {"name": "b.x"})}

    held = await admin.routes()

    assert {name: found.version for name, found in held.items()} == {"a.x": "v-1", "b.x": "v-2"}
    assert held["a.x"].config["virtual_hosts"] == []


async def test_a_route_that_is_not_there_yet_is_left_out(envoy: Pair) -> None:
    fake, admin = envoy
    fake.dump = {"configs": [{"version_info": "1", "last_updated": "now"}]}
    assert await admin.routes() == {}

    fake.dump = {}
    assert await admin.routes() == {}


async def test_requests_are_counted_by_their_labels(envoy: Pair) -> None:
    fake, admin = envoy
    fake.stats = (
        "# TYPE istio_requests_total counter\n"
        'istio_requests_total{reporter="source",destination_subset="v3"} 12\n'
        'istio_requests_total{reporter="destination",note="say \\"}, {\\" x"} 1.5e+06\n'
        "some_other_total 3\n"
    )

    assert await admin.answered() == [
        Answered(labels={"reporter": "source", "destination_subset": "v3"}, count=12),
        Answered(labels={"reporter": "destination", "note": 'say \\"}, {\\" x'}, count=1_500_000),
    ]


async def test_only_updates_that_were_refused_are_refusals(envoy: Pair) -> None:
    fake, admin = envoy
    fake.refusals = (
        "http.inbound.rds.productpage-v1.bookinfo.update_rejected: 0\n"
        "http.outbound.rds.reviews-v2.bookinfo.update_rejected: 13\n"
    )

    assert await admin.refusals() == {"reviews-v2.bookinfo": 13}


@pytest.mark.parametrize(
    ("status", "text", "is_ready"),
    [(200, "LIVE\n", True), (503, "PRE_INITIALIZING\n", False), (200, "DRAINING", False)],
)
async def test_it_is_ready_when_it_says_that_it_is_live(envoy: Pair, status: int, text: str, is_ready: bool) -> None:
    fake, admin = envoy
    fake.ready = (status, text)

    assert await admin.is_ready() is is_ready


async def test_an_envoy_that_is_not_there_is_unavailable_by_name_and_not_ready() -> None:
    admin = EnvoyAdmin("127.0.0.1:9")
    try:
        for ask in (admin.routes, admin.answered, admin.refusals):
            with pytest.raises(Unavailable, match=r"Envoy at 127\.0\.0\.1:9: "):
                await ask()
        assert not await admin.is_ready()
    finally:
        await admin.close()


async def test_an_error_status_is_unavailable(envoy: Pair) -> None:
    fake, admin = envoy
    fake.broken = lambda request: web.Response(status=500, text="oops")

    with pytest.raises(Unavailable, match="answers 500 to /config_dump"):
        await admin.routes()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", "{"),
        ("text/html", "<html>"),
        ("application/json", "[]"),
        ("application/json", '{"configs": 3}'),
    ],
)
async def test_an_answer_that_is_not_envoys_is_unavailable(envoy: Pair, content_type: str, body: str) -> None:
    fake, admin = envoy
    fake.broken = lambda request: web.Response(text=body, content_type=content_type)

    with pytest.raises(Unavailable, match="Envoy at 127"):
        await admin.routes()


@pytest.mark.parametrize("line", ['istio_requests_total{a="b"} many', 'istio_requests_total{a="b"} NaN'])
async def test_a_count_that_is_no_number_is_unavailable(envoy: Pair, line: str) -> None:
    fake, admin = envoy
    fake.stats = f"{line}\n"

    with pytest.raises(Unavailable, match="Envoy at 127"):
        await admin.answered()


async def test_an_envoy_that_does_not_answer_in_time_is_unavailable(envoy: Pair) -> None:
    fake, admin = envoy
    admin._session._timeout = aiohttp.ClientTimeout(total=0.05)
    gone_on = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        await gone_on.wait()
        return web.Response()

    fake.broken = hang
    with pytest.raises(Unavailable, match="Envoy at 127.*Timeout"):
        await admin.routes()
    gone_on.set()


async def test_what_is_asked_is_only_what_is_needed(envoy: Pair) -> None:
    fake, admin = envoy
    await admin.routes()
    await admin.answered()
    await admin.refusals()

    wanted: list[dict[str, Any]] = [
        {"resource": "dynamic_route_configs"},
        {"usedonly": "", "filter": r"^istio\.requests_total"},
        {"filter": r"\.rds\..*\.update_rejected$"},
    ]
    assert fake.asked == wanted
