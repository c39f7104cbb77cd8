"""One TCP (or unix) connection under a channel: dialling without waiting, TLS, and naming what went wrong."""

import errno
import socket
import ssl
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from loadgen.core.outcome import Outcome
from loadgen.transport.channel import Desk, Handler, Pool
from loadgen.transport.clock import now_ns
from loadgen.transport.poller import READ, WRITE

OWN_FAULTS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.EACCES}
)
UNDECIDED = frozenset({errno.EALREADY, errno.EINPROGRESS})
TORN_DOWN = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ENOTCONN})


class Phase(StrEnum):
    """How far a connection has come."""

    CLOSED = "closed"
    CONNECTING = "connecting"
    SHAKING = "shaking"  # TLS
    OPEN = "open"


def outcome_of_error(error: OSError, phase: Phase) -> Outcome:
    """Name a socket's error: ours, the network's, or the other side's."""
    if isinstance(error, ssl.SSLError):
        return Outcome.TLS if phase is Phase.SHAKING else Outcome.RESET
    if error.errno in OWN_FAULTS:
        return Outcome.CLIENT
    if phase is Phase.CONNECTING:
        return Outcome.CONNECT
    if phase is Phase.SHAKING:
        return Outcome.TLS
    return Outcome.RESET if error.errno in TORN_DOWN else Outcome.CONNECT


def outcome_of_timeout(phase: Phase) -> Outcome:
    """Name a wait that was too long."""
    match phase:
        case Phase.CONNECTING:
            return Outcome.CONNECT
        case Phase.SHAKING:
            return Outcome.TLS
        case Phase.OPEN | Phase.CLOSED:
            return Outcome.TIMEOUT


class Owner(Handler, Protocol):
    """Whom a connection belongs to: told when it is open, or could not be opened."""

    def opened(self, sock: socket.socket) -> None:
        """The connection is there; the descriptor's events are the owner's now."""

    def not_opened(self, outcome: Outcome) -> None:
        """There is no connection."""


class Flushing:
    """The handler of a connection whose request does not fit into the socket's buffer yet."""

    __slots__ = ("readable",)

    def __init__(self, flushing: Callable[[], int]) -> None:
        self.readable = flushing


class Dialing:
    """A connection on its way: the handler of its descriptor until it is open."""

    __slots__ = ("_context", "_desk", "_family", "_owner", "_pool", "_since_ns", "_where", "phase", "sock")

    def __init__(self, desk: Desk, pool: Pool, owner: Owner, context: ssl.SSLContext | None) -> None:
        self._desk, self._pool, self._owner, self._context = desk, pool, owner, context
        self._since_ns = now_ns()
        self.phase = Phase.CONNECTING
        self.sock: socket.socket | None = None
        self._family, self._where = pool.addresses.next()

    def start(self) -> None:
        """Dial. It may fail at once, and says so to its owner: who therefore has to know it by now."""
        try:
            sock = self.sock = socket.socket(self._family, socket.SOCK_STREAM)
            sock.setblocking(False)
            if self._family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = sock.connect_ex(self._where)
            check(0 if code == errno.EINPROGRESS else code)
        except OSError as error:
            self._give_up(error)
            return
        self._desk.by_fd[sock.fileno()] = self
        self._desk.poller.register(sock.fileno(), WRITE)

    def readable(self) -> int:
        """Go on where the socket left off."""
        sock = self.sock
        if sock is None:
            return 0
        try:
            if self.phase is Phase.CONNECTING:
                code = sock.connect_ex(self._where)  # SO_ERROR is 0 too while it is not decided yet
                if code in UNDECIDED:
                    return 0  # the event was for the descriptor's owner before us
                check(0 if code == errno.EISCONN else code)
                self._connected(sock)
            if self.phase is Phase.SHAKING:
                self._shake()
        except OSError as error:
            self._give_up(error)
        return 0

    def _connected(self, sock: socket.socket) -> None:
        if self._context is None:
            self._open(sock)
            return
        self.phase = Phase.SHAKING
        self.sock = self._context.wrap_socket(
            sock, server_hostname=self._pool.server_name, do_handshake_on_connect=False
        )

    def _shake(self) -> None:
        sock = self.sock
        if not isinstance(sock, ssl.SSLSocket):
            return
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            self._desk.poller.modify(sock.fileno(), READ)
        except ssl.SSLWantWriteError:
            self._desk.poller.modify(sock.fileno(), WRITE)
        else:
            self._open(sock)

    def _open(self, sock: socket.socket) -> None:
        self.phase = Phase.OPEN
        self._desk.poller.modify(sock.fileno(), READ)
        where = self._where
        name = where if isinstance(where, str) else f"{where[0]}:{where[1]}"
        self._desk.connected(name, now_ns() - self._since_ns)
        self._desk.by_fd[sock.fileno()] = self._owner
        self._owner.opened(sock)

    def _give_up(self, error: OSError) -> None:
        outcome = outcome_of_error(error, self.phase)
        self.close()
        self._owner.not_opened(outcome)

    def close(self) -> None:
        """Stop dialling."""
        sock, self.sock = self.sock, None
        if sock is not None:
            hang_up(self._desk, sock)


def check(code: int) -> None:
    """Raise what connecting came to."""
    if code:
        raise OSError(code, "connect")


def hang_up(desk: Desk, sock: socket.socket) -> None:
    """Close a socket that may or may not be watched."""
    fd = sock.fileno()
    if desk.by_fd.pop(fd, None) is not None:
        desk.poller.unregister(fd)
    sock.close()
