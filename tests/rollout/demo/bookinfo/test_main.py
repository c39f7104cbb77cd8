"""The command line of bookinfo: what each workload may call, how long it works, and what is refused."""

import argparse

import pytest

from rollout.demo.bookinfo.__main__ import VERSIONS, base_url, build, calls_of, main, parser_of_options, sidecar
from rollout.demo.workload import workload_named

URL = "http://127.0.0.1:15001"
NOBODY: dict[str, list[str]] = {"details": [], "reviews": [], "ratings": []}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (URL, ("", URL)),
        (f"{URL}/", ("", URL)),
        (f"reviews-v3={URL}", ("reviews-v3", URL)),
        ("details-v1=http://[::1]:80", ("details-v1", "http://[::1]:80")),
    ],
)
def test_a_sidecar_is_everybodys_or_somebodys(text: str, read: tuple[str, str]) -> None:
    assert sidecar(text) == read


@pytest.mark.parametrize("text", [f"reviews-v9={URL}", f"reviews={URL}"])
def test_a_sidecar_of_nobody_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="no workload is named reviews.*; there are .*reviews-v3"):
        sidecar(text)


@pytest.mark.parametrize("text", ["", "127.0.0.1:80", "ftp://x", "https://x", "http://", "http://x/path", "http://x?a"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected http://HOST:PORT"):
        base_url(text)


def test_ones_own_sidecar_comes_before_everybodys() -> None:
    outbound = {"": "http://everybody", "reviews-v3": "http://own"}
    assert calls_of(workload_named("reviews", "v3"), outbound, NOBODY)._outbound == "http://own"
    assert calls_of(workload_named("reviews", "v2"), outbound, NOBODY)._outbound == "http://everybody"


@pytest.mark.parametrize(("service", "version"), [("details", "v1"), ("ratings", "v1"), ("reviews", "v1")])
def test_who_calls_nobody_needs_no_address(service: str, version: str) -> None:
    assert calls_of(workload_named(service, version), {}, NOBODY)._outbound is None


def test_who_calls_somebody_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match="reviews-v3 calls ratings: give --outbound, or --ratings-url"):
        calls_of(workload_named("reviews", "v3"), {}, NOBODY)
    with pytest.raises(ValueError, match="productpage-v1 calls details and reviews: .*--details-url and --reviews-url"):
        calls_of(workload_named("productpage", "v1"), {}, NOBODY | {"ratings": [URL]})


async def work_ms(*flags: str) -> dict[str, float]:
    parts = build(parser_of_options().parse_args(flags))
    for part in parts:
        part.door.close()
    return {part.performance.workload.name: part.performance.work.median_s * 1000 for part in parts}


@pytest.mark.asyncio
async def test_each_workload_has_work_of_its_own() -> None:
    assert await work_ms("--all") == {
        "productpage-v1": 0.0,
        "details-v1": 2.0,
        "ratings-v1": 2.0,
        "reviews-v1": 8.0,
        "reviews-v2": 8.0,
        "reviews-v3": 8.0,
    }
    assert await work_ms("--service", "reviews") == {"reviews-v1": 8.0}


@pytest.mark.asyncio
@pytest.mark.parametrize("given", [0.0, 3.5])
async def test_the_flag_is_for_all_of_them(given: float) -> None:
    assert set((await work_ms("--all", "--work-ms", str(given))).values()) == {given}


@pytest.mark.asyncio
async def test_a_seed_names_other_pods() -> None:
    pods = []
    for seed in ("1", "2"):
        [part] = build(parser_of_options().parse_args(["--service", "details", "--seed", seed]))
        part.door.close()
        pods.append(part.performance.workload.pod)
    assert pods[0] != pods[1]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ([], "give either --all or --service"),
        (["--all", "--service", "details"], "give either --all or --service"),
        (["--service", "details", "--version", "v2"], "details has no version v2"),
        (["--service", "cart"], "invalid choice"),
        (["--all", "--port", "65536"], "a port is a number from 0 to 65535"),
        (["--all", "--port", "http"], "argument --port"),
        (["--all", "--scenario", "sad"], "argument --scenario"),
        (["--all", "--outbound", "reviews-v9=http://x"], "no workload is named reviews-v9"),
        (["--all", "--ratings-url", "x"], "expected http://HOST:PORT"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(
    flags: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(flags)
    assert says in capsys.readouterr().err


def test_reviews_come_in_three_versions() -> None:
    assert VERSIONS["reviews"] == ("v1", "v2", "v3")
