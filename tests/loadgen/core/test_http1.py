"""Bytes in, completeness out: however they are cut, strict, and bounded."""

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loadgen.core.http1 import (
    CHUNK_LINE_MAX,
    HEAD_BYTES_MAX,
    INFORMATIONAL_MAX,
    ResponseReader,
    State,
    TooLargeError,
)
from loadgen.core.http1_head import HEADERS_MAX, HeadReader, ProtocolError
from loadgen.core.plan import VersionFrom
from tests.loadgen.properties import repeatable

OK = b"HTTP/1.1 200 OK\r\n"
SMALL = OK + b"content-length: 5\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\n\r\n"
TRAILERS = OK + b"Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n000\r\nx-sum: 7\r\nx-b:\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + SMALL
RESPONSES = {
    "small": (SMALL, b"hello"),
    "chunked": (CHUNKED, b"hello world"),
    "trailers": (TRAILERS, b"abc"),
    "informational": (CONTINUE, b"hello"),
    "no content": (b"HTTP/1.1 204 No Content\r\nserver: x\r\n\r\n", b""),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 500\r\n\r\n", b""),
    "empty": (OK + b"content-length: 0\r\n\r\n", b""),
}


def reader(size_max: int = 1 << 20, *, kept_max: int = 1 << 20) -> ResponseReader:
    return ResponseReader(HeadReader(VersionFrom()), size_max, kept_max=kept_max)


def feed_all(into: ResponseReader, pieces: list[bytes]) -> list[bool]:
    return [into.feed(piece) for piece in pieces]


@pytest.mark.parametrize("name", RESPONSES)
def test_a_response_may_be_cut_at_every_byte(name: str) -> None:
    data, body = RESPONSES[name]
    for cut in range(1, len(data)):
        read = reader()
        assert feed_all(read, [data[:cut], data[cut:]]) == [False, True]
        assert bytes(read.body) == body
        assert read.size == len(data)


@pytest.mark.parametrize("name", RESPONSES)
def test_a_response_may_come_byte_by_byte(name: str) -> None:
    data, body = RESPONSES[name]
    read = reader()
    done = feed_all(read, [data[at : at + 1] for at in range(len(data))])
    assert done == [False] * (len(data) - 1) + [True]
    assert bytes(read.body) == body


@repeatable
@given(st.sampled_from(sorted(RESPONSES)), st.lists(st.integers(1, 40), max_size=30), st.integers(1, 3))
def test_one_reader_reads_one_response_after_another(name: str, cuts: list[int], times: int) -> None:
    data, body = RESPONSES[name]
    read = reader()
    for _ in range(times):
        rest, done = data, False
        for cut in [*cuts, len(data)]:
            piece, rest = rest[:cut], rest[cut:]
            done = read.feed(piece) if piece else done
        assert done
        assert read.started
        assert bytes(read.body) == body
        read.reset()
        assert not read.started


def test_the_answer_to_head_has_no_body_whatever_it_announces() -> None:
    read = reader()
    read.bodiless = True
    assert read.feed(OK + b"content-length: 5000\r\n\r\n")
    read.reset()
    assert read.feed(OK + b"transfer-encoding: chunked\r\n\r\n")


def test_without_a_length_the_end_of_the_stream_is_the_end() -> None:
    read = reader()
    assert feed_all(read, [OK + b"\r\nabc", b"def"]) == [False, False]
    assert read.eof()
    assert bytes(read.body) == b"abcdef"
    assert read.head is not None
    assert read.head.close


@pytest.mark.parametrize("part", [b"", OK, SMALL[:-1], CHUNKED[:-2]])
def test_the_end_of_the_stream_is_no_end_anywhere_else(part: bytes) -> None:
    read = reader()
    if part:
        read.feed(part)
    assert not read.eof()


def test_bytes_after_a_response_are_an_error() -> None:
    with pytest.raises(ProtocolError, match="after the response"):
        reader().feed(SMALL + b"H")
    with pytest.raises(ProtocolError, match="after the response"):
        reader().feed(CHUNKED + SMALL)
    read = reader()
    read.feed(SMALL)
    with pytest.raises(ProtocolError, match="after the response"):
        read.feed(b"x")


@pytest.mark.parametrize(
    "data",
    [
        b"banana",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/3.14 200\r\n\r\n",
        b"HTTP/1.1 999 x\r\n\r\n",
        b"HTTP/1.1 099 x\r\n\r\n",
        b"HTTP/1.1 20 x\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 200 a\x00b\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        OK + b"a: b\r\n c: folded\r\n\r\n",
        OK + b"a : b\r\n\r\n",
        OK + b"a\r\n\r\n",
        OK + b": b\r\n\r\n",
        OK + b"a: b\nc: d\r\n\r\n",
        OK + b"a: b\rc\r\n\r\n",
        OK + b"a: \x00\r\n\r\n",
        OK + b"content-length: 5\r\ncontent-length: 5\r\n\r\nhello",
        OK + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        OK + b"content-length: 5, 5\r\n\r\nhello",
        OK + b"content-length: -1\r\n\r\n",
        OK + b"content-length: +1\r\n\r\n",
        OK + b"content-length: 1234567890123456789\r\n\r\n",
        OK + b"content-length:\r\n\r\n",
        OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n-5\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n0x5\r\nhello\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhelloworld\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n0\r\nbad trailer\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n0\r\na b: c\r\n\r\n",
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        reader().feed(data)


def test_a_head_is_bounded_while_it_grows_and_when_it_is_there() -> None:
    read = reader()
    line = b"x: " + b"y" * 1000 + b"\r\n"
    read.feed(OK)
    with pytest.raises(ProtocolError, match="longer than"):
        feed_all(read, [line] * (HEAD_BYTES_MAX // 1000 + 2))
    assert read.size <= HEAD_BYTES_MAX + 2 * len(line)
    with pytest.raises(ProtocolError, match="longer than"):
        reader().feed(OK + b"x: " + b"y" * HEAD_BYTES_MAX + b"\r\n\r\n")


def test_header_lines_trailers_and_informational_responses_are_counted() -> None:
    with pytest.raises(ProtocolError, match="header lines"):
        reader().feed(OK + b"a: b\r\n" * HEADERS_MAX + b"\r\n")
    with pytest.raises(ProtocolError, match="trailer"):
        reader().feed(OK + b"transfer-encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * (HEADERS_MAX + 1) + b"\r\n")
    hint = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    assert reader().feed(hint * INFORMATIONAL_MAX + SMALL)
    with pytest.raises(ProtocolError, match="informational"):
        reader().feed(hint * (INFORMATIONAL_MAX + 1))


@pytest.mark.parametrize("ending", [b"", b"\r\n"])
def test_a_chunk_line_is_bounded(ending: bytes) -> None:
    with pytest.raises(ProtocolError, match="too long"):
        reader().feed(OK + b"transfer-encoding: chunked\r\n\r\n5;" + b"x" * CHUNK_LINE_MAX + ending)


def test_a_response_that_is_too_large_is_refused_as_soon_as_that_is_known() -> None:
    exactly = len(SMALL)
    assert reader(exactly).feed(SMALL)
    with pytest.raises(TooLargeError, match="more than"):
        reader(exactly - 1).feed(SMALL)
    with pytest.raises(TooLargeError, match="content-length"):
        reader(exactly - 1).feed(SMALL[:-5])
    with pytest.raises(TooLargeError, match="chunk of"):
        reader(1000).feed(OK + b"transfer-encoding: chunked\r\n\r\nffff\r\n")
    endless = reader(1000)
    endless.feed(OK + b"\r\n")
    with pytest.raises(TooLargeError, match="more than"):
        feed_all(endless, [b"x" * 100] * 11)


def test_the_part_of_a_body_that_came_with_its_head_counts_once() -> None:
    data = OK + b"content-length: 50\r\n\r\n" + b"x" * 50
    assert feed_all(reader(len(data)), [data[:80], data[80:]]) == [False, True]


def test_bodies_are_kept_only_when_asked_and_not_without_bound() -> None:
    read = reader(kept_max=0)
    read.feed(SMALL)
    assert read.body == b""
    long = reader(4000, kept_max=1000)
    long.feed(OK + b"\r\n")
    for _ in range(3):
        long.feed(b"x" * 500)
    assert len(long.body) == 1000


def test_only_a_body_of_known_length_may_be_counted_down() -> None:
    read = reader()
    read.feed(SMALL[:-2])
    assert (read.state, read.need, read.raw_head) == (State.BODY, 2, SMALL[:-5])


# ---- against h11, which reads the same RFC

VISIBLE = st.text(alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=","), max_size=12)
NAME = st.text(alphabet="abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=10).map(lambda name: "x-" + name)
FIELDS = st.lists(st.tuples(NAME, VISIBLE), max_size=6)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    status = draw(st.sampled_from([200, 204, 304, 404, 503]))
    head = f"HTTP/1.1 {status} x\r\n" + "".join(f"{name}: {value}\r\n" for name, value in draw(FIELDS))
    body = draw(st.binary(max_size=60))
    if draw(st.booleans()):
        parts = [body[at : at + 7] for at in range(0, len(body), 7)]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        return head.encode() + b"transfer-encoding: chunked\r\n\r\n" + (b"" if status in (204, 304) else chunks)
    return head.encode() + b"content-length: %d\r\n\r\n" % len(body) + (b"" if status in (204, 304) else body)


def by_h11(data: bytes) -> tuple[int, bytes] | None:
    """Give status and body, or None where h11 finds the stream wrong or incomplete."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    status, body = 0, b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return (status, body) if not connection.trailing_data[0] else None
            elif event is h11.NEED_DATA or event is h11.PAUSED:
                return None
    except h11.RemoteProtocolError:
        return None


def by_us(data: bytes) -> tuple[int, bytes] | None:
    read = reader()
    try:
        done = read.feed(data)
    except (ProtocolError, TooLargeError):
        return None
    return (read.head.status, bytes(read.body)) if done and read.head else None


@settings(repeatable, max_examples=150)
@given(streams())
def test_a_valid_stream_reads_as_h11_reads_it(data: bytes) -> None:
    assert by_us(data) == by_h11(data) is not None


@settings(repeatable, max_examples=300)
@given(streams(), st.integers(0, 400), st.binary(max_size=4), st.integers(0, 3))
@example(SMALL, 17, b"\r\n", 0)
def test_a_broken_stream_is_never_read_as_something_else_than_h11_reads(
    data: bytes, at: int, put: bytes, cut: int
) -> None:
    """We may refuse more than h11 does; what we accept, it must read the same."""
    broken = data[: at % (len(data) + 1)] + put + data[at % (len(data) + 1) + cut :]
    ours = by_us(broken)
    assert ours is None or ours == by_h11(broken)


@settings(repeatable, max_examples=600)
@given(st.binary(max_size=300))
def test_noise_neither_crashes_nor_fills_the_reader(noise: bytes) -> None:
    for start in (b"", OK, OK + b"transfer-encoding: chunked\r\n\r\n"):
        read = reader(10_000)
        try:
            read.feed(start + noise)
        except (ProtocolError, TooLargeError):
            continue
        assert read.size == len(start + noise)
