"""Plans: wrong input dies with the key's name; and what may be done to whom."""

from collections.abc import Callable
from typing import Any

import pytest

from loadgen.core.limits import NotAllowedError, check_address, check_amount, hosts_of
from loadgen.core.plan import (
    Arm,
    Names,
    Plan,
    Protocol,
    Reuse,
    Stage,
    Target,
    VersionFrom,
    VersionSource,
    check_pattern,
)

TARGET = Target(url="http://127.0.0.1:9080/reviews/0")
FLAT = Stage(from_per_s=100, to_per_s=100, duration_s=10)


def plan(**changes: Any) -> Plan:
    return Plan(**{"targets": (TARGET,), "stages": (FLAT,)} | changes)


def test_what_a_plan_comes_to() -> None:
    ramp = Stage(from_per_s=100, to_per_s=300, duration_s=5)
    whole = plan(stages=(FLAT, ramp))

    assert (whole.duration_s, whole.rate_max_per_s, ramp.arrivals) == (15, 300, 1000)
    assert plan(stages=(), closed=True, requests=5).rate_max_per_s == 0
    assert not whole.reads_body
    assert plan(expect_body="ok").reads_body
    assert plan(version=VersionFrom(source=VersionSource.BODY, key="v([0-9])")).reads_body


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Target(url=""), "url: '' is empty"),
        (lambda: Target(url="http://a b/"), "spaces"),
        (lambda: Target(url="ftp://a/"), "not http:// or https://"),
        (lambda: Target(url="http:///path"), "not http:// or https://"),
        (lambda: Target(url="http://a:0/"), "not http:// or https://"),
        (lambda: Target(url="http://a:99999/"), "url: 'http://a:99999/'"),
        (lambda: Target(url="http://u:p@a/"), "user and password belong into a header"),
        (lambda: Target(url="http://a/", method="GET it"), "method: 'GET it'"),
        (lambda: Target(url="http://a/", weight=0), "weight must be"),
        (lambda: Target(url="http://a/", headers=(("bad name", "x"),)), "headers: 'bad name'"),
        (lambda: Target(url="http://a/", headers=(("x", "a\r\nb"),)), "headers: the value of x"),
        (lambda: Target(url="http://a/", connect="nowhere"), "connect: expected host:port"),
        (lambda: Target(url="http://a/", connect="a:70000"), "connect: expected host:port"),
        (lambda: Arm(name=""), "name must have"),
        (lambda: Arm(name="x", share=0), "share must be"),
        (lambda: Stage(from_per_s=-1, to_per_s=1, duration_s=1), "from_per_s"),
        (lambda: Stage(from_per_s=1, to_per_s=1, duration_s=0), "duration_s"),
        (lambda: VersionFrom(key="a b"), "key: 'a b'"),
        (lambda: VersionFrom(source=VersionSource.BODY, key="("), "key: "),
        (lambda: check_pattern("x" * 1001, "expect_body"), "longer than 1000"),
        (lambda: Names(family="ip5"), "family must be"),
        (lambda: Names(refresh_s=-1), "refresh_s must be"),
        (lambda: Reuse(requests_min=5, requests_max=4), "requests_min"),
        (lambda: plan(targets=()), "must not be empty"),
        (lambda: plan(arms=(Arm(name="a"), Arm(name="a"))), "two have the same name"),
        (lambda: plan(stages=()), "nothing says when to stop"),
        (lambda: plan(stages=(), requests=5), "an open loop needs an arrival rate"),
        (lambda: plan(targets=(TARGET, Target(url="http://a/", method="HEAD"))), "HEAD cannot be mixed"),
        (lambda: plan(even_split=True), "even_split needs"),
        (lambda: plan(pairing=True), "pairing needs"),
        (lambda: plan(noise_share=0.1), "noise_share needs pairing"),
        (lambda: plan(protocol=Protocol.GRPC, expect_body="ok"), "gRPC bodies are not text"),
        (lambda: plan(connections=0), "connections must be 1 to 10000"),
        (lambda: plan(timeout_s=0), "timeout_s must be"),
        (lambda: plan(ok_status=((200, 999),)), "ok_status"),
        (lambda: plan(reject_body="("), "reject_body"),
    ],
)
def test_wrong_input_is_named(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        build()


@pytest.mark.parametrize("connect", ["unix:/run/envoy.sock", "127.0.0.1:9080", "[::1]:80"])
def test_another_place_to_connect_to(connect: str) -> None:
    assert Target(url="http://reviews:9080/", connect=connect).connect == connect


def test_version_sources_without_a_key_need_none() -> None:
    for source in (VersionSource.NONE, VersionSource.TARGET):
        assert VersionFrom(source=source, key="").source is source


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_loopback_belongs_to_whoever_runs_us(address: str) -> None:
    assert check_address(address, "localhost", ())


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "fd12::1"])
def test_private_addresses_may_be_loaded_within_the_caps(address: str) -> None:
    assert not check_address(address, "reviews.bookinfo", ())


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fd00:ec2::254", "224.0.0.1", "0.0.0.0", "fe80::1%eth0", "100.100.100.200"]
)
def test_metadata_and_the_like_are_never_loaded(address: str) -> None:
    with pytest.raises(NotAllowedError, match="never loaded"):
        check_address(address, "innocent.example", ("innocent.example",))


def test_a_public_address_is_loaded_by_its_owner_only() -> None:
    with pytest.raises(NotAllowedError, match="--i-own-this example.org"):
        check_address("93.184.216.34", "example.org", ())
    assert not check_address("93.184.216.34", "example.org", ("example.org",))


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"stages": (Stage(from_per_s=1, to_per_s=5001, duration_s=1),)}, "rate"),
        ({"connections": 1001}, "connections"),
        ({"stages": (Stage(from_per_s=1, to_per_s=1, duration_s=7201),)}, "duration"),
        ({"requests": 10_000_001}, "requests"),
        ({"targets": (Target(url="http://a/", body=b"x" * (1 << 20) + b"x"),)}, "body"),
    ],
)
def test_beyond_loopback_there_are_caps(changes: dict[str, Any], name: str) -> None:
    check_amount(plan())
    with pytest.raises(NotAllowedError, match=f"{name}: "):
        check_amount(plan(**changes))


def test_the_hosts_of_a_plan() -> None:
    assert hosts_of(plan(targets=(TARGET, Target(url="http://reviews:9080/")))) == {"127.0.0.1", "reviews"}
