"""What runs in a pod of the Job: a worker process, and its line to the collector.

The worker is the same as everywhere (worker.py); it never waits for the network, because it adds snapshots up while
nobody reads. Whatever ends this process, or its line, ends the worker: its standard input closes.
"""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from enum import IntEnum

import aiohttp

from loadgen.core.codec import from_json
from loadgen.core.snapshot import LINE_BYTES_MAX, Assignment, Command, encode
from loadgen.transport.clock import now_ns

CONNECT_S = 60.0  # the collector may be a moment later than we are, and a sidecar's first answers are refusals
RETRY_S = 0.5
HEARTBEAT_S = 5.0
QUIT_SIDECAR = "http://127.0.0.1:15020/quitquitquit"  # Istio's agent; without it a classic sidecar outlives the Job
QUIT_S = 1.0


class Exit(IntEnum):
    """How a pod ends."""

    OK = 0
    LOST = 1  # the line or the worker went away
    REFUSED = 104  # the collector, or the plan, said no


class RefusedError(Exception):
    """The collector said no: trying again will not help."""


async def run(collector: str, token: str, index: int, *, quit_sidecar: bool = False) -> Exit:
    """Be worker *index* of a run, from coming to the collector until the last word. Raises RefusedError, OSError."""
    try:
        # The worker first: it imports what it needs while we wait for the others, and then begins on time.
        async with worker_process() as worker, aiohttp.ClientSession() as session:
            line = await joined(session, f"{collector}/workers/{index}", token)
            async with line:
                is_finished = await work(line, worker)
    finally:
        if quit_sidecar:
            await asyncio.shield(quit_the_sidecar())
    if worker.returncode == Exit.REFUSED:
        return Exit.REFUSED
    return Exit.OK if is_finished else Exit.LOST


@contextlib.asynccontextmanager
async def worker_process() -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker that waits for its assignment; the end of its standard input is its end."""
    pipe = asyncio.subprocess.PIPE
    arguments = (sys.executable, "-m", "loadgen", "worker")
    worker = await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe, limit=LINE_BYTES_MAX)
    assert worker.stdin is not None, "asked for above"
    try:
        yield worker
    finally:
        worker.stdin.close()
        await asyncio.shield(worker.wait())


async def joined(session: aiohttp.ClientSession, url: str, token: str) -> aiohttp.ClientWebSocketResponse:
    """Come to the collector; try again while it cannot be reached."""
    headers = {"Authorization": f"Bearer {token}"}
    give_up_ns = now_ns() + round(CONNECT_S * 1e9)
    while True:
        try:
            return await session.ws_connect(
                url, headers=headers, heartbeat=HEARTBEAT_S, max_msg_size=LINE_BYTES_MAX, autoping=True
            )
        except aiohttp.WSServerHandshakeError as error:
            if 400 <= error.status < 500:
                raise RefusedError(f"{url}: {error.status} {error.message}") from error
            why: Exception = error
        except aiohttp.ClientError as error:
            why = error
        if now_ns() > give_up_ns:
            raise OSError(f"{url}: {why}") from why
        await asyncio.sleep(RETRY_S)


async def work(line: aiohttp.ClientWebSocketResponse, worker: asyncio.subprocess.Process) -> bool:
    """Wait for the word go, and pass everything on; say whether the worker has had its last word."""
    assert worker.stdin is not None, "asked for in worker_process"
    assert worker.stdout is not None, "the same"
    word = await line.receive()
    if word.type is not aiohttp.WSMsgType.TEXT:
        return False
    document = json.loads(word.data)
    start_ns = now_ns() + round(float(document["start_in_s"]) * 1e9)
    worker.stdin.write(encode(from_json(Assignment, document["assignment"] | {"start_monotonic_ns": start_ns})))
    with stops_on_signal(worker.stdin):
        async with asyncio.TaskGroup() as tasks:
            listener = tasks.create_task(obey(line, worker.stdin), name="pod-commands")
            is_finished = await pass_on(worker.stdout, line)
            listener.cancel()
    return is_finished


async def pass_on(output: asyncio.StreamReader, line: aiohttp.ClientWebSocketResponse) -> bool:
    """Send every line of the worker; say whether the last one was its last word."""
    last = b""
    with contextlib.suppress(ConnectionError):
        while text := await output.readline():
            await line.send_str(text.decode())
            last = text[:40]
    return b'"type":"finished"' in last or b'"type":"failed"' in last


async def obey(line: aiohttp.ClientWebSocketResponse, stdin: asyncio.StreamWriter) -> None:
    """Hand commands to the worker; when the line is closed, end it."""
    async for message in line:
        if message.type is aiohttp.WSMsgType.TEXT:
            stdin.write(message.data.encode())
    stdin.close()


@contextlib.contextmanager
def stops_on_signal(stdin: asyncio.StreamWriter) -> Iterator[None]:
    """The kubelet says goodbye with SIGTERM: drain, and hand in what there is."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: stdin.write(encode(Command(command="stop"))))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def quit_the_sidecar() -> None:
    """Let a classic sidecar go, so that the Job can end; a native one goes by itself, and nobody may be there."""
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(QUIT_S), aiohttp.ClientSession() as session, session.post(QUIT_SIDECAR):
            pass
