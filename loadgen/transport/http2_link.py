"""One HTTP/2 connection, and the only door to `h2`: what is multiplexed, what is written, what the events mean.

When it is told to go away, or is too old, it is retired: it begins nothing more, and ends what it has begun.
"""

import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from loadgen.core.http1_head import Head, ProtocolError
from loadgen.core.http2 import INFORMATIONAL_MAX, Call, Field, Frames, Goodbye, head_of
from loadgen.core.outcome import Outcome
from loadgen.transport.channel import Channel, Desk, Pool
from loadgen.transport.clock import now_ns
from loadgen.transport.connection import Dialing, Phase, hang_up, outcome_of_error
from loadgen.transport.poller import READ, WRITE

RECEIVE = 65_536  # half of malloc's mmap threshold
WINDOW = 1 << 20  # per stream: a response of that size needs no answer from us on its way
CONNECTION_WINDOW = 16 << 20
OUTBOX_MAX = 1 << 20  # no body is pushed beyond this; twice as much means that the peer talks and never listens
WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
CONFIGURATION = h2.config.H2Configuration(
    client_side=True, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
)


class Rider(Protocol):
    """Whoever sends a request on a link, and is told what comes of it."""

    id: int  # the stream's number
    sent: int  # nanoseconds
    request: Call
    rest: memoryview  # of the body, still to be sent
    head: Head | None
    informational: int  # 1xx responses so far
    link: "Link | None"

    def begin(self, number: int) -> None:
        """Be the stream of this number from now on."""

    def took(self, data: bytes) -> bool:
        """Take a piece of the body; False when it is more than we are willing to read."""

    def complete(self, head: Head) -> None:
        """Write the response down."""

    def fail(self, outcome: Outcome) -> None:
        """Write down that there is no response."""

    def turned_away(self) -> None:
        """The server has not begun with it."""


class Link:
    """One HTTP/2 connection: the handler of its descriptor."""

    def __init__(self, desk: Desk, pool: Pool, lead: Channel, context: ssl.SSLContext | None) -> None:
        self._desk, self._pool, self._lead, self._context = desk, pool, lead, context
        self._dialing: Dialing | None = None
        self._sock: socket.socket | None = None
        self._h2 = h2.connection.H2Connection(CONFIGURATION)
        self._frames = Frames()
        self._streams: dict[int, Rider] = {}
        self._waiting: deque[Rider] = deque()  # for the connection, or for one of the streams the server allows
        self._outbox = bytearray()
        self._is_full = False  # the socket takes no more for now
        self._heard_ns = 0
        self._allowed = 0  # streams at a time: none before the server has said so (RFC 9113 3.4 allows more)
        self.is_retired = False

    @property
    def phase(self) -> Phase:
        """How far it has come."""
        if self._dialing is not None:
            return self._dialing.phase
        return Phase.CLOSED if self._sock is None else Phase.OPEN

    # ---- opening and closing

    def dial(self) -> None:
        """Connect, unless that has been done."""
        if self._dialing is None and self._sock is None:
            self._lead.sockets += 1
            self._dialing = Dialing(self._desk, self._pool, self, self._context)
            self._dialing.start()

    def opened(self, sock: socket.socket) -> None:
        """Say hello: the preface, our settings, and then what waits."""
        self._dialing = None
        self._sock = sock
        if isinstance(sock, ssl.SSLSocket) and sock.selected_alpn_protocol() != "h2":
            self.break_off(Outcome.PROTOCOL)
            return
        self._h2.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: 65_536,
            },
        )
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(CONNECTION_WINDOW)
        self._go_on()

    def not_opened(self, outcome: Outcome) -> None:
        """There is no connection."""
        self._dialing = None
        self.break_off(outcome)

    def retire(self) -> None:
        """Begin nothing more; close when everything has ended."""
        self.is_retired = True
        if not self._streams and not self._waiting:
            self.close()

    def close(self) -> None:
        """Hang up."""
        self.is_retired = True
        if self._dialing is not None:
            self._dialing.close()
            self._dialing = None
        if self._sock is not None:
            hang_up(self._desk, self._sock)
            self._sock = None

    def break_off(self, outcome: Outcome) -> None:
        """Hang up on everybody: each request that was on its way is one sample."""
        self.close()
        streams = [*self._streams.values(), *self._waiting]
        self._streams.clear()
        self._waiting.clear()
        for stream in streams:
            stream.fail(outcome)

    # ---- sending

    def start(self, stream: Rider) -> None:
        """Send a request as soon as that can be done."""
        stream.link = self
        self._waiting.append(stream)
        if self._sock is None:
            self.dial()
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Begin what waits, push bodies, write."""
        connection = self._h2
        while self._waiting and len(self._streams) < self._allowed:
            stream = self._waiting.popleft()
            number = connection.get_next_available_stream_id()
            stream.begin(number)
            self._streams[number] = stream
            connection.send_headers(number, stream.request.fields, end_stream=not stream.request.body)
        for stream in self._streams.values():
            if stream.rest:
                self._push(stream)
        self._write()

    def _push(self, stream: Rider) -> None:
        """Hand over as much of a body as the windows, and our own patience, allow."""
        connection = self._h2
        while stream.rest and len(self._outbox) < OUTBOX_MAX:
            room = min(connection.local_flow_control_window(stream.id), connection.max_outbound_frame_size)
            if room <= 0:
                return
            piece, stream.rest = bytes(stream.rest[:room]), stream.rest[room:]
            connection.send_data(stream.id, piece, end_stream=not stream.rest)
            self._collect()

    def _collect(self) -> None:
        self._outbox += self._h2.data_to_send()

    def _write(self) -> None:
        self._collect()
        sock = self._sock
        if sock is None:
            return
        try:
            while self._outbox:
                del self._outbox[: sock.send(self._outbox)]
        except WOULD_BLOCK:
            pass
        except OSError as error:
            self.break_off(outcome_of_error(error, Phase.OPEN))
            return
        if bool(self._outbox) != self._is_full:
            self._is_full = bool(self._outbox)
            self._desk.poller.modify(sock.fileno(), READ | WRITE if self._is_full else READ)
        if len(self._outbox) > 2 * OUTBOX_MAX:
            self.break_off(Outcome.PROTOCOL)

    # ---- receiving

    def readable(self) -> int:
        """Take what came. It gives no time: several responses may have been in it, and their streams are released."""
        sock = self._sock
        if sock is None:
            return 0
        try:
            data = sock.recv(RECEIVE)
        except WOULD_BLOCK:
            self._go_on()
            return 0
        except OSError as error:
            self.break_off(outcome_of_error(error, Phase.OPEN))
            return 0
        if not data:
            self.break_off(Outcome.EOF)
            return 0
        self._lead.bytes += len(data)
        self._heard_ns = now_ns()
        try:
            self._take(data)
        except (ProtocolError, h2.exceptions.ProtocolError):
            self.break_off(Outcome.PROTOCOL)
        if self._sock is not None:
            self._go_on()
        return 0

    def _take(self, data: bytes) -> None:
        frames, goodbyes = self._frames.feed(data)
        for event in self._h2.receive_data(frames):
            handle = HANDLERS.get(type(event))
            if handle is not None:
                handle(self, event)
        for goodbye in goodbyes:
            self._said_goodbye(goodbye)
        if self.is_retired and not self._streams and not self._waiting:
            self.close()

    def _said_goodbye(self, goodbye: Goodbye) -> None:
        """Begin nothing more here; what the server will not look at goes elsewhere, or has failed."""
        self.is_retired = True
        away = [number for number in self._streams if number > goodbye.last_stream]
        streams = [*(self._streams.pop(number) for number in away), *self._waiting]
        self._waiting.clear()
        for stream in streams:
            stream.turned_away()

    def settings(self, event: h2.events.RemoteSettingsChanged) -> None:
        """Learn how many streams the server allows."""
        self._allowed = self._h2.remote_settings.max_concurrent_streams

    def headers(self, event: h2.events.ResponseReceived) -> None:
        """Read a head."""
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            self._read_head(stream, event.headers)

    def _read_head(self, stream: Rider, fields: Iterable[Any]) -> None:
        wire: Iterable[Field] = fields
        try:
            stream.head = head_of(self._desk.heads, wire)
        except ProtocolError:
            self._refuse(stream, Outcome.PROTOCOL)

    def informational(self, event: h2.events.InformationalResponseReceived) -> None:
        """Count 1xx responses: some are polite, many are a flood."""
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.informational += 1
            if stream.informational > INFORMATIONAL_MAX:
                self._refuse(stream, Outcome.PROTOCOL)

    def data(self, event: h2.events.DataReceived) -> None:
        """Take a piece of a body, and make room for the next."""
        self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        stream = self._streams.get(event.stream_id)
        if stream is not None and not stream.took(event.data):
            self._refuse(stream, Outcome.TOO_LARGE)

    def stream_ended(self, event: h2.events.StreamEnded) -> None:
        """Finish a response; one that comes before the whole request was taken ends that too."""
        stream = self._streams.pop(event.stream_id, None)
        if stream is None:
            return
        if stream.rest:
            self._h2.reset_stream(stream.id, h2.errors.ErrorCodes.NO_ERROR)
        if stream.head is None:
            stream.fail(Outcome.PROTOCOL)
        else:
            stream.complete(stream.head)

    def stream_reset(self, event: h2.events.StreamReset) -> None:
        """Take a stream's violent end."""
        stream = self._streams.pop(event.stream_id, None)
        if stream is None:
            return
        if event.error_code == h2.errors.ErrorCodes.REFUSED_STREAM:  # RFC 9113 8.7: nothing was done with it
            stream.turned_away()
        else:
            stream.fail(Outcome.RESET)

    def _refuse(self, stream: Rider, outcome: Outcome) -> None:
        self.drop(stream)
        stream.fail(outcome)

    def drop(self, stream: Rider) -> None:
        """Want a stream no more. A connection that said nothing since it was sent is not trusted with another one."""
        if stream in self._waiting:
            self._waiting.remove(stream)
        elif self._streams.pop(stream.id, None) is not None:
            with contextlib.suppress(h2.exceptions.ProtocolError):  # it has just been closed by the other side
                self._h2.reset_stream(stream.id, h2.errors.ErrorCodes.CANCEL)
            self._write()
        if self._heard_ns < stream.sent:
            self.retire()


HANDLERS: dict[type, Callable[[Link, Any], None]] = {
    h2.events.RemoteSettingsChanged: Link.settings,
    h2.events.ResponseReceived: Link.headers,
    h2.events.InformationalResponseReceived: Link.informational,
    h2.events.DataReceived: Link.data,
    h2.events.StreamEnded: Link.stream_ended,
    h2.events.StreamReset: Link.stream_reset,
}
