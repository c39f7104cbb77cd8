"""The echo server over real sockets, asked by our own caller."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

import pytest

from loadgen.core.outcome import Outcome
from loadgen.core.plan import Names
from loadgen.server.echo import EchoServer, Settings, Window
from loadgen.transport.address import AddressBook, Endpoint
from loadgen.transport.exchange import Answer, Caller

pytestmark = pytest.mark.asyncio


def caller(port: int, **fields: Any) -> Caller:
    book = AddressBook(Endpoint(host="127.0.0.1", port=port), Names(), ())
    return Caller(book, "", None, **{"timeout_s": 2.0, "size_max": 1 << 20, **fields})


def get(path: str, body: bytes = b"", headers: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body


async def asked(work: Callable[[int], Any], settings: Settings | None = None) -> tuple[Any, EchoServer]:
    server = EchoServer(settings or Settings())
    async with server.serving("127.0.0.1", 0) as port:
        return await asyncio.to_thread(work, port), server


async def one(path: str, body: bytes = b"", headers: str = "", settings: Settings | None = None) -> Answer:
    def call(port: int) -> Answer:
        with caller(port) as who:
            return who.call(get(path, body, headers))

    answer: Answer = (await asked(call, settings))[0]
    return answer


async def test_it_answers_with_what_it_was_sent() -> None:
    answer = await one("/any/path", b"hello", "content-type: text/plain\r\n")
    assert (answer.outcome, answer.status, answer.body) == (Outcome.OK, 200, b"hello")
    assert b"HTTP/1.1 200 OK\r\n" in answer.head
    assert b"content-type: text/plain\r\n" in answer.head
    assert answer.raw == answer.head + answer.body


async def test_it_behaves_as_the_request_asks() -> None:
    answer = await one("/?status=429&size=7&header=a:b&close=true")
    assert (answer.status, answer.body, answer.closes) == (429, b"\0" * 7, True)
    assert b"\r\na: b\r\n" in answer.head
    assert (await one("/?status=299")).head.startswith(b"HTTP/1.1 299 Unknown\r\n")


async def test_the_request_wins_over_the_window_and_that_over_the_default() -> None:
    settings = Settings(
        query="status=501&size=3",
        windows=(Window(from_s=0, to_s=100, query="status=502"), Window(from_s=100, to_s=200, query="size=9")),
        headers=(("x-rollout-version", "v3"),),
    )
    assert (await one("/?status=503", settings=settings)).status == 503
    answer = await one("/", settings=settings)
    assert (answer.status, len(answer.body)) == (502, 3)
    assert b"x-rollout-version: v3" in answer.head


async def test_a_connection_is_kept_and_every_request_counted() -> None:
    def five(port: int) -> list[int]:
        with caller(port) as who:
            return [who.call(get(f"/?status={200 + n}")).status for n in range(5)]

    statuses, server = await asked(five)
    assert statuses == [200, 201, 202, 203, 204]
    assert (server.requests, server.connections) == (5, 1)
    assert server.by_status == {200 + n: 1 for n in range(5)}


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [("reset", Outcome.RESET), ("truncate", Outcome.EOF), ("hang", Outcome.TIMEOUT), ("drip", Outcome.TIMEOUT)],
)
async def test_a_fault_is_what_it_says(fault: str, outcome: Outcome) -> None:
    def call(port: int) -> Answer:
        with caller(port, timeout_s=0.3) as who:
            return who.call(get(f"/?fault={fault}&size=20"))

    answer, _ = await asked(call)
    assert answer.outcome is outcome


async def test_a_drip_comes_to_its_end() -> None:
    assert (await one("/?fault=drip", b"abc")).body == b"abc"


async def test_requests_with_a_service_time_queue_for_the_servers_there_are() -> None:
    def call(port: int) -> None:
        with caller(port) as who:
            who.call(get("/?service=50ms"))

    async def took(servers: int) -> float:
        server = EchoServer(Settings(servers=servers))
        async with server.serving("127.0.0.1", 0) as port:
            begin = asyncio.get_running_loop().time()
            async with asyncio.TaskGroup() as tasks:
                for _ in range(4):
                    tasks.create_task(asyncio.to_thread(call, port))
            return asyncio.get_running_loop().time() - begin

    one_by_one = await took(1)
    assert one_by_one >= 0.19
    assert await took(4) < one_by_one


async def test_the_end_of_the_server_is_the_end_of_its_connections() -> None:
    server = EchoServer(Settings())
    idle, waiting = socket.socket(), socket.socket()
    with idle, waiting:
        async with server.serving("127.0.0.1", 0) as port:
            for client in (idle, waiting):
                client.setblocking(False)
                await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
            await asyncio.get_running_loop().sock_sendall(waiting, get("/?delay=1s"))
            while server.requests == 0:
                await asyncio.sleep(0)
        ours = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
        assert not ours
        for client in (idle, waiting):
            client.setblocking(True)
            client.settimeout(1)
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""


@pytest.mark.parametrize(
    "request_bytes",
    [b"banana\r\n\r\n", b"GET / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"x" * 70_000],
)
async def test_nonsense_ends_the_connection_and_nothing_else(request_bytes: bytes) -> None:
    def call(port: int) -> tuple[Answer, Answer]:
        with caller(port, timeout_s=1.0) as one, caller(port) as other:
            return one.call(request_bytes), other.call(get("/"))

    (bad, good), _ = await asked(call)
    assert bad.outcome in {Outcome.EOF, Outcome.RESET}
    assert good.status == 200
