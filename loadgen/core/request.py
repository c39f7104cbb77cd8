"""The bytes of a request, encoded once; only what must differ each time is filled in.

A template is a tuple of parts with a slot between two neighbours; each slot says what goes there. Most requests have no
slot at all, and then sending is one system call with a constant.
"""

import functools
from dataclasses import dataclass
from enum import IntEnum

from loadgen.core.chance import bits
from loadgen.core.plan import Arm, Plan, Target, parts_of

USER_AGENT = "rollout-loadgen/1 (+https://github.com/rollout-dev/rollout)"
MARKER = ("x-synthetic", "loadgen")
UUID_MARK = "{uuid}"  # fortio's token: replaced by a fresh UUID for each request


class Slot(IntEnum):
    """What is filled in for each request."""

    TRACE = 0
    UUID = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A request's bytes, with slots between the parts."""

    parts: tuple[bytes, ...]
    slots: tuple[Slot, ...] = ()

    def fill(self, seed: int, index: int, *, sampled: bool) -> bytes:
        """Write request *index*'s own values into the slots."""
        if not self.slots:
            return self.parts[0]
        pieces = [self.parts[0]]
        for place, slot in enumerate(self.slots):
            pieces.append(trace_value(seed, index, sampled=sampled) if slot is Slot.TRACE else uuid(seed, index))
            pieces.append(self.parts[place + 1])
        return b"".join(pieces)


def trace_id(seed: int, index: int) -> str:
    """Give the W3C trace id of a request: the run's half, then the request's own, which is also the span's id."""
    return f"{run_half(seed):016x}{bits(seed, index) | 1:016x}"


@functools.cache
def run_half(seed: int) -> int:
    """Give the half of the trace ids that all requests of a run share: one search finds the whole run."""
    return bits(seed ^ 0x5BA, 0) | 1


def trace_value(seed: int, index: int, *, sampled: bool) -> bytes:
    """Give the value of the traceparent header (W3C Trace Context, version 00)."""
    return b"00-%016x%016x-%016x-0%d" % (run_half(seed), own := bits(seed, index) | 1, own, sampled)


def uuid(seed: int, index: int) -> bytes:
    """Give a random (version 4) UUID."""
    high, low = bits(seed ^ 0x1D, 2 * index), bits(seed ^ 0x1D, 2 * index + 1)
    text = f"{high & ~0xF000 | 0x4000:016x}{low & ~(3 << 62) | 1 << 63:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}".encode()


def merged_headers(plan: Plan, target: Target, arm: Arm) -> list[tuple[str, str]]:
    """Put the headers together: the arm's over the target's over ours."""
    parts = parts_of(target.url)
    fields: dict[str, list[tuple[str, str]]] = {
        "host": [("Host", parts.netloc)],
        "user-agent": [("User-Agent", USER_AGENT)],
    }
    fields["accept"] = [("Accept", "*/*")]
    if plan.marker:
        fields[MARKER[0]] = [MARKER]
    for layer in (target.headers, arm.headers):
        fresh: dict[str, list[tuple[str, str]]] = {}
        for name, value in layer:
            fresh.setdefault(name.lower(), []).append((name, value))
        fields.update(fresh)
    dropped = {"content-length", "transfer-encoding"}
    return [
        (name, value)
        for key, pairs in fields.items()
        if key not in dropped
        for name, value in pairs
        if value or key != "user-agent"
    ]


def encode(plan: Plan, target: Target, arm: Arm) -> Template:
    """Encode an HTTP/1.1 request."""
    parts = parts_of(target.url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"{target.method} {path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in merged_headers(plan, target, arm)),
    ]
    if target.body or target.method in {"POST", "PUT", "PATCH"}:
        length = len(target.body) + target.body.count(UUID_MARK.encode()) * (36 - len(UUID_MARK))
        lines.append(f"Content-Length: {length}")
    head = "\r\n".join(lines).encode("latin-1")
    slots: list[Slot] = []
    whole: list[bytes] = []
    pieces = (
        [head + b"\r\ntraceparent: ", b"\r\n\r\n" + target.body] if plan.trace else [head + b"\r\n\r\n" + target.body]
    )
    for place, piece in enumerate(pieces):
        fragments = piece.split(UUID_MARK.encode())
        whole.extend(fragments)
        slots.extend([Slot.UUID] * (len(fragments) - 1))
        if place + 1 < len(pieces):
            slots.append(Slot.TRACE)
    return Template(parts=tuple(whole), slots=tuple(slots))
