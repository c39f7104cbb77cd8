"""Where the pods of a Job hand in what they see: an HTTP server, and one member of a LoadSession for each pod."""

import asyncio
import contextlib
import hmac
import json
from collections import deque
from collections.abc import AsyncIterator
from typing import cast

from aiohttp import WSCloseCode, WSMsgType, web

from loadgen.cluster.job import JOIN_S
from loadgen.core.codec import to_json
from loadgen.core.report import Report
from loadgen.core.snapshot import (
    LINE_BYTES_MAX,
    Assignment,
    Command,
    Failed,
    Finished,
    Snapshot,
    Started,
    decode,
    encode,
)

START_IN_S = (
    3.0  # from the word go to due time 0: a worker process starts in a tenth of a second, on a busy node in two
)
HEARTBEAT_S = 5.0  # a node that vanishes sends no farewell; it is missed after one and a half of these
GOODBYE_S = 1.0
TOKEN_LENGTH_MIN = 32


class RemoteWorker:
    """One pod: a member of a LoadSession (session.Member)."""

    def __init__(self, index: int, barrier: "Barrier") -> None:
        self.index = index
        self.queue: deque[Snapshot] = deque()
        self.started: Started | None = None
        self.report: Report | None = None
        self.failed: Failed | None = None
        self.pid: int | None = None
        self._barrier = barrier
        self._assignment: Assignment | None = None
        self._news = asyncio.Event()
        self._gone = asyncio.Event()
        self._line: web.WebSocketResponse | None = None
        self._outbox: asyncio.Queue[str | None] = asyncio.Queue()  # commands of one run: a few

    @property
    def is_over(self) -> bool:
        """Whether it will say nothing more."""
        return self._gone.is_set()

    @property
    def is_here(self) -> bool:
        """Whether its pod is on the line."""
        return self._line is not None

    async def start(self, assignment: Assignment) -> None:
        """Keep its work until it comes for it."""
        self._assignment = assignment

    async def read(self, news: asyncio.Event) -> None:
        """Wait until it is gone, or until it is too late for it to come."""
        self._news = news
        try:
            await self._barrier.passed()
            await self._gone.wait()
        except TimeoutError as error:
            self.failed = Failed(kind="world", message=str(error))
        finally:
            self._leave()

    def tell(self, command: Command) -> None:
        """Send a command; to a pod that is gone it means nothing."""
        self._outbox.put_nowait(encode(command).decode())

    def kill(self) -> None:
        """Hang up: the pod ends its worker at once."""
        self._outbox.put_nowait(None)
        self._leave()

    async def reap(self) -> None:
        """Nothing is left to wait for."""

    def _leave(self) -> None:
        self._gone.set()
        self._news.set()

    async def talk(self, line: web.WebSocketResponse) -> None:
        """Everything from when the pod comes until it is gone."""
        self._line = line
        self._barrier.look()
        try:
            if not await self._wait_for_go(line):
                return  # it went away while it waited: it may come again
            await self._run(line)
        finally:
            self._line = None
            if self._barrier.is_open:
                self._leave()

    async def _wait_for_go(self, line: web.WebSocketResponse) -> bool:
        """Wait for the others; False when it hung up meanwhile."""
        async with asyncio.TaskGroup() as tasks:
            hung_up = tasks.create_task(line.receive(), name=f"pod-{self.index}-waits")
            go = tasks.create_task(self._barrier.opened.wait(), name=f"pod-{self.index}-go")
            await asyncio.wait((hung_up, go), return_when=asyncio.FIRST_COMPLETED)
            is_here = not hung_up.done()
            for task in (hung_up, go):
                task.cancel()
        return is_here

    async def _run(self, line: web.WebSocketResponse) -> None:
        assert self._assignment is not None, "the session hands out work before the barrier opens"
        word = {"assignment": to_json(self._assignment), "start_in_s": self._barrier.start_in_s}
        await line.send_str(json.dumps(word, allow_nan=False))
        async with asyncio.TaskGroup() as tasks:
            sender = tasks.create_task(self._send(line), name=f"pod-{self.index}-commands")
            try:
                await self._receive(line)
            finally:
                sender.cancel()

    async def _send(self, line: web.WebSocketResponse) -> None:
        while (command := await self._outbox.get()) is not None:
            with contextlib.suppress(ConnectionError):
                await line.send_str(command)
        await line.close(code=WSCloseCode.GOING_AWAY)

    async def _receive(self, line: web.WebSocketResponse) -> None:
        async for message in line:
            if message.type is not WSMsgType.TEXT:
                break
            try:
                self._take(message.data)
            except ValueError as error:  # not our protocol: treat it as dead
                self.failed = Failed(kind="world", message=f"pod {self.index}: {error}")
            self._news.set()
            if self.report is not None or self.failed is not None:
                break
        self._leave()  # nothing more is heard; saying goodbye may take a moment
        await line.close()

    def _take(self, text: str) -> None:
        match decode(text.encode()):
            case Started() as started:
                self.started = started
            case Snapshot() as snapshot:
                self.queue.append(snapshot)
            case Finished(report=report):
                self.report = report
            case Failed() as failed:
                self.failed = failed


class Barrier:
    """Opens once, when every pod is there."""

    def __init__(self, workers: int, join_s: float, start_in_s: float) -> None:
        self.start_in_s = start_in_s
        self.opened = asyncio.Event()
        self.members = tuple(RemoteWorker(index, self) for index in range(workers))
        self._join_s = join_s

    @property
    def is_open(self) -> bool:
        """Whether the run has begun."""
        return self.opened.is_set()

    def look(self) -> None:
        """Open if all are there."""
        if all(member.is_here for member in self.members):
            self.opened.set()

    async def passed(self) -> None:
        """Wait until it opens. Raises TimeoutError that says who is missing."""
        try:
            async with asyncio.timeout(self._join_s):
                await self.opened.wait()
        except TimeoutError as error:
            here = sum(member.is_here for member in self.members)
            raise TimeoutError(f"{here} of {len(self.members)} workers came within {self._join_s:g} s") from error


class Collector:
    """The server of one run. `async with collector.listening(host, port) as address`."""

    def __init__(self, token: str, workers: int, *, join_s: float = JOIN_S, start_in_s: float = START_IN_S) -> None:
        if len(token) < TOKEN_LENGTH_MIN:
            raise ValueError(f"token: at least {TOKEN_LENGTH_MIN} characters")
        self._token = token.encode()
        self._barrier = Barrier(workers, join_s, start_in_s)

    @property
    def crew(self) -> tuple[RemoteWorker, ...]:
        """The pods, as a LoadSession takes them."""
        return self._barrier.members

    @contextlib.asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[tuple[str, int]]:
        """Serve; gives the address. Raises OSError."""
        app = web.Application()
        app.router.add_get("/workers/{index}", self.join)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            address = cast("tuple[str, int]", runner.addresses[0])
            yield address[0], address[1]
        finally:
            for member in self.crew:
                member.kill()
            await runner.cleanup()

    async def join(self, request: web.Request) -> web.StreamResponse:
        """A pod comes. 401 without the run's token, 404 for an index it has not, 409 when it is too late."""
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not hmac.compare_digest(secret.encode(), self._token):
            raise web.HTTPUnauthorized(text="send Authorization: Bearer, with the token of this run")
        index = request.match_info["index"]
        if not index.isdecimal() or int(index) >= len(self.crew):
            raise web.HTTPNotFound(text=f"there are workers 0 to {len(self.crew) - 1}")
        member = self.crew[int(index)]
        if self._barrier.is_open or member.is_here or member.is_over:
            raise web.HTTPConflict(text=f"worker {index} is here already, or the run has begun")
        line = web.WebSocketResponse(
            timeout=GOODBYE_S, heartbeat=HEARTBEAT_S, max_msg_size=LINE_BYTES_MAX, compress=False
        )
        await line.prepare(request)
        await member.talk(line)
        return line
