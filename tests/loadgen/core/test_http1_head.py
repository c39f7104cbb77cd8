"""What a head means, and that remembering changes nothing but the time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.core.http1_head import (
    GENERATION,
    HEADS_MAX,
    SAMPLE_EVERY,
    Framing,
    Head,
    HeadReader,
    ProtocolError,
    version_of,
)
from loadgen.core.plan import VersionFrom, VersionSource
from tests.loadgen.properties import repeatable

BASE = b"HTTP/1.1 200 OK\r\ncontent-length: 5"


def reader(source: VersionSource = VersionSource.HEADER, key: str = "x-rollout-version") -> HeadReader:
    return HeadReader(VersionFrom(source=source, key=key))


def facts(head: Head) -> tuple[object, ...]:
    return (head.status, head.framing, head.length, head.close, head.version, head.from_proxy, head.retry_after_s)


@pytest.mark.parametrize(
    ("head", "framing", "length", "close"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5", Framing.LENGTH, 5, False),
        (b"HTTP/1.1 200\r\ncontent-length:5 \t", Framing.LENGTH, 5, False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked", Framing.CHUNKED, -1, False),
        (b"HTTP/1.1 200 OK", Framing.CLOSE, -1, True),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 5", Framing.LENGTH, 5, True),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive", Framing.LENGTH, 5, False),
        (BASE + b"\r\nConnection: x, Close", Framing.LENGTH, 5, True),
        (BASE + b"\r\nConnection: upgrade", Framing.LENGTH, 5, False),
        (b"HTTP/1.1 204 No Content", Framing.LENGTH, 0, False),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9", Framing.LENGTH, 0, False),
        (b"HTTP/1.1 100 Continue", Framing.LENGTH, 0, False),
    ],
)
def test_the_head_says_how_the_body_ends(head: bytes, framing: Framing, length: int, close: bool) -> None:
    found = reader().read(head)
    assert (found.framing, found.length, found.close) == (framing, length, close)


def test_the_answer_to_head_ends_with_its_head() -> None:
    read = reader()
    assert read.read(BASE, bodiless=True).length == 0
    assert read.read(BASE).length == 5


def test_the_version_is_read_from_the_header_named() -> None:
    assert reader().read(BASE + b"\r\nX-Rollout-Version:  v3 ").version == "v3"
    assert reader().read(BASE + b"\r\nx-rollout-version: v3\r\nx-rollout-version: v1").version == "v3"
    assert reader().read(BASE).version == ""
    assert reader(VersionSource.NONE).read(BASE + b"\r\nx-rollout-version: v3").version == ""


def test_the_version_is_read_from_the_cookie_named() -> None:
    read = reader(VersionSource.COOKIE, "ver")
    assert read.read(BASE + b"\r\nset-cookie: other=1\r\nSet-Cookie: ver=v7; Path=/").version == "v7"
    assert read.read(BASE + b"\r\nset-cookie: ver").version == ""


@pytest.mark.parametrize(
    ("value", "version"),
    [(b' "v1" ', "v1"), (b"x" * 80, "x" * 64), (b"a\x1bb", ""), (b"caf\xe9", "café")],
)
def test_a_version_from_the_wire_is_short_and_printable(value: bytes, version: str) -> None:
    assert version_of(value) == version


@pytest.mark.parametrize(
    ("fields", "from_proxy"),
    [
        (b"server: envoy", True),
        (b"server: istio-envoy", True),
        (b"server: envoy\r\nx-envoy-upstream-service-time: 4", False),
        (b"server: nginx", False),
        (b"x-envoy-upstream-service-time: 4", False),
    ],
)
def test_a_proxy_answered_itself_when_it_names_no_upstream_time(fields: bytes, from_proxy: bool) -> None:
    assert reader().read(BASE + b"\r\n" + fields).from_proxy is from_proxy


@pytest.mark.parametrize(("value", "seconds"), [(b"7", 7), (b"Wed, 21 Oct 2015 07:28:00 GMT", 0), (b"1" * 10, 0)])
def test_a_wait_in_seconds_is_understood(value: bytes, seconds: int) -> None:
    assert reader().read(BASE + b"\r\nretry-after: " + value).retry_after_s == seconds


def test_the_same_head_is_the_same_object() -> None:
    read = reader()
    assert read.read(BASE) is read.read(BASE)
    assert read.read(BASE + b"\r\nx-request-id: 1") is read.read(BASE + b"\r\nx-request-id: 2")


LINES = st.sampled_from(
    [
        b"content-length: 5",
        b"Content-Length: 6",
        b"transfer-encoding: chunked",
        b"connection: close",
        b"connection: keep-alive",
        b"x-rollout-version: v1",
        b"x-rollout-version: v2",
        b"server: envoy",
        b"server: other",
        b"x-envoy-upstream-service-time: 4",
        b"retry-after: 3",
        b"x-id: a",
        b"x-id: b",
        b"broken",
        b"x-id: \x00",
        b"x-id : a",
    ]
)
STATUS = st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 503 No", b"HTTP/1.1 204 -", b"HTTP/2 200"])
MEMORY = reader()


@repeatable
@given(STATUS, st.lists(LINES, max_size=6), st.booleans())
def test_a_reader_that_remembers_reads_what_a_new_one_reads(status: bytes, lines: list[bytes], bodiless: bool) -> None:
    raw = b"\r\n".join([status, *lines])

    def read_by(who: HeadReader) -> object:
        try:
            return facts(who.read(raw, bodiless=bodiless))
        except ProtocolError as error:
            return str(error)

    assert read_by(MEMORY) == read_by(reader())


def test_lines_that_never_return_do_not_poison_the_memory() -> None:
    read = reader()
    for number in range(5 * GENERATION):
        read.read(BASE + b"\r\nx-rollout-version: v1\r\nx-request-id: %d" % number)
    assert len(read._young) <= GENERATION
    assert len(read._old) <= GENERATION
    assert b"x-rollout-version: v1" in {*read._young, *read._old}


def test_heads_that_never_return_do_not_fill_the_memory() -> None:
    read = reader()
    for number in range(3 * HEADS_MAX):
        head = read.read(b"HTTP/1.1 200 OK\r\ncontent-length: %d" % number)
        assert (head.status, head.length) == (200, number)
    assert len(read._heads) <= HEADS_MAX
    assert len(read._effects) <= 2 * HEADS_MAX


def test_bad_heads_do_not_fill_it_either() -> None:
    read = reader()
    for number in range(3 * HEADS_MAX):
        with pytest.raises(ProtocolError):
            read.read(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\ncontent-length: %d" % (number, number + 1))
    assert len(read._effects) <= HEADS_MAX + 4


def test_reasons_that_never_return_do_not_fill_it_either() -> None:
    read = reader()
    for number in range(3 * GENERATION):
        read.read(b"HTTP/1.1 200 reason-%d\r\ncontent-length: 5" % number)
    assert len(read._statuses) <= GENERATION


def test_names_that_mean_nothing_are_remembered_but_not_without_bound() -> None:
    read = reader()
    for number in range(2 * GENERATION):
        read.read(BASE + b"\r\nx-%d: 1" % number)
    assert len(read._dull_names) <= GENERATION
    assert read.read(BASE + b"\r\nx-1: another value").length == 5
    with pytest.raises(ProtocolError):
        read.read(BASE + b"\r\nx-1: a\x00")


# ---- heads that differ in one line


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"date: today", *lines, b"content-length: 5"])


def taught(*heads: bytes, bodiless: bool = False) -> HeadReader:
    """A reader that has seen these heads often enough to know in what they differ."""
    reader = HeadReader(VersionFrom())
    for each in heads:
        for _ in range(SAMPLE_EVERY):
            reader.read(each, bodiless=bodiless)
    return reader


def learned(reader: HeadReader, raw: bytes, *, bodiless: bool = False) -> bool:
    """Whether a head is read without looking at its lines."""
    before = reader._misses
    reader.read(raw, bodiless=bodiless)
    return reader._misses == before


def test_a_value_that_means_nothing_may_change_and_nothing_else() -> None:
    reader = taught(head(b"x-request-id: 1111"), head(b"x-request-id: 2222"))
    assert learned(reader, head(b"x-request-id: 3333"))
    assert reader.read(head(b"x-request-id: 4444")) is reader.read(head(b"x-request-id:  555"))
    for other in (
        head(b"x-request-id: 33333"),
        head(b"x-request-ie: 3333"),
        head(b"x-request-id: 3333").replace(b"today", b"later"),
        head(b"x-request-id: 3333").replace(b"200", b"503"),
        head(b"x-request-id: 3333").replace(b": 5", b": 6"),
    ):
        assert not learned(reader, other)
    assert not learned(reader, head(b"x-request-id: 3333"), bodiless=True)
    assert reader.read(head(b"x-request-id: 3333").replace(b"200", b"503")).status == 503


@pytest.mark.parametrize("value", [b" 3\r33", b" 3\n33", b" 3\x0033"])
def test_a_value_that_is_none_is_still_refused(value: bytes) -> None:
    reader = taught(head(b"x-request-id: 1111"), head(b"x-request-id: 2222"))
    with pytest.raises(ProtocolError):
        reader.read(head(b"x-request-id:" + value))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((b"x-rollout-version: v1",), (b"x-rollout-version: v2",)),
        ((b"set-cookie: a=1",), (b"set-cookie: a=2",)),
        ((b"a: 1", b"b: 1"), (b"a: 2", b"b: 2")),
        ((b"a: 1",), (b"b: 1",)),
        ((b"a: 1",), (b"a: 1", b"b: 1")),
        ((b"a: 1",), (b"a: 1",)),
    ],
)
def test_what_means_something_or_changes_in_two_places_is_read_every_time(
    one: tuple[bytes, ...], other: tuple[bytes, ...]
) -> None:
    reader = taught(head(*one), head(*other))
    assert not learned(reader, head(*one))
    assert not learned(reader, head(*other))


def test_what_was_learned_is_forgotten_with_everything_else() -> None:
    reader = taught(head(b"x-request-id: 1111"), head(b"x-request-id: 2222"))
    reader._forget()
    assert not learned(reader, head(b"x-request-id: 3333"))
