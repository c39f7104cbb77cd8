"""The demo's users: counted where they are sent, once each, and the count is exact when it is settled."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from loadgen.core.outcome import Outcome
from rollout.beside import beside
from rollout.core.routes.target import VERSION_HEADER
from rollout.demo.audience import Audience, Count, _look_at_pages, open_audience
from tests.rollout.edges.loads import cell, snapshot, stratum


def count(requests: int, failed: int = 0, **by_version: int) -> Count:
    return Count(requests=requests, failed=failed, by_version=by_version)


def test_since_is_what_came_after() -> None:
    before = Count(requests=10, failed=2, by_version={"v1": 9, "v3": 1}, pages=3, failed_pages=1)
    after = Count(requests=15, failed=3, by_version={"v1": 9, "v2": 1, "v3": 5}, pages=7, failed_pages=1)

    assert after.since(before) == Count(requests=5, failed=1, by_version={"v2": 1, "v3": 4}, pages=4)
    assert after.since(after) == Count()


@pytest.mark.asyncio
async def test_each_request_counts_once_with_its_version_and_its_failure() -> None:
    audience = Audience()

    audience.take(snapshot(0.1, strata=(stratum(0, cell("v1", 5), cell("v3", 1, Outcome.HTTP_5XX)),)))
    audience.take(snapshot(0.2, strata=(stratum(0, cell("v1", 2)), stratum(1, cell("", 1, Outcome.TIMEOUT)))))

    assert audience.count == Count(requests=9, failed=2, by_version={"v1": 7, "v3": 1, "": 1})


@pytest.mark.asyncio
async def test_what_was_never_sent_is_nobodys_request() -> None:
    audience = Audience()

    audience.take(snapshot(0.1, strata=(stratum(0, cell("", 3, Outcome.DROPPED), cell("", 3, Outcome.WITHHELD)),)))

    assert audience.count == Count()


@pytest.mark.asyncio
async def test_pages_are_counted_beside_the_requests() -> None:
    audience = Audience()
    audience.take(snapshot(0.1, strata=(stratum(0, cell("v1", 5)),)))

    audience.saw_page(ok=True)
    audience.saw_page(ok=False)
    audience.take(snapshot(0.2, strata=(stratum(1, cell("v1", 1)),)))

    assert audience.count == Count(requests=6, by_version={"v1": 6}, pages=2, failed_pages=1)


@pytest.mark.asyncio
async def test_the_count_is_settled_when_every_request_that_was_due_has_ended() -> None:
    audience = Audience()
    audience.take(snapshot(0.9, strata=(stratum(0, cell("v1", 1)),), closed_until=9))
    task = asyncio.create_task(audience.settled())
    seen = []
    for at, closed in ((1.0, 8), (1.2, 9), (1.4, 10), (1.6, 16)):  # due by 1.0 s: ten strata
        await asyncio.sleep(0)
        audience.take(snapshot(at, strata=(stratum(8, cell("v3", 1)),), closed_until=closed))
        for _ in range(3):
            await asyncio.sleep(0)
        seen.append(task.done())

    assert seen == [False, False, True, True]
    assert await task == count(4, v1=1, v3=3)


class Page:
    """A product page that fails in a way of its own each time."""

    def __init__(self) -> None:
        self.asked = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        match self.asked:
            case 1:
                return web.Response(text="<h1>The Comedy of Errors</h1>")
            case 2:
                return web.Response(text="Sorry, product reviews are currently unavailable for this book.")
            case 3:
                return web.Response(status=503, text="no healthy upstream")
            case _:
                assert request.transport is not None
                request.transport.close()
                return web.Response()


@pytest_asyncio.fixture
async def page() -> AsyncIterator[BaseTestServer]:
    app = web.Application()
    app.router.add_get("/productpage", Page().answer)
    async with TestServer(app) as server:
        yield server


@pytest.mark.asyncio
async def test_a_page_is_good_when_it_shows_its_reviews(page: BaseTestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollout.demo.audience.PAGES_EVERY_S", 0.0)
    audience = Audience()
    counts: list[tuple[int, int]] = []

    async with beside(_look_at_pages(str(page.make_url("/productpage")), audience)), asyncio.timeout(10):
        while audience.count.pages < 4:
            await asyncio.sleep(0)
            found = (audience.count.pages, audience.count.failed_pages)
            counts += [found] if found not in counts else []

    assert counts[:5] == [(0, 0), (1, 0), (2, 1), (3, 2), (4, 3)]


@pytest.mark.asyncio
async def test_users_come_all_the_while_and_are_gone_with_the_block(page: BaseTestServer) -> None:
    asked: list[str] = []

    async def reviews(request: web.Request) -> web.Response:
        asked.append(request.headers["Host"])
        return web.Response(headers={VERSION_HEADER: "v1"})

    app = web.Application()
    app.router.add_get("/reviews/0", reviews)
    async with TestServer(app) as server:
        async with (
            asyncio.timeout(20),
            open_audience(f"127.0.0.1:{server.port}", str(page.make_url("/productpage"))) as audience,
        ):
            while audience.count.requests < 20:
                await asyncio.sleep(0.02)
            counted = audience.count
        await asyncio.sleep(0.1)  # what was under way arrives
        total = len(asked)
        await asyncio.sleep(0.1)

    assert counted.failed == 0
    assert set(counted.by_version) == {"v1"}
    assert set(asked) == {"reviews:9080"}
    assert len(asked) == total
