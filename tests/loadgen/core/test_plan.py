from typing import Any

import pytest

from loadgen.core.plan import (
    Arm,
    Names,
    Plan,
    Reuse,
    Stage,
    Target,
    VersionFrom,
    VersionSource,
)
from tests.loadgen.core.plans import TWO_ARMS, URL, closed, steady


@pytest.mark.parametrize(
    "url",
    [
        "",
        "reviews",
        "ftp://host/",
        "http://",
        "http://host:0/",
        "http://host:99999/",
        "http://host/a b",
        "http://host/\r\nx",
        "http://hôst/",
        "http://user:secret@host/",
        "http://[::1/",
    ],
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^url: "):
        Target(url=url)


@pytest.mark.parametrize("connect", ["host", "host:", "host:0", "host:70000", ":x", "unix:relative", "host:²"])
def test_a_place_to_connect_to_has_to_be_one(connect: str) -> None:
    with pytest.raises(ValueError, match=r"^connect: "):
        Target(url=URL, connect=connect)


@pytest.mark.parametrize("connect", ["", "127.0.0.1:80", "[::1]:8080", "unix:/run/echo.sock"])
def test_a_host_and_port_or_a_unix_socket_is_a_place(connect: str) -> None:
    assert Arm(name="a", connect=connect).connect == connect


@pytest.mark.parametrize("header", [("x y", "1"), ("", "1"), ("x", "a\r\nb: c"), ("x", "\0"), ("x", "é€")])
def test_nothing_in_a_header_can_end_a_line_early(header: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r"^headers: "):
        Target(url=URL, headers=(header,))


def test_a_target_has_a_method_and_a_weight() -> None:
    with pytest.raises(ValueError, match=r"^method: "):
        Target(url=URL, method="GET / HTTP/1.1")
    with pytest.raises(ValueError, match="weight must be"):
        Target(url=URL, weight=0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"name": ""}, "name must"), ({"name": "x" * 65}, "name must"), ({"name": "a", "share": 0.0}, "share must")],
)
def test_an_arm_has_a_name_and_a_share(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Arm(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"from_per_s": -1, "to_per_s": 1, "duration_s": 1}, "from_per_s and to_per_s"),
        ({"from_per_s": 1, "to_per_s": float("inf"), "duration_s": 1}, "from_per_s and to_per_s"),
        ({"from_per_s": 1, "to_per_s": 1, "duration_s": 0}, "duration_s"),
        ({"from_per_s": 1, "to_per_s": 1, "duration_s": float("nan")}, "duration_s"),
    ],
)
def test_a_stage_is_finite(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Stage(**fields)


def test_a_version_is_told_by_a_name_or_a_pattern() -> None:
    with pytest.raises(ValueError, match="no header or cookie name"):
        VersionFrom(source=VersionSource.COOKIE, key="a b")
    with pytest.raises(ValueError, match=r"^key: "):
        VersionFrom(source=VersionSource.BODY, key="(")
    with pytest.raises(ValueError, match="longer than 1000"):
        VersionFrom(source=VersionSource.BODY, key="x" * 1001)
    assert VersionFrom(source=VersionSource.TARGET, key="").key == ""


def test_names_and_reuse_have_bounds() -> None:
    with pytest.raises(ValueError, match="family"):
        Names(family="ip5")
    with pytest.raises(ValueError, match="refresh_s"):
        Names(refresh_s=-1)
    with pytest.raises(ValueError, match="requests_min"):
        Reuse(requests_min=5, requests_max=2)
    with pytest.raises(ValueError, match="age_max_s"):
        Reuse(age_max_s=-1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"targets": ()}, "must not be empty"),
        ({"arms": ()}, "must not be empty"),
        ({"arms": (Arm(name="a"), Arm(name="a"))}, "two have the same name"),
        ({"stages": ()}, "nothing says when to stop"),
        ({"stages": (), "requests": 5}, "needs an arrival rate"),
        ({"targets": (Target(url=URL), Target(url=URL, method="HEAD"))}, "HEAD cannot be mixed"),
        ({"even_split": True}, "even_split needs"),
        ({"even_split": True, "closed": True, "requests": 5, "http2": True}, "even_split needs HTTP/1.1"),
        ({"streams": 2}, r"^streams: "),
        ({"streams": 0, "http2": True}, r"^streams must be"),
        ({"pairing": True}, "pairing needs"),
        ({"pairing": True, "closed": True, "arms": TWO_ARMS}, "pairing needs"),
        ({"noise_share": 0.1}, "noise_share needs"),
        ({"expect_body": "("}, r"^expect_body: "),
        ({"reject_body": "["}, r"^reject_body: "),
        ({"requests": -1}, r"^requests must be"),
        ({"connections": 0}, r"^connections must be"),
        ({"connections": 3, "warm_connections": 4}, r"^warm_connections must be"),
        ({"timeout_s": 0.0}, r"^timeout_s must be"),
        ({"snapshot_s": 0.001}, r"^snapshot_s must be"),
        ({"seed": -1}, r"^seed must be"),
        ({"ok_status": ((50, 200),)}, r"^ok_status"),
        ({"ok_status": ((300, 200),)}, r"^ok_status"),
    ],
)
def test_a_plan_that_means_nothing_is_refused(fields: dict[str, Any], message: str) -> None:
    base: dict[str, Any] = {
        "targets": (Target(url=URL),),
        "stages": (Stage(from_per_s=1, to_per_s=1, duration_s=1),),
    }
    with pytest.raises(ValueError, match=message):
        Plan(**{**base, **fields})


def test_a_plan_says_how_long_and_how_fast() -> None:
    plan = Plan(
        targets=(Target(url=URL),),
        stages=(Stage(from_per_s=1, to_per_s=100, duration_s=5), Stage(from_per_s=50, to_per_s=20, duration_s=2.5)),
    )
    assert (plan.duration_s, plan.rate_max_per_s) == (7.5, 100)
    assert (closed().duration_s, closed().rate_max_per_s) == (0, 0)


def test_bodies_are_read_only_when_somebody_asks() -> None:
    assert not steady().reads_body
    assert steady(expect_body="ok").reads_body
    assert steady(reject_body="unavailable").reads_body
    assert steady(version=VersionFrom(source=VersionSource.BODY, key="v.")).reads_body
