"""Small servers on real loopback sockets, each in a thread of its own, that behave and misbehave as told."""

import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

Talk = Callable[[socket.socket], None]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-rollout-version: v1\r\n\r\nhello"
CERTIFICATE = Path(__file__).parent / "localhost.pem"  # self-signed, for localhost and 127.0.0.1, with its key


class Server:
    """Calls *talk* with every connection; what it raises when a peer goes away is its own business."""

    def __init__(self, talk: Talk, *, unix: Path | None = None, tls: bool = False, alpn: str = "") -> None:
        self._talk = talk
        self._tls: ssl.SSLContext | None = None
        if tls:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(CERTIFICATE)
            if alpn:
                self._tls.set_alpn_protocols([alpn])
        self._listener = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        self._listener.bind(str(unix) if unix else ("127.0.0.1", 0))
        self._listener.listen(512)
        self.port = 0 if unix else int(self._listener.getsockname()[1])
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}/"
        self.accepted = 0
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sock in (self._listener, *self._connections):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(timeout=5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._connections.append(connection)
            self._talk(connection)
        connection.close()


def read_request(connection: socket.socket) -> bytes:
    """Read one request to its end; EOFError when the peer has gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += received(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    missing = int(length[1]) - len(body) if length else 0
    while missing > 0:
        part = received(connection)
        missing -= len(part)
        body += part
    return head + b"\r\n\r\n" + body


def received(connection: socket.socket) -> bytes:
    part = connection.recv(65_536)
    if not part:
        raise EOFError
    return part


class Answers:
    """Answers each request with the next of some responses, the last one for ever; keeps what was asked."""

    def __init__(self, *responses: bytes) -> None:
        self._responses = responses or (OK,)
        self._lock = threading.Lock()
        self.asked: list[bytes] = []
        self.calls: list[int] = []  # by connection, in the order of accepting

    def __call__(self, connection: socket.socket) -> None:
        with self._lock:
            place = len(self.calls)
            self.calls.append(0)
        while True:
            request = read_request(connection)
            with self._lock:
                response = self._responses[min(len(self.asked), len(self._responses) - 1)]
                self.asked.append(request)
                self.calls[place] += 1
            connection.sendall(response)


def once(misbehave: Talk) -> Talk:
    """Misbehave on the first request of all, and be good from then on."""
    good = Answers()
    lock = threading.Lock()
    times: list[int] = []

    def talk(connection: socket.socket) -> None:
        request = read_request(connection)
        with lock:
            is_first = not times
            times.append(1)
        if is_first:
            misbehave(connection)
            return
        assert request
        connection.sendall(OK)
        good(connection)

    return talk


def says(data: bytes, *, then_close: bool = False) -> Talk:
    """Say something, and then nothing more, or goodbye."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(data)
        if not then_close:
            received(connection)

    return talk


def resets(connection: socket.socket, after: bytes = b"") -> None:
    """Tear the connection down with a RST."""
    connection.sendall(after)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def drips(data: bytes, *, every_s: float = 0.02) -> Talk:
    """Send one byte now and then."""

    def talk(connection: socket.socket) -> None:
        pause = threading.Event()
        for at in range(len(data)):
            connection.sendall(data[at : at + 1])
            pause.wait(every_s)

    return talk


def pours(head: bytes, part: bytes = b"x" * 65_536) -> Talk:
    """Send a head and then bytes without end."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(part)

    return talk


def swallows(connection: socket.socket) -> None:
    """Take whatever comes and never answer."""
    while True:
        received(connection)
