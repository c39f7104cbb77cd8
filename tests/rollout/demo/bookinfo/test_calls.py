"""Calls between services: through the sidecar or directly, and every failure is a reply."""

import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from rollout.demo.bookinfo.calls import PASSED_ON, Calls, Reply, passed_on
from tests.rollout.demo.stage import Answer, bookinfo, sidecar

FAILED = Reply(status=500, document={"error": "sorry"})


@asynccontextmanager
async def calls(
    *, outbound: str | None = None, direct: Mapping[str, Sequence[str]] | None = None
) -> AsyncIterator[Calls]:
    made = Calls(outbound=outbound, direct=direct)
    async with asynccontextmanager(made.opened)(web.Application()):
        yield made


async def ask(asked: Calls, *, timeout_s: float = 2.0) -> Reply:
    return await asked.get("ratings", "/ratings/0", headers={"x-request-id": "r1"}, timeout_s=timeout_s, sorry="sorry")


@pytest.mark.asyncio
async def test_a_call_goes_to_the_sidecar_under_the_name_of_the_service() -> None:
    async with sidecar() as (fake, url), calls(outbound=url, direct={"ratings": ["http://127.0.0.1:9"]}) as made:
        reply = await ask(made)
    assert reply.is_good
    assert reply.document["id"] == 0
    [asked] = fake.asked
    assert (asked.host, asked.path) == ("ratings:9080", "/ratings/0")
    assert asked.headers["x-request-id"] == "r1"


@pytest.mark.asyncio
async def test_without_a_sidecar_the_addresses_take_turns() -> None:
    async with bookinfo("--all") as stage:
        versions = [stage.urls[f"reviews-{version}"] for version in ("v1", "v2", "v3")]
        async with calls(direct={"reviews": versions}) as made:
            replies = [await made.get("reviews", "/reviews/0", headers={}, timeout_s=2.0, sorry="") for _ in range(4)]
    pods = [str(reply.document["podname"])[: len("reviews-v1")] for reply in replies]
    assert pods == ["reviews-v1", "reviews-v2", "reviews-v3", "reviews-v1"]


def moved() -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "/elsewhere"})


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (lambda: web.json_response({"error": "theirs"}, status=503), Reply(status=503, document={"error": "sorry"})),
        (lambda: web.json_response({}, status=404), Reply(status=404, document={"error": "sorry"})),
        (moved, Reply(status=302, document={"error": "sorry"})),
        (lambda: web.json_response([1]), FAILED),
        (lambda: web.Response(text="<html>", content_type="text/html"), FAILED),
        (lambda: web.Response(text="{", content_type="application/json"), FAILED),
    ],
    ids=["fails", "not-found", "redirects", "no-object", "no-json", "broken-json"],
)
async def test_whatever_goes_wrong_is_a_reply_that_says_sorry(answer: Answer, reply: Reply) -> None:
    async with sidecar() as (fake, url), calls(outbound=url) as made:
        fake.answers["ratings:9080"] = answer
        assert await ask(made) == reply
        assert len(fake.asked) == 1


@pytest.mark.asyncio
async def test_nobody_listening_is_a_reply_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    async with calls(outbound=f"http://127.0.0.1:{port}") as made:
        assert await ask(made) == FAILED


@pytest.mark.asyncio
async def test_a_call_that_takes_too_long_is_given_up() -> None:
    async with bookinfo("--service", "ratings") as stage, calls(direct={"ratings": [stage.urls["ratings-v1"]]}) as made:
        assert (await ask(made)).is_good
        stage.play("hang")
        assert await ask(made, timeout_s=0.05) == FAILED


@pytest.mark.asyncio
async def test_a_cookie_that_a_service_sets_is_not_sent_with_the_next_users_request() -> None:
    def baked() -> web.StreamResponse:
        return web.json_response({"ratings": {}}, headers={"Set-Cookie": "session=of-the-first-user"})

    async with sidecar() as (fake, url):
        named = url.replace("127.0.0.1", "localhost")  # a client keeps no cookies of an IP address anyway
        async with calls(outbound=named) as made:
            fake.answers["ratings:9080"] = baked
            replies = [await ask(made), await ask(made)]
        assert [reply.is_good for reply in replies] == [True, True]
        assert all("cookie" not in asked.headers for asked in fake.asked)


def test_what_tracing_and_the_tutorial_need_is_passed_on_and_nothing_else() -> None:
    sent = CIMultiDict({name.title(): "value" for name in PASSED_ON} | {"Cookie": "secret", "Host": "x", "Accept": "y"})
    assert passed_on(make_mocked_request("GET", "/", headers=sent).headers) == dict.fromkeys(PASSED_ON, "value")
    assert {"x-request-id", "end-user", "traceparent", "x-b3-traceid"} <= set(PASSED_ON)
