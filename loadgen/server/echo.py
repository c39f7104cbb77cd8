"""The echo server: HTTP/1.1 on asyncio streams, as good or as bad as it is told to be.

Faults in time windows make an incident: `(10, 20, "status=503:50")` answers half of the requests with 503 from the
tenth to the twentieth second. A window's parameters come before the default ones, the request's own before both.
"""

import asyncio
import contextlib
import random
import re
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus

from loadgen.server.behaviour import Behaviour, Fault, behaviour_of
from loadgen.transport.clock import now_ns

HEAD_BYTES_MAX = 65_536
BODY_BYTES_MAX = 16 << 20
LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r\n")
CLOSE = re.compile(rb"(?i)\r\nconnection:[ \t]*close[ \t]*\r\n")
KIND = re.compile(rb"(?i)\r\ncontent-type:[ \t]*([\x20-\x7e]+?)[ \t]*\r\n")
DRIP_S = 0.05
ACCEPT_TURNS = 4  # of the event loop, from accepting a connection to the task that owns it; three are needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Parameters that hold from one time to another, in seconds since the start."""

    from_s: float
    to_s: float
    query: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the server behaves when a request does not say."""

    query: str = ""
    windows: tuple[Window, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()  # in every response: the version, for one
    servers: int = 1  # how many requests with a service time are served at once
    delay_s_max: float = 1.5  # fortio's default
    seed: int = 1


class EchoServer:
    """Answers requests and counts them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._draw = random.Random(settings.seed).random  # noqa: S311  # which request fails is no secret
        self._busy = asyncio.Semaphore(settings.servers)
        self._begin_ns = now_ns()
        self.requests = 0
        self.by_status: dict[int, int] = {}
        self.connections = 0
        self._talks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def serving(self, host: str, port: int) -> AsyncIterator[int]:
        """Serve; gives the port. At the end every connection is closed, whatever its peer was waiting for."""
        server = await asyncio.start_server(self._accepted, host, port, limit=HEAD_BYTES_MAX, backlog=1024)
        async with server:
            try:
                yield int(server.sockets[0].getsockname()[1])
            finally:
                server.close()
                await self._hang_up()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Own a connection from its first moment to the moment when its socket is closed."""
        task = asyncio.current_task()
        assert task is not None, "asyncio's streams run this as a task"
        self._talks.add(task)
        try:
            await self._talk(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()  # we hang up: what is not sent yet is not sent
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            self._talks.discard(task)

    async def _hang_up(self) -> None:
        """Close what is still open. (`Server.wait_closed` waits for connections since Python 3.12 only.)"""
        for _ in range(ACCEPT_TURNS):
            await asyncio.sleep(0)
        for talk in self._talks:
            talk.cancel()
        if self._talks:
            await asyncio.wait(self._talks)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests; a peer that goes away or talks nonsense just ends it."""
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            while await self._answer(reader, writer):
                pass

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False when the connection is at its end."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = LENGTH.search(head)
        size = int(length[1]) if length else 0
        if size > BODY_BYTES_MAX:
            raise ValueError("body too long")
        body = await reader.readexactly(size)
        method, target, _ = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
        behaviour = behaviour_of(
            self._query(target.partition("?")[2]), self._draw, delay_s_max=self._settings.delay_s_max
        )
        self.requests += 1
        await self._wait(behaviour)
        self.by_status[behaviour.status] = self.by_status.get(behaviour.status, 0) + 1
        closes = behaviour.close or CLOSE.search(head) is not None
        content = body if behaviour.size is None else b"\0" * behaviour.size
        kind = KIND.search(head)
        response = self._head(behaviour, len(content), kind[1] if kind else b"", closes=closes)
        exchange = Exchange(reader, writer, response, b"" if method == "HEAD" else content)
        return await exchange.end(behaviour.fault) and not closes

    def _query(self, own: str) -> str:
        """Put the request's own parameters before the window's and the default ones."""
        now_s = (now_ns() - self._begin_ns) / 1e9
        current = [window.query for window in self._settings.windows if window.from_s <= now_s < window.to_s]
        return "&".join(part for part in (own, *current, self._settings.query) if part)

    async def _wait(self, behaviour: Behaviour) -> None:
        """Take the time that was asked for: fixed, and that of a queue."""
        if behaviour.delay_s:
            await asyncio.sleep(behaviour.delay_s)
        if behaviour.service_s:
            async with self._busy:
                await asyncio.sleep(behaviour.service_s)

    def _head(self, behaviour: Behaviour, length: int, kind: bytes, *, closes: bool) -> bytes:
        status = behaviour.status
        phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown"
        lines = [f"HTTP/1.1 {status} {phrase}", f"content-length: {length}"]
        lines += [f"content-type: {kind.decode('latin-1')}"] if kind else []
        lines += [f"{name}: {value}" for name, value in (*self._settings.headers, *behaviour.headers)]
        lines += ["connection: close"] if closes else []
        return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A response, and where it goes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: bytes
    body: bytes

    async def end(self, fault: Fault) -> bool:
        """Send the response as the fault says; False when the connection is at its end."""
        match fault:
            case Fault.NONE:
                await self._send(self.head + self.body)
                return True
            case Fault.RESET:
                sock: socket.socket = self.writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.writer.transport.abort()
                return False
            case Fault.TRUNCATE:
                await self._send(self.head + self.body[: len(self.body) // 2])
                return False
            case Fault.DRIP:
                await self._send(self.head)
                for at in range(len(self.body)):
                    await asyncio.sleep(DRIP_S)
                    await self._send(self.body[at : at + 1])
                return True
            case Fault.HANG:
                while await self.reader.read(HEAD_BYTES_MAX):  # until the other side gives up
                    pass
                return False

    async def _send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()
