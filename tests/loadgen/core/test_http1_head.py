"""What a head means: versions, connection reuse, whose answer it is; remembered without being poisoned."""

import pytest

from loadgen.core.http1_head import GENERATION, HEADS_MAX, VERSION_MAX, Framing, Head, HeadReader, version_of
from loadgen.core.plan import VersionFrom, VersionSource

BY_HEADER = VersionFrom()


def head(*lines: str, status: str = "HTTP/1.1 200 OK", version: VersionFrom = BY_HEADER) -> Head:
    return HeadReader(version).read("\r\n".join([status, *lines]).encode("latin-1"))


def test_a_version_is_read_from_the_header_that_was_named() -> None:
    assert head("X-Rollout-Version: v3", "Content-Length: 0").version == "v3"
    assert head("x-app: v2", version=VersionFrom(key="X-App")).version == "v2"
    assert head("Content-Length: 0").version == ""


def test_a_version_is_read_from_the_cookie_that_was_named() -> None:
    cookie = VersionFrom(source=VersionSource.COOKIE, key="variant")

    assert head("Set-Cookie: other=1", "Set-Cookie: variant=v3; Path=/", version=cookie).version == "v3"
    assert head("Set-Cookie: variant", version=cookie).version == ""
    assert head("Set-Cookie: variant=v3").version == ""


@pytest.mark.parametrize(
    ("lines", "status", "close"),
    [
        ((), "HTTP/1.1 204 No Content", False),
        (("Connection: close",), "HTTP/1.1 204 No Content", True),
        (("Connection: upgrade, Close",), "HTTP/1.1 204 No Content", True),
        (("Connection: upgrade",), "HTTP/1.1 204 No Content", False),
        ((), "HTTP/1.0 204 No Content", True),
        (("Connection: keep-alive",), "HTTP/1.0 204 No Content", False),
    ],
)
def test_whether_the_connection_can_be_used_again(lines: tuple[str, ...], status: str, close: bool) -> None:
    assert head(*lines, status=status).close is close


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    assert (head().framing, head().close) == (Framing.CLOSE, True)


def test_an_answer_of_envoy_itself_names_no_upstream_time() -> None:
    own = head("server: envoy", "content-length: 0", status="HTTP/1.1 503 Service Unavailable")
    passed_on = head("server: istio-envoy", "x-envoy-upstream-service-time: 3", "content-length: 0")

    assert (own.from_proxy, passed_on.from_proxy, head("server: nginx").from_proxy) == (True, False, False)


def test_retry_after_is_read_in_seconds_only() -> None:
    assert head("Retry-After: 7").retry_after_s == 7
    assert head("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT").retry_after_s == 0
    assert head("Retry-After: 12345678901").retry_after_s == 0


def test_a_version_from_the_wire_is_short_and_printable() -> None:
    assert version_of(b' "v3" ') == "v3"
    assert version_of(b"v\x7f3") == ""
    assert len(version_of(b"v" * 1000)) == VERSION_MAX


def test_the_same_bytes_give_the_same_object_and_other_bytes_another() -> None:
    reader = HeadReader(VersionFrom())
    first = reader.read(b"HTTP/1.1 200 OK\r\nContent-Length: 3")

    assert reader.read(b"HTTP/1.1 200 OK\r\nContent-Length: 3") is first
    for date in (1, 2):
        lines = b"HTTP/1.1 200 Fine\r\nServer: x\r\nDate: %d\r\nContent-Length: 3" % date
        assert reader.read(lines) is first
    assert reader.read(b"HTTP/1.1 200 OK\r\nContent-Length: 4") is not first
    assert reader.read(b"HTTP/1.1 200 OK\r\nContent-Length: 3", bodiless=True) is not first


def test_lines_that_never_return_fall_out_and_those_that_return_stay() -> None:
    reader = HeadReader(VersionFrom())
    for number in range(5 * GENERATION):
        lines = (f"Set-Cookie: id={number}", f"X-{number}: 1", "X-Rollout-Version: v3")
        found = reader.read("\r\n".join([f"HTTP/1.1 200 {number}", *lines]).encode())
        assert found.version == "v3"
    assert len(reader._young) + len(reader._old) <= 2 * GENERATION
    assert len(reader._statuses) <= GENERATION
    assert len(reader._dull_names) <= GENERATION


def test_meanings_without_number_do_not_fill_the_memory() -> None:
    reader = HeadReader(VersionFrom())
    for length in range(HEADS_MAX + 10):
        assert reader.read(f"HTTP/1.1 200 OK\r\nContent-Length: {length}".encode()).length == length
    assert len(reader._heads) <= HEADS_MAX
