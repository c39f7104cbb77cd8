"""httpbin: the shape of its answers, and that every number in a path is bounded."""

import asyncio
import json
import time
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from rollout.demo.httpbin import DELAY_S_MAX, STATUS_CODES_MAX, parse_delay_s, parse_status_codes
from tests.rollout.demo.stage import Stage, httpbin


async def ask(stage: Stage, method: str, path: str, **more: Any) -> tuple[int, Any]:
    async with stage.session.request(method, stage.urls["httpbin-v1"] + path, **more) as response:
        return response.status, json.loads(await response.text() or "null")


@pytest.mark.asyncio
async def test_get_shows_the_request() -> None:
    async with httpbin() as stage:
        status, shown = await ask(stage, "GET", "/get?a=1&a=2&b=%26", headers={"x-tag": "t"})
        assert status == 200
        assert set(shown) == {"args", "headers", "origin", "url"}
        assert shown["args"] == {"a": ["1", "2"], "b": "&"}
        assert shown["headers"]["X-Tag"] == "t"
        assert shown["origin"] == "127.0.0.1"
        assert shown["url"] == stage.urls["httpbin-v1"] + "/get?a=1&a=2&b=%26"


@pytest.mark.asyncio
async def test_behind_a_proxy_the_request_is_the_one_the_proxy_got() -> None:
    forwarded = {"X-Forwarded-For": "10.1.2.3", "X-Forwarded-Proto": "https", "Host": "httpbin.example"}
    async with httpbin() as stage:
        _, shown = await ask(stage, "GET", "/get", headers=forwarded)
        assert shown["origin"] == "10.1.2.3"
        assert shown["url"] == "https://httpbin.example/get"


@pytest.mark.asyncio
async def test_headers_shows_the_headers_alone() -> None:
    async with httpbin() as stage:
        _, shown = await ask(stage, "GET", "/headers", headers={"x-tag": "t"})
        assert list(shown) == ["headers"]
        assert shown["headers"]["X-Tag"] == "t"


@pytest.mark.asyncio
async def test_html_is_a_page() -> None:
    async with httpbin() as stage, stage.session.get(stage.urls["httpbin-v1"] + "/html") as response:
        assert response.content_type == "text/html"
        assert "<h1>Herman Melville - Moby-Dick</h1>" in await response.text()


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
async def test_anything_takes_any_method(method: str) -> None:
    async with httpbin() as stage:
        status, shown = await ask(stage, method, "/anything/a/b")
        assert (status, shown["method"], shown["data"], shown["json"]) == (200, method, "", None)


@pytest.mark.asyncio
async def test_anything_shows_json_as_text_and_as_json() -> None:
    async with httpbin() as stage:
        _, shown = await ask(stage, "POST", "/anything", json={"a": [1]})
        assert (shown["data"], shown["json"]) == ('{"a": [1]}', {"a": [1]})


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b"plain", "plain"),
        (b"\xff\xfe", "data:application/octet-stream;base64,//4="),
        (b"[" * 100_000, "[" * 100_000),
    ],
    ids=["text", "bytes", "nested-too-deep"],
)
async def test_anything_shows_a_body_that_is_no_json(body: bytes, data: str) -> None:
    async with httpbin() as stage:
        _, shown = await ask(stage, "POST", "/anything", data=body)
        assert (shown["data"], shown["json"]) == (data, None)


@pytest.mark.asyncio
async def test_anything_shows_forms_by_their_fields() -> None:
    async with httpbin() as stage:
        _, shown = await ask(stage, "POST", "/anything", data=[("x", "1"), ("x", "2"), ("y", "3")])
        assert (shown["form"], shown["data"]) == ({"x": ["1", "2"], "y": "3"}, "")

        form = aiohttp.FormData()
        form.add_field("y", "3")
        form.add_field("f", b"content", filename="f.txt")
        _, shown = await ask(stage, "POST", "/anything", data=form)
        assert (shown["form"], shown["files"]) == ({"y": "3"}, {"f": "content"})


@pytest.mark.asyncio
async def test_a_form_that_is_none_is_a_400() -> None:
    async with httpbin() as stage:
        broken = {"Content-Type": "multipart/form-data"}
        status, shown = await ask(stage, "POST", "/anything", data=b"x", headers=broken)
        assert status == 400
        assert "boundary" in shown["error"]


@pytest.mark.asyncio
async def test_a_body_without_end_is_refused() -> None:
    async with (
        httpbin() as stage,
        stage.session.post(stage.urls["httpbin-v1"] + "/anything", data=BytesIO(b" " * (1024**2 + 1))) as response,
    ):
        assert response.status == 413


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [200, 204, 302, 404, 418, 503, 599])
async def test_status_answers_what_was_asked_for(status: int) -> None:
    async with httpbin() as stage:
        assert (await ask(stage, "GET", f"/status/{status}", allow_redirects=False))[0] == status


@pytest.mark.asyncio
async def test_status_picks_by_weight() -> None:
    async with httpbin() as stage:
        seen = [(await ask(stage, "GET", "/status/200:3,503:1"))[0] for _ in range(200)]
        assert set(seen) == {200, 503}
        assert 20 <= seen.count(503) <= 80  # 50 +- 5 sigma
        assert {(await ask(stage, "GET", "/status/200:0,503:1"))[0] for _ in range(20)} == {503}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "path", ["/status/abc", "/status/100", "/status/200,", "/delay/abc", "/delay/-1", "/delay/nan"]
)
async def test_numbers_that_are_none_are_a_400_that_says_why(path: str) -> None:
    async with httpbin() as stage:
        status, shown = await ask(stage, "GET", path)
        assert status == 400
        assert shown["error"]


@pytest.mark.asyncio
async def test_delay_answers_later_and_not_all_at_once() -> None:
    async with httpbin() as stage:
        started_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(ask(stage, "GET", "/delay/0.2?a=1")) for _ in range(5)]
        assert 0.2 <= time.monotonic() - started_s < 0.8
        status, shown = asked[0].result()
        assert (status, shown["args"]) == (200, {"a": "1"})
        assert set(shown) == {"args", "data", "files", "form", "headers", "origin", "url"}


@pytest.mark.parametrize(("text", "delay_s"), [("0", 0.0), ("2.5", 2.5), ("10", 10.0), ("11", 10.0), ("inf", 10.0)])
def test_a_delay_has_an_end(text: str, delay_s: float) -> None:
    assert parse_delay_s(text) == delay_s <= DELAY_S_MAX


@pytest.mark.parametrize(
    "text",
    [
        "",
        "99",
        "199",
        "600",
        "-200",
        "2e2",
        "²00",
        "200:-1",
        "200:0",
        "200:nan",
        "200:inf",
        "200:1e308,500:1e308",
    ],
)
def test_a_choice_of_status_codes_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        parse_status_codes(text)


def test_the_choice_of_status_codes_is_bounded() -> None:
    assert len(parse_status_codes(",".join(["200"] * STATUS_CODES_MAX))[0]) == STATUS_CODES_MAX
    with pytest.raises(ValueError, match="at most"):
        parse_status_codes(",".join(["200"] * (STATUS_CODES_MAX + 1)))
