import pytest

from loadgen.core.http1_head import HeadReader, ProtocolError
from loadgen.core.http2 import FRAME_MAX, Frames, Goodbye, encode, head_of
from loadgen.core.plan import Arm, Plan, Target, VersionFrom
from tests.loadgen.core.plans import steady


def frame(kind: int, payload: bytes = b"", stream: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, 0]) + stream.to_bytes(4, "big") + payload


def away(last: int) -> bytes:
    return frame(7, last.to_bytes(4, "big") + b"\0\0\0\0" + b"too old")


def fields_of(plan: Plan, target: Target, arm: Arm | None = None) -> dict[bytes, bytes]:
    call = encode(plan, target, arm or Arm(name="a")).fill(plan.seed, 7, sampled=True)
    assert len(dict(call.fields)) == len(call.fields)
    return dict(call.fields)


def test_a_request_is_pseudo_fields_first_and_lower_case() -> None:
    target = Target(url="http://reviews:9080/reviews/0?a=b", headers=(("End-User", "jason"), ("Connection", "close")))
    fields = fields_of(steady(), target)
    assert list(fields)[:4] == [b":method", b":scheme", b":authority", b":path"]
    assert list(fields.values())[:4] == [b"GET", b"http", b"reviews:9080", b"/reviews/0?a=b"]
    assert fields[b"end-user"] == b"jason"
    assert fields[b"x-synthetic"] == b"loadgen"
    assert fields[b"traceparent"].endswith(b"-01")
    assert b"connection" not in fields
    assert b"host" not in fields


def test_a_host_header_is_the_authority() -> None:
    assert fields_of(steady(), Target(url="http://x/", headers=(("Host", "y"),)))[b":authority"] == b"y"


@pytest.mark.parametrize(
    ("trace", "target", "varies"),
    [
        (False, Target(url="http://x/"), False),
        (True, Target(url="http://x/"), True),
        (False, Target(url="http://x/", body=b"{uuid}"), True),
        (False, Target(url="http://x/?{uuid}"), True),
    ],
)
def test_a_request_varies_when_something_in_it_does(trace: bool, target: Target, varies: bool) -> None:
    template = encode(steady(trace=trace), target, Arm(name="a"))
    assert template.varies is varies
    assert (template.fill(1, 1, sampled=False) != template.fill(1, 2, sampled=False)) is varies


def test_a_head_means_what_it_means_in_http1() -> None:
    fields = [(b":status", b"503"), (b"x-rollout-version", b"v3"), (b"server", b"envoy"), (b"retry-after", b"7")]
    head = head_of(HeadReader(VersionFrom()), fields)
    assert (head.status, head.version, head.from_proxy, head.retry_after_s) == (503, "v3", True, 7)


@pytest.mark.parametrize("fields", [[], [(b":status", b"abc")], [(b":status", b"200"), (b"a b", b"c")]])
def test_a_head_that_means_nothing_is_refused(fields: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(ProtocolError):
        head_of(HeadReader(VersionFrom()), fields)


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_frames_go_through_whole_and_goodbyes_are_taken_out(step: int) -> None:
    one, two = frame(0, b"x" * 20, 1), frame(1, b"", 3)
    wire = one + away(5) + two + away(1)
    frames = Frames()
    kept, said = b"", []
    for at in range(0, len(wire), step):
        data, goodbyes = frames.feed(wire[at : at + step])
        kept += data
        said += goodbyes
    assert kept == one + two
    assert said == [Goodbye(5), Goodbye(1)]


@pytest.mark.parametrize("wire", [b"HTTP/1.1 400 Bad Request", frame(7, b"short"), frame(0, b"x" * (FRAME_MAX + 1))])
def test_what_is_no_frame_is_refused(wire: bytes) -> None:
    with pytest.raises(ProtocolError):
        Frames().feed(wire)
