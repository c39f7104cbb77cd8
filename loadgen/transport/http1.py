"""The fast path: HTTP/1.1 on raw non-blocking sockets, two system calls per request.

A connection remembers the last head and the length of the response it announced. When the next read is exactly that
long and begins with the same bytes, it *is* that head and a complete response: one comparison replaces the parse.
Anything else goes through the strict parser. Bodies of known length are counted down in one shared buffer, not kept.
`readable` and `fire` are written out by hand: at 6 µs a request (5 of them the kernel's) every call costs two per cent.
"""

import socket
import ssl
from collections.abc import Callable
from typing import Any, cast

from loadgen.core.http1 import ResponseReader, State, TooLargeError
from loadgen.core.http1_head import Framing, Head, ProtocolError
from loadgen.core.ledger import Row
from loadgen.core.outcome import Outcome
from loadgen.transport.body import BODY_KEPT_MAX, group_of_body
from loadgen.transport.channel import Desk, Pool, Tag
from loadgen.transport.clock import now_ns
from loadgen.transport.connection import Dialing, Flushing, Phase, hang_up, outcome_of_error, outcome_of_timeout
from loadgen.transport.poller import READ, WRITE

# Far below malloc's mmap threshold (128 KiB), else every read costs an mmap and an munmap; and as long as a TLS record,
# so that one read leaves nothing in the TLS layer, where no poller would see it.
RECEIVE = 16_384
SCRATCH = memoryview(bytearray(262_144))  # bodies are read into this and forgotten; one per process
WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
NOTHING = -1  # a length that no read has


def unopened(_: int) -> bytes:
    """Read from a connection that is not there."""
    raise BlockingIOError


class Connection:
    """One keep-alive connection: a channel, and the handler of its descriptor."""

    __slots__ = (
        "_careful",
        "_context",
        "_desk",
        "_dialing",
        "_outbox",
        "_reader",
        "_reused",
        "_sock",
        "bytes",
        "due",
        "expect",
        "group",
        "head",
        "need",
        "pool",
        "recv",
        "request",
        "row",
        "send",
        "sent",
        "sockets",
        "tag",
        "total",
    )

    def __init__(self, desk: Desk, pool: Pool, context: ssl.SSLContext | None) -> None:
        plan = desk.plan
        self._desk, self.pool, self._context = desk, pool, context
        self._careful = desk.is_careful
        self._reader = ResponseReader(
            desk.heads, plan.response_bytes_max, kept_max=BODY_KEPT_MAX if plan.reads_body else 0
        )
        self._reader.bodiless = plan.targets[0].method == "HEAD"
        self._dialing: Dialing | None = None
        self._sock: socket.socket | None = None
        self._outbox = memoryview(b"")
        self._reused = False
        self.bytes = self.due = self.sent = self.need = self.total = self.sockets = 0
        self.request = b""
        self.tag: Tag | None = None
        self.row: Row
        self._forget()

    def _forget(self) -> None:
        """Be a connection that is not there yet."""
        self.head = b"\0"
        self.expect = NOTHING
        self.group = -1
        self.need = 0
        self._outbox = memoryview(b"")
        self._reused = False
        self.recv: Callable[[int], bytes] = unopened
        self.send: Callable[[bytes], int] = self._send_later

    # ---- the hot path

    def fire(self, due: int, sent: int, row: Row, request: Any, tag: Tag | None = None) -> None:
        """Send a request."""
        self.due = due
        self.sent = sent
        self.row = row
        self.tag = tag
        self.request = request
        try:
            count = self.send(request)
        except WOULD_BLOCK:
            count = 0
        except OSError as error:
            self._broken(error)
            return
        if count != len(request):
            self._queue(memoryview(request)[count:])

    def readable(self) -> int:
        """Read what came; the time when the response was complete, otherwise 0."""
        if self.need:
            return self._drain()
        try:
            data = self.recv(RECEIVE)
        except OSError as error:
            return self._unread(error)
        due = self.due
        if len(data) == self.expect and due and data.startswith(self.head):
            at = now_ns()
            row = self.row
            group = self.group
            value = at - due
            shift = value.bit_length() - 10
            bucket = (shift << 9) + (value >> shift) if shift > 0 else value
            cell = row[group]
            cell[bucket] = cell.get(bucket, 0) + 1
            row.recent(value)
            if self.sent != due:
                value = at - self.sent
                shift = value.bit_length() - 10
                bucket = (shift << 9) + (value >> shift) if shift > 0 else value
                cell = row.service[group]
                cell[bucket] = cell.get(bucket, 0) + 1
            if self.tag is not None:
                self._desk.ended(self.tag, row, at - due, failed=False)
            self.due = 0
            self.bytes += self.expect
            return at
        return self._slow(data)

    # ---- everything else

    def _drain(self) -> int:
        """Count a long body down without keeping it."""
        try:
            count = cast("socket.socket", self._sock).recv_into(SCRATCH)
        except OSError as error:
            return self._unread(error)
        if count == 0:
            return self._fail(Outcome.EOF)
        if count > self.need:
            return self._fail(Outcome.PROTOCOL)
        self.need -= count
        if self.need:
            return 0
        return self._complete(self.group, self.total)

    def _slow(self, data: bytes) -> int:
        """Read with the strict parser."""
        if not self.due:
            self.close()  # closed, or spoken to, while idle: no error, but no longer usable
            return 0
        reader = self._reader
        if not data:
            return self._eof()
        size = len(data)
        if size < self.expect and not reader.size and data.startswith(self.head):
            self.need, self.total = self.expect - size, self.expect
            return 0
        self.expect = NOTHING  # the next piece is no beginning, whatever it looks like
        try:
            if not reader.size and not self._careful:
                at = self._whole(data)
                if at:
                    return at
            done = reader.feed(data)
        except (ProtocolError, TooLargeError) as error:
            return self._fail(Outcome.PROTOCOL if isinstance(error, ProtocolError) else Outcome.TOO_LARGE)
        if done:
            return self._received(reader)
        if reader.state is State.BODY and not self._careful:
            self._count_down(reader)
        return 0

    def _whole(self, data: bytes) -> int:
        """Read a new head with all of its body, the usual case of a server whose heads differ: no state, one look."""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4 or len(data) > self._desk.plan.response_bytes_max:
            return 0
        head = self._desk.heads.read(data[: end - 4], bodiless=self._reader.bodiless)
        if head.length != len(data) - end or head.close or head.retry_after_s or head.status < 200:
            return 0
        self.group = self._desk.group_of(head)
        if head.is_good:
            self.head, self.expect = data[:end], len(data)
        return self._complete(self.group, len(data))

    def _eof(self) -> int:
        """Take the end of the stream: a response's end, a broken one, or a kept connection that was dead."""
        if self._reader.eof():
            return self._received(self._reader)
        if not self._reader.started and self._reused and self._retry():
            return 0
        return self._fail(Outcome.EOF)

    def _retry(self) -> bool:
        """Send once more on a fresh connection, if the plan allows: counted, never hidden."""
        if not self._desk.plan.retry_stale:
            return False
        self._desk.counters.retried += 1
        self.close()
        self.send(self.request)
        return True

    def _count_down(self, reader: ResponseReader) -> None:
        """Leave the rest of a body of known length to `_drain`."""
        head = cast("Head", reader.head)
        self.group = self._desk.group_of(head)
        self.total = reader.size + reader.need
        self.need = reader.need
        if head.close or not head.is_good:
            self.need = 0  # the strict parser sees it to its end
            return
        self.head, self.expect = reader.raw_head, len(reader.raw_head) + head.length
        reader.reset()

    def _received(self, reader: ResponseReader) -> int:
        """Account for a response that the strict parser has read."""
        head = cast("Head", reader.head)
        desk = self._desk
        body_counts = self._careful
        group = group_of_body(desk, head, bytes(reader.body), self.row.target) if body_counts else desk.group_of(head)
        size = reader.size
        fits = size == len(reader.raw_head) + max(head.length, 0)  # no informational responses before it
        if head.framing is Framing.LENGTH and fits and head.is_good and not (head.close or self._careful):
            self.head, self.expect, self.group = reader.raw_head, size, group
        reader.reset()
        desk.heed(head)
        at = self._complete(group, size)
        if head.close:
            self.close()
        return at

    def _complete(self, group: int, size: int) -> int:
        """Write a response down."""
        at = now_ns()
        desk = self._desk
        desk.ledger.record(self.row, group, at - self.due, at - self.sent)
        if self.tag is not None:
            desk.ended(self.tag, self.row, at - self.due, failed=desk.ledger.failed(group))
        self.bytes += size
        self.due = 0
        self._reused = True
        return at

    # ---- opening, writing late, and ending badly

    def warm(self) -> None:
        """Connect before anything is sent."""
        if self._sock is None and self._dialing is None:
            self.sockets += 1
            self._dialing = Dialing(self._desk, self.pool, self, self._context)
            self._dialing.start()

    def _send_later(self, request: bytes) -> int:
        """Connect first, then send."""
        self._outbox = memoryview(request)
        self.warm()
        return len(request)

    def opened(self, sock: socket.socket) -> None:
        """The connection is there."""
        self._dialing = None
        self._sock = sock
        self.recv, self.send = sock.recv, sock.send
        if self.due:
            self._flush()

    def not_opened(self, outcome: Outcome) -> None:
        """There is no connection."""
        self._dialing = None
        if self.due:
            self._fail(outcome)

    def _queue(self, rest: memoryview) -> None:
        """Write the rest when the socket takes it."""
        self._outbox = rest
        self._flush()

    def _flush(self) -> None:
        sock = cast("socket.socket", self._sock)
        try:
            while self._outbox:
                self._outbox = self._outbox[sock.send(self._outbox) :]
        except WOULD_BLOCK:
            self._desk.by_fd[sock.fileno()] = Flushing(self.flushing)
            self._desk.poller.modify(sock.fileno(), READ | WRITE)
        except OSError as error:
            self._broken(error)

    def flushing(self) -> int:
        """Go on writing, and read an answer that comes early. It gives no time: whoever asks is no channel."""
        sock = self._sock
        if sock is None:
            return 0
        self._desk.by_fd[sock.fileno()] = self
        self._desk.poller.modify(sock.fileno(), READ)
        self._flush()
        if self._sock is not None and self.readable():
            if self._outbox:
                self.close()  # answered before it was asked: the rest of the question must not look like the next one
            self._desk.released.append(self)
        return 0

    def _unread(self, error: OSError) -> int:
        if isinstance(error, WOULD_BLOCK):
            return 0
        return self._broken(error)

    def _broken(self, error: OSError) -> int:
        if not self.due:
            self.close()
            return 0
        if self._reused and not self._reader.started and not self.need and self._retry():
            return 0
        return self._fail(outcome_of_error(error, Phase.OPEN))

    def _fail(self, outcome: Outcome) -> int:
        """End the request badly: one classified sample, and the connection is gone."""
        if self.need:
            self.bytes += self.total - self.need
        self._desk.failed(self, self.row, self.sent, self.tag, outcome)
        self.bytes += self._reader.size
        self.due = 0
        self.close()
        self._desk.released.append(self)
        return 0

    @property
    def is_connected(self) -> bool:
        """Whether the connection is there."""
        return self._sock is not None

    @property
    def is_dialing(self) -> bool:
        """Whether a connection is on its way."""
        return self._dialing is not None

    @property
    def _phase(self) -> Phase:
        if self._dialing is not None:
            return self._dialing.phase
        return Phase.CLOSED if self._sock is None else Phase.OPEN

    def expire(self, at_ns: int) -> None:
        """The request took too long."""
        self._fail(outcome_of_timeout(self._phase))

    def abandon(self, at_ns: int) -> None:
        """The run is over."""
        if self.due:
            self._fail(Outcome.UNFINISHED)

    def close(self) -> None:
        """Let go of the connection; the channel stays usable and would open another."""
        if self._dialing is not None:
            self._dialing.close()
            self._dialing = None
        if self._sock is not None:
            hang_up(self._desk, self._sock)
            self._sock = None
        self._reader.reset()
        self._forget()
