"""Who may hand something in, and what becomes of those who do not keep to the contract."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from loadgen.cluster import collector as collector_module
from loadgen.cluster.collector import Collector, RemoteWorker
from loadgen.core.snapshot import Assignment, Command
from loadgen.session import LoadSession, RefusedError, has_died
from tests.loadgen.core.plans import steady

pytestmark = pytest.mark.asyncio
TOKEN = "a token of a test, long enough to be one"
GOOD = {"Authorization": f"Bearer {TOKEN}"}


class Desk:
    """A collector of two, a client, and the readers that a session would run."""

    def __init__(self, collector: Collector, session: aiohttp.ClientSession, url: str) -> None:
        self.collector, self.session, self.url = collector, session, url
        self.news = asyncio.Event()
        self.lines: list[aiohttp.ClientWebSocketResponse] = []

    async def come(self, index: int) -> aiohttp.ClientWebSocketResponse:
        self.lines.append(await self.session.ws_connect(f"{self.url}/workers/{index}", headers=GOOD))
        return self.lines[-1]

    async def gone(self, member: RemoteWorker) -> None:
        async with asyncio.timeout(5):
            while not member.is_over:
                self.news.clear()
                await self.news.wait()


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[Desk]:
    collector = Collector(TOKEN, 2, join_s=5.0, start_in_s=1.0)
    async with (
        collector.listening("127.0.0.1", 0) as (host, port),
        aiohttp.ClientSession() as session,
        asyncio.TaskGroup() as tasks,
    ):
        desk = Desk(collector, session, f"http://{host}:{port}")
        for member in collector.crew:
            await member.start(Assignment(plan=steady(), index=member.index, of=2))
            tasks.create_task(member.read(desk.news))
        yield desk
        for line in desk.lines:
            await line.close()
        for member in collector.crew:
            member.kill()
            await member.reap()
        collector._barrier.opened.set()


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/workers/0", {}, 401),
        ("/workers/0", {"Authorization": "Bearer nothing"}, 401),
        ("/workers/0", {"Authorization": f"Basic {TOKEN}"}, 401),
        ("/workers/0", {"Authorization": f"Bearer {TOKEN}x"}, 401),
        ("/workers/2", GOOD, 404),
        ("/workers/-1", GOOD, 404),
        ("/workers/x", GOOD, 404),
        ("/", GOOD, 404),
    ],
)
async def test_strangers_are_refused(desk: Desk, path: str, headers: dict[str, str], status: int) -> None:
    async with desk.session.get(desk.url + path, headers=headers) as answer:
        assert answer.status == status
    with pytest.raises(ValueError, match="at least 32"):
        Collector("short", 1)


async def test_all_are_told_at_once_when_all_are_there(desk: Desk) -> None:
    first = await desk.come(0)
    with pytest.raises(aiohttp.WSServerHandshakeError) as twice:
        await desk.come(0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await first.receive()
    # A receive that was cancelled may have closed the line: come again, as a pod that lost it would.
    await first.close()
    while desk.collector.crew[0].is_here:
        await asyncio.sleep(0.01)
    first, second = await desk.come(0), await desk.come(1)

    words: list[dict[str, Any]] = [json.loads((await line.receive()).data) for line in (first, second)]

    assert twice.value.status == 409
    assert [word["assignment"]["index"] for word in words] == [0, 1]
    assert {word["start_in_s"] for word in words} == {1.0}
    with pytest.raises(aiohttp.WSServerHandshakeError) as late:
        await desk.come(1)
    assert late.value.status == 409


async def test_commands_reach_the_pod_and_a_closed_line_is_a_death(desk: Desk) -> None:
    lines = [await desk.come(index) for index in (0, 1)]
    for line in lines:
        await line.receive()
    worker = desk.collector.crew[0]

    worker.tell(Command(command="rate", per_s=5))

    assert json.loads((await lines[0].receive()).data)["command"] == "rate"
    await lines[0].close()
    await desk.gone(worker)
    assert has_died(worker)
    assert not desk.collector.crew[1].is_over
    worker.tell(Command(command="stop"))


async def test_a_pod_that_talks_nonsense_has_failed(desk: Desk) -> None:
    lines = [await desk.come(index) for index in (0, 1)]
    for line in lines:
        await line.receive()
    await lines[1].send_str('{"type": "gossip"}')
    await lines[0].send_bytes(b"\x00")

    for member in desk.collector.crew:
        await desk.gone(member)

    failed = desk.collector.crew[1].failed
    assert failed is not None
    assert "pod 1" in failed.message
    assert has_died(desk.collector.crew[0])


async def test_a_pod_that_is_killed_hears_it(desk: Desk) -> None:
    lines = [await desk.come(index) for index in (0, 1)]
    for line in lines:
        await line.receive()

    desk.collector.crew[0].kill()

    assert (await lines[0].receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    assert desk.collector.crew[0].is_over


async def test_who_does_not_come_in_time_is_counted() -> None:
    collector = Collector(TOKEN, 2, join_s=0.3)
    async with (
        collector.listening("127.0.0.1", 0) as (host, port),
        aiohttp.ClientSession() as client,
        client.ws_connect(f"http://{host}:{port}/workers/0", headers=GOOD),
    ):
        with pytest.raises(RefusedError, match=r"1 of 2 workers came within 0\.3 s"):
            await run_to_its_end(LoadSession(steady(), crew=collector.crew))


async def run_to_its_end(session: LoadSession) -> None:
    async with session:
        async for _ in session.snapshots():
            pass


async def test_a_silent_pod_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector_module, "HEARTBEAT_S", 0.2)
    collector = Collector(TOKEN, 1, start_in_s=0.1)
    (member,) = collector.crew
    async with collector.listening("127.0.0.1", 0) as (host, port), asyncio.TaskGroup() as tasks:
        await member.start(Assignment(plan=steady()))
        reading = tasks.create_task(member.read(asyncio.Event()))
        async with aiohttp.ClientSession() as session:
            url = f"http://{host}:{port}/workers/0"
            async with session.ws_connect(url, headers=GOOD, autoping=False) as line:
                await line.receive()
                async with asyncio.timeout(5):
                    await reading  # frozen from now on: its machine answers no ping
    assert has_died(member)
