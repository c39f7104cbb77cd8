"""What the head of an HTTP/1.1 response means, read strictly and remembered exactly.

Fast by remembering, never by guessing: the same bytes parse the same. `HeadReader` remembers what each header *line*
meant, in two generations of 256 lines: lines that return are carried over, lines that never return (request ids) fall
out by themselves and cannot poison the memory. The connection remembers whole heads; that is one comparison. A head
that differs from one before it in the value of one line only, whose value means nothing to us, is three comparisons.

Refused, because two parsers could read it differently (RFC 9112, 9110): duplicate or conflicting lengths, folded
headers, bare CR or LF, NUL, a space before the colon.
"""

import re
import typing
from enum import IntEnum

from loadgen.core.plan import VersionFrom, VersionSource

HEADERS_MAX = 256  # more than any honest server sends; h11 and nginx stop at 100
GENERATION = 256  # lines in one half of the memory
SAMPLE_EVERY = 64  # heads read line by line before one is compared with another: a comparison costs half a reading
HEADS_MAX = 1024  # distinct meanings of a head: statuses x versions x lengths; more than that is noise

STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?")
FIELD_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
FIELD_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
LENGTH = re.compile(rb"[0-9]{1,18}")
VERSION_MAX = 64  # characters of a version kept: it becomes a key


class ProtocolError(ValueError):
    """The bytes are not one well-formed HTTP/1.1 response."""


class Framing(IntEnum):
    """How a body's end is known."""

    LENGTH = 0
    CHUNKED = 1
    CLOSE = 2


class Meaning(IntEnum):
    """What a header line is about, when it is about anything that we read."""

    LENGTH = 1
    CHUNKED = 2
    CLOSE = 3
    KEEP = 4
    VERSION = 5
    ENVOY = 6
    UPSTREAM_TIME = 7
    RETRY_AFTER = 8


class Head:
    """What a response's head says. One object for each meaning, so identity is equality; hence no dataclass."""

    __slots__ = ("close", "framing", "from_proxy", "group", "is_good", "length", "retry_after_s", "status", "version")

    def __init__(self, status: int, framing: Framing, length: int, *, close: bool) -> None:
        self.status = status
        self.framing = framing
        self.length = length
        self.close = close
        self.version = ""
        self.from_proxy = False
        self.retry_after_s = 0
        self.group = -1  # the ledger's number for (version, outcome, status); filled in by whoever accounts
        self.is_good = False  # the same


Status = tuple[int, bool]  # status, whether it was HTTP/1.0 and so closes by default
Effect = tuple[Meaning, int | str] | None
SOMETIMES = frozenset({b"connection", b"server", b"set-cookie", b"retry-after"})  # dull or not by their value
ONCE = frozenset({Meaning.LENGTH, Meaning.CHUNKED})
DULL = 0  # the number of a line that means nothing to us


class HeadReader:
    """Reads heads, and remembers what their lines and they themselves meant.

    A line's effect is kept as a number, so that the key of a whole head is a tuple of small integers: an enumeration's
    hash is a Python function, and would cost more than everything else here.
    """

    def __init__(self, version: VersionFrom) -> None:
        self._version_name = version.key.lower().encode() if version.source is VersionSource.HEADER else b""
        self._cookie = version.key.encode() if version.source is VersionSource.COOKIE else b""
        self._misses = 0
        self._forget()

    def _forget(self) -> None:
        self._sample: list[bytes] = []
        self._before = self._after = b""
        self._size = -1
        self._bodiless = False
        self._same: Head
        self._young: dict[bytes, int] = {}
        self._old: dict[bytes, int] = {}
        self._statuses: dict[bytes, int] = {}
        self._dull_names: set[bytes] = set()
        self._heads: dict[tuple[int, ...], Head] = {}
        self._effects: list[Effect | Status] = [None]
        self._numbers: dict[Effect | Status, int] = {None: DULL}

    def read(self, raw: bytes, *, bodiless: bool = False) -> Head:
        """Read a head without its final empty line; *bodiless* when it answers HEAD."""
        if (
            len(raw) == self._size
            and raw.startswith(self._before)
            and raw.endswith(self._after)
            and bodiless is self._bodiless
            and FIELD_VALUE.fullmatch(raw, len(self._before), self._size - len(self._after))
        ):
            return self._same
        head = self._read_lines(raw, bodiless=bodiless)
        self._misses += 1
        if not self._misses % SAMPLE_EVERY:
            self._compare(raw, head, bodiless=bodiless)
        return head

    def _compare(self, raw: bytes, head: Head, *, bodiless: bool) -> None:
        """Find the one line in which heads differ, if it is one whose value means nothing."""
        lines, sample = raw.split(b"\r\n"), self._sample
        self._sample = lines
        if len(lines) != len(sample):
            return
        places = [place for place, line in enumerate(lines) if line != sample[place]]
        name = lines[places[0]].partition(b":")[0] if len(places) == 1 else b""
        if name and name in self._dull_names and sample[places[0]].startswith(name + b":"):
            self._before = b"".join(line + b"\r\n" for line in lines[: places[0]]) + name + b":"
            self._after = b"".join(b"\r\n" + line for line in lines[places[0] + 1 :])
            self._size, self._same, self._bodiless = len(raw), head, bodiless

    def _read_lines(self, raw: bytes, *, bodiless: bool) -> Head:
        """Read a head line by line."""
        lines = raw.split(b"\r\n")
        if len(lines) > HEADERS_MAX:
            raise ProtocolError(f"more than {HEADERS_MAX} header lines")
        line = lines[0]
        key = [bodiless, self._statuses.get(line) or self._learn_status(line)]
        young = self._young
        del lines[0]
        for line in lines:
            number = young.get(line)
            if number is None:
                number = self._recall(line)
                young = self._young
            if number:
                key.append(number)
        numbers = tuple(key)
        return self._heads.get(numbers) or self._learn_head(numbers)

    def _recall(self, line: bytes) -> int:
        """Find a line in the old generation, or learn it; either way it is young again."""
        number = self._old.get(line)
        if number is None:
            number = self._learn(line)
        if len(self._young) >= GENERATION:
            self._old, self._young = self._young, {}
        self._young[line] = number
        return number

    def _learn(self, line: bytes) -> int:
        """Read a line that is new."""
        name, separator, value = line.partition(b":")
        if separator and name in self._dull_names and FIELD_VALUE.fullmatch(value):
            return DULL
        if not (separator and FIELD_NAME.fullmatch(name) and FIELD_VALUE.fullmatch(value)):
            raise ProtocolError("header line")
        number = self._number(self._effect(name.lower(), value.strip(b"\t ")))
        if number == DULL and name.lower() not in SOMETIMES and len(self._dull_names) < GENERATION:
            self._dull_names.add(name)
        return number

    def _number(self, effect: Effect | Status) -> int:
        """Give an effect its number."""
        number = self._numbers.get(effect)
        if number is None:
            number = self._numbers[effect] = len(self._effects)
            self._effects.append(effect)
        return number

    def _learn_status(self, line: bytes) -> int:
        """Read a status line that is new."""
        match = STATUS_LINE.fullmatch(line)
        if match is None:
            raise ProtocolError("status line")
        if len(self._statuses) >= GENERATION:
            self._statuses.clear()
        number = self._statuses[line] = self._number((int(match[2]), match[1] == b"0"))
        return number

    def _learn_head(self, key: tuple[int, ...]) -> Head:
        """Work out what the lines of a head mean together."""
        status = typing.cast("Status", self._effects[key[1]])
        effects = [typing.cast("tuple[Meaning, int | str]", self._effects[number]) for number in key[2:]]
        if len(self._heads) >= HEADS_MAX or len(self._effects) >= HEADS_MAX:  # good or bad: nothing may fill the memory
            self._forget()
            return head_of(status, effects, bodiless=bool(key[0]))
        head = self._heads[key] = head_of(status, effects, bodiless=bool(key[0]))
        return head

    def _effect(self, name: bytes, value: bytes) -> Effect:
        """Say what a header means for us."""
        if name == self._version_name:
            return Meaning.VERSION, version_of(value)
        if name == b"content-length":
            if not LENGTH.fullmatch(value):
                raise ProtocolError("content-length")
            return Meaning.LENGTH, int(value)
        if name == b"transfer-encoding":
            if value.lower() != b"chunked":
                raise ProtocolError("transfer-encoding other than chunked")
            return Meaning.CHUNKED, 0
        if name == b"connection":
            tokens = {token.strip() for token in value.lower().split(b",")}
            return (Meaning.CLOSE, 0) if b"close" in tokens else (Meaning.KEEP, 0) if b"keep-alive" in tokens else None
        return self._effect_of_rare(name, value)

    def _effect_of_rare(self, name: bytes, value: bytes) -> Effect:
        if name == b"server" and value.endswith(b"envoy"):  # envoy and istio-envoy
            return Meaning.ENVOY, 0
        if name == b"x-envoy-upstream-service-time":
            return Meaning.UPSTREAM_TIME, 0
        if name == b"retry-after" and value.isdigit() and len(value) < 10:
            return Meaning.RETRY_AFTER, int(value)
        if name == b"set-cookie" and self._cookie:
            cookie, separator, rest = value.partition(b"=")
            if separator and cookie.strip() == self._cookie:
                return Meaning.VERSION, version_of(rest.partition(b";")[0])
        return None


def head_of(status: Status, effects: list[tuple[Meaning, int | str]], *, bodiless: bool) -> Head:
    """Say what a status and the effects of the header lines mean together; of two versions the first one counts."""
    found: dict[Meaning, int | str] = {}
    for kind, value in effects:
        if kind in ONCE and kind in found:
            raise ProtocolError("two content-lengths or transfer-encodings")
        found.setdefault(kind, value)
    if Meaning.CHUNKED in found and (Meaning.LENGTH in found or status[1]):
        raise ProtocolError("transfer-encoding with content-length or HTTP/1.0")
    head = framed(status, found, bodiless=bodiless)
    head.version = str(found.get(Meaning.VERSION, ""))
    head.from_proxy = Meaning.ENVOY in found and Meaning.UPSTREAM_TIME not in found
    head.retry_after_s = int(found.get(Meaning.RETRY_AFTER, 0))
    return head


def framed(status: Status, found: dict[Meaning, int | str], *, bodiless: bool) -> Head:
    """Say how the body ends: RFC 9112 6.3."""
    code, is_old = status
    close = Meaning.CLOSE in found or (is_old and Meaning.KEEP not in found)
    if bodiless or code < 200 or code in {204, 304}:
        return Head(code, Framing.LENGTH, 0, close=close)
    if Meaning.CHUNKED in found:
        return Head(code, Framing.CHUNKED, -1, close=close)
    if Meaning.LENGTH in found:
        return Head(code, Framing.LENGTH, int(found[Meaning.LENGTH]), close=close)
    return Head(code, Framing.CLOSE, -1, close=True)


def version_of(value: bytes) -> str:
    """Make a version out of bytes from the wire: short and printable."""
    text = value.strip(b'\t "').decode("latin-1")[:VERSION_MAX]
    return text if text.isprintable() else ""
