import re

from loadgen.core.plan import Arm, Target
from loadgen.core.request import encode, run_half, trace_id, uuid
from tests.loadgen.core.plans import URL, steady

PLAIN = steady(trace=False, marker=False)
ARM = Arm(name="all")


def lines_of(request: bytes) -> list[str]:
    return request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")


def test_a_plain_request_is_one_constant() -> None:
    template = encode(PLAIN, Target(url="http://reviews:9080/reviews/0?x=1"), ARM)
    assert template.slots == ()
    assert template.fill(1, 5, sampled=False) is template.parts[0]
    assert lines_of(template.parts[0])[:2] == ["GET /reviews/0?x=1 HTTP/1.1", "Host: reviews:9080"]
    assert template.parts[0].endswith(b"\r\n\r\n")


def test_the_host_header_stays_the_urls_wherever_the_connection_goes() -> None:
    target = Target(url="http://reviews:9080/", connect="127.0.0.1:15001")
    assert "Host: reviews:9080" in lines_of(encode(PLAIN, target, ARM).parts[0])


def test_the_arms_headers_win_over_the_targets_and_those_over_ours() -> None:
    target = Target(url=URL, headers=(("User-Agent", "mine"), ("x-a", "target"), ("Host", "other")))
    arm = Arm(name="canary", headers=(("X-A", "arm"), ("x-rollout-version", "v3")))
    lines = lines_of(encode(PLAIN, target, arm).parts[0])
    assert "User-Agent: mine" in lines
    assert "Host: other" in lines
    assert "X-A: arm" in lines
    assert "x-a: target" not in lines
    assert "x-rollout-version: v3" in lines


def test_a_header_may_be_repeated_and_an_empty_user_agent_is_none() -> None:
    target = Target(url=URL, headers=(("accept", "a"), ("accept", "b"), ("user-agent", ""), ("content-length", "9")))
    lines = lines_of(encode(PLAIN, target, ARM).parts[0])
    assert [line for line in lines if line.startswith("accept")] == ["accept: a", "accept: b"]
    assert not any(line.lower().startswith(("user-agent", "content-length")) for line in lines)


def test_requests_say_that_they_are_synthetic() -> None:
    assert "x-synthetic: loadgen" in lines_of(encode(steady(trace=False), Target(url=URL), ARM).parts[0])


def test_a_body_has_its_length_and_an_empty_post_says_so() -> None:
    request = encode(PLAIN, Target(url=URL, method="POST", body=b"hello"), ARM).parts[0]
    assert "Content-Length: 5" in lines_of(request)
    assert request.endswith(b"\r\n\r\nhello")
    assert "Content-Length: 0" in lines_of(encode(PLAIN, Target(url=URL, method="POST"), ARM).parts[0])


def test_every_request_has_its_own_trace_and_the_run_has_one_half() -> None:
    template = encode(steady(), Target(url=URL), ARM)
    first, second = (template.fill(7, index, sampled=index == 1).decode() for index in range(2))
    pattern = r"traceparent: 00-([0-9a-f]{32})-[0-9a-f]{16}-0([01])\r\n"
    one, other = re.search(pattern, first), re.search(pattern, second)
    assert one is not None
    assert other is not None
    assert one[1] == trace_id(7, 0) != other[1]
    assert one[1][:16] == other[1][:16] == f"{run_half(7):016x}"
    assert (one[2], other[2]) == ("0", "1")


def test_the_token_becomes_a_fresh_uuid_each_time_and_the_length_fits() -> None:
    target = Target(url="http://a/{uuid}?q={uuid}", method="POST", body=b"id={uuid}")
    request = encode(PLAIN, target, ARM).fill(1, 3, sampled=False)
    head, _, body = request.partition(b"\r\n\r\n")
    found = re.findall(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", request)
    assert len(found) == 3
    assert f"Content-Length: {len(body)}".encode() in head
    assert uuid(1, 3) != uuid(1, 4)
