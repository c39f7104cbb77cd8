"""The HTTP/1.1 response parser: bytes in, completeness out; bounded, strict, and without a socket.

Strict where leniency has a price: a response that two parsers could read differently is a protocol error, because
request smuggling lives in that difference. RFC 9112. What a head means is `http1_head.py`'s business; this one walks
through head, body, chunks and trailers, however the bytes are cut.
"""

import re
from enum import IntEnum

from loadgen.core.http1_head import (
    FIELD_NAME,
    FIELD_VALUE,
    HEADERS_MAX,
    Framing,
    Head,
    HeadReader,
    ProtocolError,
)

HEAD_BYTES_MAX = 65_536  # number 41 of the bad-input catalogue: at most 64 KiB buffered
INFORMATIONAL_MAX = 8  # 1xx responses before the real one (number 43)
CHUNK_LINE_MAX = 1024  # a size and its extensions; chunk extensions are unused in practice
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?")


class TooLargeError(ValueError):
    """The response is longer than we are willing to read."""


class State(IntEnum):
    """Where in a response we are."""

    HEAD = 0
    BODY = 1
    CHUNK_SIZE = 2
    CHUNK_DATA = 3
    CHUNK_END = 4
    TRAILERS = 5
    UNTIL_CLOSE = 6
    DONE = 7


class ResponseReader:
    """One response after another, each fed in pieces of any size."""

    __slots__ = (
        "_buffer",
        "_informational",
        "_kept_max",
        "_reader",
        "_size_max",
        "_trailers",
        "bodiless",
        "body",
        "head",
        "need",
        "raw_head",
        "size",
        "state",
    )

    def __init__(self, reader: HeadReader, size_max: int, *, kept_max: int = 0) -> None:
        self._reader = reader
        self._size_max = size_max
        self._kept_max = kept_max  # bytes of a body to keep
        self.bodiless = False
        self.reset()

    def reset(self) -> None:
        """Be ready for the next response."""
        self._buffer = b""
        self._informational = 0
        self._trailers = 0
        self.body = bytearray()
        self.head: Head | None = None
        self.raw_head = b""
        self.need = 0  # bytes still missing from a body or chunk
        self.size = 0  # bytes on the wire
        self.state = State.HEAD

    @property
    def started(self) -> bool:
        """Whether any byte of the response has arrived."""
        return self.size > 0

    def feed(self, data: bytes) -> bool:
        """Take bytes; True when the response is complete."""
        if self.state is State.DONE:
            raise ProtocolError("bytes after the response")
        self.size += len(data)
        if self.size > self._size_max:
            raise TooLargeError(f"more than {self._size_max} bytes")
        data = self._buffer + data if self._buffer else data
        self._buffer = b""
        while data and not self._buffer:
            data = self._step(data)
        return self.state.value == State.DONE

    def eof(self) -> bool:
        """Take the end of the stream; True when that is how the response ends."""
        if self.state is State.UNTIL_CLOSE:
            self.state = State.DONE
            return True
        return False

    def _step(self, data: bytes) -> bytes:
        """Consume what the current state understands and give back the rest."""
        match self.state:
            case State.HEAD:
                return self._read_head(data)
            case State.BODY | State.CHUNK_DATA:
                return self._read_body(data)
            case State.CHUNK_SIZE:
                return self._read_size(data)
            case State.CHUNK_END:
                return self._read_chunk_end(data)
            case State.TRAILERS:
                return self._read_trailer(data)
            case State.UNTIL_CLOSE:
                self._take(data)
                return b""
            case State.DONE:
                raise ProtocolError("bytes after the response")

    def _take(self, data: bytes) -> None:
        if len(self.body) < self._kept_max:
            self.body += data

    def _read_head(self, data: bytes) -> bytes:
        end = data.find(b"\r\n\r\n")
        if end < 0 or end > HEAD_BYTES_MAX:
            if len(data) > HEAD_BYTES_MAX:
                raise ProtocolError(f"head longer than {HEAD_BYTES_MAX} bytes")
            check_beginning(data)
            self._buffer = data
            return b""
        head = self._reader.read(data[:end], bodiless=self.bodiless)
        if head.status < 200:
            self._informational += 1
            if self._informational > INFORMATIONAL_MAX or head.status == 101:
                raise ProtocolError("too many informational responses" if head.status != 101 else "unasked upgrade")
            return data[end + 4 :]
        self.head, self.raw_head = head, data[: end + 4]
        rest = data[end + 4 :]
        self._frame(head, len(rest))
        return rest

    def _frame(self, head: Head, unread: int) -> None:
        match head.framing:
            case Framing.LENGTH:
                if self.size - unread + head.length > self._size_max:
                    raise TooLargeError(f"content-length {head.length}")
                self.need = head.length
                self.state = State.BODY if head.length else State.DONE
            case Framing.CHUNKED:
                self.state = State.CHUNK_SIZE
            case Framing.CLOSE:
                self.state = State.UNTIL_CLOSE

    def _read_body(self, data: bytes) -> bytes:
        part = data[: self.need]
        self._take(part)
        self.need -= len(part)
        if self.need == 0:
            self.state = State.DONE if self.state is State.BODY else State.CHUNK_END
        return data[len(part) :]

    def _line(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Split a bounded line off, or keep what there is of it."""
        end = data.find(b"\r\n")
        if end > CHUNK_LINE_MAX or (end < 0 and len(data) > CHUNK_LINE_MAX):
            raise ProtocolError("chunk or trailer line too long")
        if end < 0:
            self._buffer = data
            return None
        return data[:end], data[end + 2 :]

    def _read_size(self, data: bytes) -> bytes:
        line = self._line(data)
        if line is None:
            return b""
        match = CHUNK_SIZE.fullmatch(line[0])
        if match is None:
            raise ProtocolError("chunk size")
        self.need = int(match[1], 16)
        if self.need > self._size_max:
            raise TooLargeError(f"chunk of {self.need} bytes")
        self.state = State.CHUNK_DATA if self.need else State.TRAILERS
        return line[1]

    def _read_chunk_end(self, data: bytes) -> bytes:
        if len(data) == 1 and data == b"\r":
            self._buffer = data
            return b""
        if data[:2] != b"\r\n":
            raise ProtocolError("chunk longer than its size")
        self.state = State.CHUNK_SIZE
        return data[2:]

    def _read_trailer(self, data: bytes) -> bytes:
        line = self._line(data)
        if line is None:
            return b""
        if not line[0]:
            self.state = State.DONE
            return line[1]
        self._trailers += 1
        name, separator, value = line[0].partition(b":")
        good = separator and FIELD_NAME.fullmatch(name) and FIELD_VALUE.fullmatch(value)
        if self._trailers > HEADERS_MAX or not good:
            raise ProtocolError("trailer")
        return line[1]


def check_beginning(data: bytes) -> None:
    """Refuse at once what can no longer become a status line."""
    if not (data.startswith(b"HTTP/1.") or b"HTTP/1.".startswith(data[:7])):
        raise ProtocolError("not HTTP/1")
