"""HTTP/2: many requests at a time on one connection.

A `Trunk` is a place for one connection; its `Stream`s are the channels that the engine sees, each carrying one request
at a time. The connection itself is a `Link` (`http2_link.py`). When that is told to go away, or is too old, the trunk
opens another one for what comes. Latencies are taken as in HTTP/1.1; the service time includes a wait for one of the
streams that the server allows.
"""

import ssl
from typing import Any

from loadgen.core.http1_head import Head
from loadgen.core.http2 import Call
from loadgen.core.ledger import Row
from loadgen.core.outcome import Outcome
from loadgen.transport.ageing import Age
from loadgen.transport.body import BODY_KEPT_MAX, group_of_body
from loadgen.transport.channel import Desk, Pool, Tag
from loadgen.transport.clock import now_ns
from loadgen.transport.connection import Phase, outcome_of_timeout
from loadgen.transport.http2_link import Link


class Stream:
    """A channel: one request at a time, on whatever connection its trunk has."""

    __slots__ = (
        "_desk",
        "_keeps",
        "_trunk",
        "body",
        "bytes",
        "due",
        "head",
        "id",
        "informational",
        "link",
        "pool",
        "request",
        "rest",
        "row",
        "sent",
        "size",
        "sockets",
        "tag",
    )

    def __init__(self, desk: Desk, pool: Pool, trunk: "Trunk") -> None:
        self._desk, self.pool, self._trunk = desk, pool, trunk
        self._keeps = desk.plan.reads_body
        self.bytes = self.due = self.sent = self.sockets = self.id = self.size = self.informational = 0
        self.link: Link | None = None
        self.head: Head | None = None
        self.body = bytearray()
        self.rest = memoryview(b"")
        self.request = Call((), b"")
        self.tag: Tag | None = None
        self.row: Row

    def fire(self, due: int, sent: int, row: Row, request: Any, tag: Tag | None = None) -> None:
        """Send a request."""
        self.due, self.sent, self.row, self.request, self.tag = due, sent, row, request, tag
        self._trunk.carry(self)

    def begin(self, number: int) -> None:
        """Be the stream of this number from now on."""
        self.id, self.head, self.size, self.informational = number, None, 0, 0
        self.rest = memoryview(self.request.body)
        self.body.clear()

    def readable(self) -> int:
        """Never be asked: the link is the handler of the descriptor."""
        return 0

    def took(self, data: bytes) -> bool:
        """Take a piece of the body; False when it is more than we are willing to read."""
        self.size += len(data)
        if self._keeps and len(self.body) < BODY_KEPT_MAX:
            self.body += data
        return self.size <= self._desk.plan.response_bytes_max

    def complete(self, head: Head) -> None:
        """Write the response down."""
        at = now_ns()
        desk = self._desk
        group = group_of_body(desk, head, bytes(self.body), self.row.target) if desk.is_careful else desk.group_of(head)
        desk.ledger.record(self.row, group, at - self.due, at - self.sent)
        desk.heed(head)
        if self.tag is not None:
            desk.ended(self.tag, self.row, at - self.due, failed=desk.ledger.failed(group))
        self._free()

    def fail(self, outcome: Outcome) -> None:
        """Write down that there is no response."""
        self._desk.failed(self, self.row, self.sent, self.tag, outcome)
        self._free()

    def turned_away(self) -> None:
        """The server has not begun with it: send it again if the plan says so, counted."""
        if not self._desk.plan.retry_stale:
            self.fail(Outcome.EOF)
            return
        self._desk.counters.retried += 1
        self._trunk.carry(self)

    def _free(self) -> None:
        self.due = 0
        self.link = None
        self._desk.released.append(self)

    @property
    def is_connected(self) -> bool:
        """Whether the connection is there, and counts: of a trunk's streams the first one speaks for it."""
        return self is self._trunk.lead and self._trunk.phase is Phase.OPEN

    @property
    def is_dialing(self) -> bool:
        """Whether the connection is on its way."""
        return self._trunk.phase in (Phase.CONNECTING, Phase.SHAKING)

    def expire(self, at_ns: int) -> None:
        """The request took too long."""
        outcome = outcome_of_timeout(self._trunk.phase if self.link is None else self.link.phase)
        self._let_go()
        self.fail(outcome)

    def abandon(self, at_ns: int) -> None:
        """The run is over."""
        if self.due:
            self._let_go()
            self.fail(Outcome.UNFINISHED)

    def _let_go(self) -> None:
        if self.link is not None:
            self.link.drop(self)

    def warm(self) -> None:
        """Connect before anything is sent."""
        self._trunk.warm()

    def close(self) -> None:
        """Let go of the connection."""
        self._trunk.close()


class Trunk:
    """A place for one connection, and the streams that share it."""

    def __init__(self, desk: Desk, pool: Pool, context: ssl.SSLContext | None, streams: int) -> None:
        self._desk, self._pool, self._context = desk, pool, context
        self.streams = [Stream(desk, pool, self) for _ in range(streams)]
        self.lead = self.streams[0]
        self._age = Age(desk) if desk.plan.reuse.requests_max or desk.plan.reuse.age_max_s else None
        self._link: Link | None = None

    @property
    def phase(self) -> Phase:
        """How far the connection has come."""
        return Phase.CLOSED if self._link is None else self._link.phase

    def carry(self, stream: Stream) -> None:
        """Send a stream's request, on a new connection if need be."""
        if self._age is not None and self._age.ends(stream.sent):
            if self._link is not None:
                self._link.retire()
            self._age.begin()
            self._age.ends(stream.sent)
        self._usable().start(stream)

    def warm(self) -> None:
        """Connect."""
        self._usable().dial()

    def _usable(self) -> Link:
        if self._link is None or self._link.is_retired:
            self._link = Link(self._desk, self._pool, self.lead, self._context)
        return self._link

    def close(self) -> None:
        """Hang up."""
        link, self._link = self._link, None
        if link is not None:
            link.close()
