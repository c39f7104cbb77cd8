"""One real run of synthetic load against a small server on loopback."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rollout.core.routes.target import VERSION_HEADER
from rollout.edges.clock import RealClock
from rollout.edges.load import LoadRuns
from tests.rollout.core.worlds import spec


class Reviews:
    """Answers as the version that is asked for; of v3 every tenth answer is an error."""

    def __init__(self) -> None:
        self.asked = 0

    async def answer(self, request: web.Request) -> web.Response:
        version = request.headers[VERSION_HEADER]
        self.asked += version == "v3"
        fails = version == "v3" and self.asked % 10 == 0
        return web.Response(status=500 if fails else 200, headers={VERSION_HEADER: version})


@pytest.mark.asyncio
async def test_a_real_run_tells_the_versions_apart_and_leaves_nothing_behind() -> None:
    app = web.Application()
    app.router.add_get("/reviews/0", Reviews().answer)
    load = {"url": "http://reviews:9080/reviews/0", "rate": "100/s", "split": "50/50", "timeout": "1s"}
    wake = asyncio.Event()
    async with TestServer(app) as server, LoadRuns(RealClock(), lambda: ("127.0.0.1", server.port or 0)) as runs:
        await runs.start("r1", spec(load=load), wake)
        async with asyncio.timeout(20):
            await wake.wait()  # a failing canary cannot wait for the next pass
            while len(runs.view("r1", 0.0).strata) < 2:
                await asyncio.sleep(0.05)
        view = runs.view("r1", 0.0)

    for found in view.strata[:2]:
        assert found.stable.requests + found.canary.requests == 50
        assert found.stable.failures == 0
        assert found.canary.failures in (2, 3)
    assert not runs.view("r1", 0.0).running
