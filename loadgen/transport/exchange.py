"""One request at a time on one blocking connection: for a single call, and for callers that count in threads.

No engine, no schedule: the same bytes, the same strict parser, the same names for what goes wrong.
"""

import contextlib
import socket
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from loadgen.core.http1 import ResponseReader, TooLargeError
from loadgen.core.http1_head import HeadReader, ProtocolError
from loadgen.core.outcome import Outcome
from loadgen.core.plan import VersionFrom
from loadgen.transport.address import AddressBook
from loadgen.transport.clock import now_ns
from loadgen.transport.connection import Phase, outcome_of_error, outcome_of_timeout

RECEIVE = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one call."""

    outcome: Outcome  # OK when there was a whole response, whatever its status
    status: int  # 0 without one
    head: bytes  # as it came, with the empty line
    body: bytes
    raw: bytes  # everything, with whatever framing there was
    closes: bool


class Caller:
    """A connection that is opened when it is needed and kept while it can be."""

    def __init__(
        self,
        addresses: AddressBook,
        server_name: str,
        context: ssl.SSLContext | None,
        *,
        timeout_s: float,
        size_max: int,
        bodiless: bool = False,
    ) -> None:
        self._addresses, self._server_name, self._context = addresses, server_name, context
        self._timeout_ns = round(timeout_s * 1e9)
        self._reader = ResponseReader(HeadReader(VersionFrom()), size_max, kept_max=size_max)
        self._reader.bodiless = bodiless
        self._sock: socket.socket | None = None
        self._phase = Phase.CLOSED
        self.connect_ns: list[int] = []  # one for each connection opened
        self.connected_to: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        """Whether a connection is kept."""
        return self._sock is not None

    def call(self, request: bytes) -> Answer:
        """Send a request and read its response; every failure is an answer too, and closes."""
        until = now_ns() + self._timeout_ns
        self._reader.reset()
        raw = bytearray()
        try:
            sock = self._sock or self._connect(until)
            limit(sock, until)
            sock.sendall(request)
            while not self._read(sock, until, raw):
                pass
        except TimeoutError:
            return self._failed(outcome_of_timeout(self._phase), raw)
        except (ProtocolError, TooLargeError) as error:
            return self._failed(Outcome.PROTOCOL if isinstance(error, ProtocolError) else Outcome.TOO_LARGE, raw)
        except OSError as error:
            return self._failed(outcome_of_error(error, self._phase), raw)
        except EOFError:
            return self._failed(Outcome.EOF, raw)
        head = self._reader.head
        assert head is not None, "a complete response has a head"
        if head.close:
            self.close()
        return self._answer(Outcome.OK, head.status, raw, closes=head.close)

    def _connect(self, until: int) -> socket.socket:
        begin = now_ns()
        family, where = self._addresses.next()
        self._phase = Phase.CONNECTING
        sock = self._sock = socket.socket(family, socket.SOCK_STREAM)
        limit(sock, until)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(where)
        self.connected_to.append(where if isinstance(where, str) else f"{where[0]}:{where[1]}")
        if self._context is not None:
            self._phase = Phase.SHAKING
            sock = self._sock = self._context.wrap_socket(sock, server_hostname=self._server_name)
        self._phase = Phase.OPEN
        self.connect_ns.append(now_ns() - begin)
        return sock

    def _read(self, sock: socket.socket, until: int, raw: bytearray) -> bool:
        """Read once; True when the response is complete."""
        limit(sock, until)
        data = sock.recv(RECEIVE)
        if data:
            raw += data
            return self._reader.feed(data)
        if self._reader.eof():
            return True
        raise EOFError

    def _failed(self, outcome: Outcome, raw: bytearray) -> Answer:
        self.close()
        return self._answer(outcome, 0, raw, closes=True)

    def _answer(self, outcome: Outcome, status: int, raw: bytearray, *, closes: bool) -> Answer:
        reader = self._reader
        return Answer(
            outcome=outcome,
            status=status,
            head=reader.raw_head,
            body=bytes(reader.body),
            raw=bytes(raw),
            closes=closes,
        )

    def close(self) -> None:
        """Let go of the connection."""
        if self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.close()
        self._sock, self._phase = None, Phase.CLOSED


def limit(sock: socket.socket, until: int) -> None:
    """Give a blocking call the time that is left of the whole."""
    left_ns = until - now_ns()
    if left_ns <= 0:
        raise TimeoutError
    sock.settimeout(left_ns / 1e9)
