"""The bytes of a request, as they go over the wire."""

import re
from typing import Any

from loadgen.core.plan import Arm, Plan, Stage, Target
from loadgen.core.request import encode, run_half, trace_id, uuid

ARM = Arm(name="all")


def plan(target: Target, **changes: Any) -> Plan:
    stages = (Stage(from_per_s=1, to_per_s=1, duration_s=1),)
    asked: dict[str, Any] = {"targets": (target,), "stages": stages, "trace": False}
    return Plan(**asked | changes)


def sent(target: Target, arm: Arm = ARM, **changes: Any) -> str:
    return encode(plan(target, **changes), target, arm).fill(1, 5, sampled=False).decode("latin-1")


def test_a_plain_request() -> None:
    head = sent(Target(url="http://reviews:9080/reviews/0?a=b"))

    assert head.startswith("GET /reviews/0?a=b HTTP/1.1\r\nHost: reviews:9080\r\nUser-Agent: ")
    assert "\r\nx-synthetic: loadgen\r\n" in head
    assert head.endswith("\r\n\r\n")
    assert sent(Target(url="http://a")).startswith("GET / HTTP/1.1\r\n")


def test_the_arms_headers_go_over_the_targets_and_those_over_ours() -> None:
    target = Target(url="http://a/", headers=(("Host", "b"), ("x-rollout-version", "v1"), ("User-Agent", "")))
    head = sent(target, Arm(name="canary", headers=(("X-Rollout-Version", "v3"),)), marker=False)

    assert "Host: b\r\n" in head
    assert "X-Rollout-Version: v3" in head
    assert "v1" not in head
    assert "User-Agent" not in head
    assert "x-synthetic" not in head


def test_a_body_has_its_length_and_nobody_else_says_it() -> None:
    head = sent(Target(url="http://a/", method="POST", body=b"hello", headers=(("Content-Length", "99"),)))

    assert head.count("Content-Length") == 1
    assert "Content-Length: 5\r\n" in head
    assert head.endswith("\r\n\r\nhello")
    assert "Content-Length: 0\r\n" in sent(Target(url="http://a/", method="PUT"))


def test_each_request_has_its_own_trace_id_in_a_half_that_all_share() -> None:
    target = Target(url="http://a/")
    template = encode(plan(target, trace=True), target, ARM)

    first, second = (template.fill(7, index, sampled=index == 1).decode() for index in (0, 1))

    assert "traceparent: 00-" + trace_id(7, 0) in first
    assert re.search(r"traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-00\r\n", first)
    assert re.search(r"traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-01\r\n", second)
    assert trace_id(7, 0)[:16] == trace_id(7, 1)[:16] == f"{run_half(7):016x}"
    assert trace_id(7, 0) != trace_id(7, 1)


def test_fortios_uuid_token_is_a_fresh_uuid_each_time() -> None:
    target = Target(url="http://a/{uuid}", body=b"id={uuid}", method="POST")
    template = encode(plan(target), target, ARM)
    first, second = (template.fill(1, index, sampled=False).decode() for index in (0, 1))
    pattern = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"

    assert re.match(rf"POST /{pattern} HTTP/1.1\r\n", first)
    assert re.search(rf"Content-Length: 39\r\n\r\nid={pattern}$", first)
    assert first != second
    assert uuid(1, 2) == uuid(1, 2) != uuid(1, 3)
