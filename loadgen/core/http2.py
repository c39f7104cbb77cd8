"""What of HTTP/2 needs no socket: a request's fields, a response's head, and the frames that say goodbye.

The framing and the header compression are the `h2` library's (the extra `http2`), let in through one door,
`transport/http2_link.py`. Three things are ours because they are policy: what we send; what a head means (it goes
through the HTTP/1.1 reader, so that versions, proxies and Retry-After mean the same); and GOAWAY. The library takes
that for the end of everything, but a server that retires a connection finishes what it has begun (RFC 9113 6.8), so
those frames are taken out of the stream before the library sees them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from loadgen.core.http1_head import Head, HeadReader, ProtocolError
from loadgen.core.plan import Arm, Plan, Target, parts_of
from loadgen.core.request import UUID_MARK, Slot, Template, merged_headers

FRAME_HEAD = 9  # RFC 9113 4.1: length 24, type 8, flags 8, stream 31
FRAME_MAX = 16_384  # SETTINGS_MAX_FRAME_SIZE: we never announce more
GOAWAY = 7
GOAWAY_MIN = 8  # last stream 31, error code 32
INFORMATIONAL_MAX = 8  # 1xx responses before the real one, as in HTTP/1.1

Field = tuple[bytes, bytes]
HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "upgrade", "host"})  # RFC 9113 8.2.2; 8.3.1


@dataclass(frozen=True, slots=True)
class Call:
    """One request, ready to be sent."""

    fields: tuple[Field, ...]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTemplate:
    """A request with slots."""

    fields: tuple[tuple[bytes, Template], ...]
    body: Template

    @property
    def varies(self) -> bool:
        """Whether two requests differ."""
        return bool(self.body.slots) or any(value.slots for _, value in self.fields)

    def fill(self, seed: int, index: int, *, sampled: bool) -> Call:
        """Write request *index*'s own values into the slots."""
        return Call(
            tuple((name, value.fill(seed, index, sampled=sampled)) for name, value in self.fields),
            self.body.fill(seed, index, sampled=sampled),
        )


def encode(plan: Plan, target: Target, arm: Arm) -> CallTemplate:
    """Encode an HTTP/2 request."""
    parts = parts_of(target.url)
    fields = merged_headers(plan, target, arm)
    authority = next((value for name, value in fields if name.lower() == "host"), parts.netloc)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    pseudo = [(":method", target.method), (":scheme", parts.scheme), (":authority", authority), (":path", path)]
    regular = [(name.lower(), value) for name, value in fields if name.lower() not in HOP_BY_HOP]
    trace = [(b"traceparent", Template(parts=(b"", b""), slots=(Slot.TRACE,)))] if plan.trace else []
    return CallTemplate(
        fields=(*((name.encode(), slotted(value.encode("latin-1"))) for name, value in (*pseudo, *regular)), *trace),
        body=slotted(target.body),
    )


def slotted(value: bytes) -> Template:
    """Make a template of bytes with `{uuid}` in them."""
    pieces = tuple(value.split(UUID_MARK.encode()))
    return Template(parts=pieces, slots=(Slot.UUID,) * (len(pieces) - 1))


def head_of(reader: HeadReader, fields: Iterable[Field]) -> Head:
    """Say what a response's fields mean. Raises ProtocolError."""
    lines = []
    status = b""
    for name, value in fields:
        if name == b":status":
            status = value
        else:
            lines.append(name + b": " + value)
    return reader.read(b"\r\n".join([b"HTTP/1.1 " + status, *lines]), bodiless=True)


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The server begins nothing after this stream, and closes when it has ended what it has begun."""

    last_stream: int


class Frames:
    """Cuts a stream of bytes into whole frames, and takes the GOAWAYs out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> tuple[bytes, list[Goodbye]]:
        """Give the whole frames so far, as they came, and the goodbyes that were between them."""
        data = self._rest + data
        at, begin, size = 0, 0, len(data)
        kept: list[bytes] = []
        goodbyes: list[Goodbye] = []
        while size - at >= FRAME_HEAD:
            length = int.from_bytes(data[at : at + 3], "big")
            if length > FRAME_MAX:
                raise ProtocolError("a frame longer than announced, or no HTTP/2 at all")
            end = at + FRAME_HEAD + length
            if end > size:
                break
            if data[at + 3] == GOAWAY:
                goodbyes.append(goodbye(data[at + FRAME_HEAD : end]))
                kept.append(data[begin:at])
                begin = end
            at = end
        kept.append(data[begin:at])
        self._rest = data[at:]
        return b"".join(kept), goodbyes


def goodbye(payload: bytes) -> Goodbye:
    """Read a GOAWAY's payload."""
    if len(payload) < GOAWAY_MIN:
        raise ProtocolError("GOAWAY")
    return Goodbye(int.from_bytes(payload[:4], "big") & 0x7FFF_FFFF)
