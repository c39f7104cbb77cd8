"""The response parser: complete or not, however the bytes are cut; strict where leniency has a price."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.core.http1 import CHUNK_LINE_MAX, HEAD_BYTES_MAX, INFORMATIONAL_MAX, ResponseReader, State, TooLargeError
from loadgen.core.http1_head import HEADERS_MAX, HeadReader, ProtocolError
from loadgen.core.plan import VersionFrom

SIZE_MAX = 1 << 20
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def reader(size_max: int = SIZE_MAX, *, keep_body: bool = True) -> ResponseReader:
    return ResponseReader(HeadReader(VersionFrom()), size_max, keep_body=keep_body)


def whole(data: bytes, *, bodiless: bool = False, eof: bool = False) -> ResponseReader:
    """Feed all at once; the response must be complete then."""
    one = reader()
    one.bodiless = bodiless
    done = one.feed(data)
    assert (one.eof() if eof else done) is True
    return one


GOOD = {
    "length": (OK + b"Content-Length: 5\r\n\r\nhello", b"hello"),
    "empty": (OK + b"Content-Length: 0\r\n\r\n", b""),
    "chunks": (CHUNKED + b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\n\r\n", b"hello world"),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n", b"x"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b""),
    "after early hints": (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok", b"ok"),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_response_is_complete_exactly_at_its_last_byte_wherever_it_is_cut(name: str) -> None:
    data, body = GOOD[name]
    for cut in range(1, len(data)):
        one = reader()
        assert not one.feed(data[:cut]), f"complete after {cut} of {len(data)} bytes"
        assert one.feed(data[cut:])
        assert (bytes(one.body), one.size, one.state) == (body, len(data), State.DONE)


@given(st.sampled_from(sorted(GOOD)), st.lists(st.integers(1, 7), min_size=1, max_size=200))
def test_cutting_into_many_pieces_changes_nothing(name: str, pieces: list[int]) -> None:
    data, body = GOOD[name]
    one, at = reader(), 0
    for length in pieces:
        if at < len(data):
            one.feed(data[at : at + length])
            at += length
    if at < len(data):
        one.feed(data[at:])
    assert (bytes(one.body), one.state) == (body, State.DONE)


def test_an_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    assert whole(OK + b"Content-Length: 5\r\n\r\n", bodiless=True).body == b""


def test_without_a_length_the_end_of_the_stream_is_the_end() -> None:
    one = whole(OK + b"\r\nhello", eof=True)

    assert bytes(one.body) == b"hello"
    assert one.head is not None
    assert one.head.close


def test_a_stream_that_ends_too_early_is_no_end() -> None:
    one = reader()
    assert one.size == 0
    one.feed(OK + b"Content-Length: 5\r\n\r\nhel")

    assert one.started
    assert not one.eof()


def test_bytes_that_were_read_elsewhere_count() -> None:
    one = reader(keep_body=False)
    one.feed(OK + b"Content-Length: 10\r\n\r\n12")

    assert one.need == 8
    assert not one.skipped(5)
    assert one.skipped(3)
    assert one.state is State.DONE
    assert one.body == b""


def test_a_reader_is_used_again() -> None:
    one = whole(GOOD["chunks"][0])
    one.reset()

    assert one.feed(GOOD["length"][0])
    assert bytes(one.body) == b"hello"


def test_bytes_after_the_response_are_refused() -> None:
    one = whole(GOOD["length"][0])
    with pytest.raises(ProtocolError, match="bytes after the response"):
        one.feed(b"x")
    for name in ("length", "chunks"):
        with pytest.raises(ProtocolError, match="bytes after the response"):
            reader().feed(GOOD[name][0] + b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"SSH-2.0-OpenSSH", "not HTTP/1"),
        (b"HTTP/2 200\r\n\r\n", "status line"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "status line"),
        (b"HTTP/1.1 99 Odd\r\n\r\n", "status line"),
        (OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "two content-lengths"),
        (OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "two content-lengths"),
        (OK + b"Content-Length: -5\r\n\r\n", "content-length"),
        (OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "transfer-encoding with content-length"),
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0"),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "other than chunked"),
        (OK + b"Folded: a\r\n b\r\n\r\n", "header line"),
        (OK + b"Space : a\r\n\r\n", "header line"),
        (OK + b"Nul: a\0b\r\n\r\n", "header line"),
        (OK + b"no colon\r\n\r\n", "header line"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "unasked upgrade"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * (INFORMATIONAL_MAX + 1), "too many informational"),
        (CHUNKED + b"5\r\nhelloo\r\n", "chunk longer than its size"),
        (CHUNKED + b"five\r\nhello\r\n", "chunk size"),
        (CHUNKED + b"0x5\r\nhello\r\n", "chunk size"),
        (CHUNKED + b"1" * (CHUNK_LINE_MAX + 1), "chunk or trailer line too long"),
        (CHUNKED + b"0\r\nbad trailer\r\n\r\n", "trailer"),
        (CHUNKED + b"0\r\n" + b"A: b\r\n" * (HEADERS_MAX + 1) + b"\r\n", "trailer"),
        (OK + b"A: b\r\n" * (HEADERS_MAX + 1) + b"\r\n", "header lines"),
        (OK + b"A: " + b"b" * HEAD_BYTES_MAX, "head longer than"),
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        reader().feed(data)


@pytest.mark.parametrize(
    "data",
    [
        OK + b"Content-Length: 2000\r\n\r\n",
        OK + b"\r\n" + b"x" * 2000,
        CHUNKED + b"7d0\r\n",
    ],
)
def test_more_than_we_are_willing_to_read_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(TooLargeError):
        reader(size_max=1000).feed(data)


def test_a_chunk_may_end_between_its_carriage_return_and_line_feed() -> None:
    one = reader()
    assert not one.feed(CHUNKED + b"1\r\nx\r")
    assert one.feed(b"\n0\r\n\r\n")


@given(st.binary(max_size=300))
def test_no_bytes_surprise_it(data: bytes) -> None:
    one = reader()
    with contextlib.suppress(ProtocolError, TooLargeError):
        one.feed(OK + data)
    assert one.size == len(OK) + len(data)
