"""productpage: the page from three services, signing in, retries, and a page that stands when others fall."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import unquote

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from rollout.demo.bookinfo.book import DETAILS
from rollout.demo.bookinfo.calls import Calls, Reply
from rollout.demo.bookinfo.productpage import USER_COOKIE, Shop
from rollout.demo.static_files import CONTENT_SECURITY_POLICY
from tests.rollout.demo.stage import Sidecar, Stage, bookinfo, sidecar

PAGE = "/productpage?u=normal"
FRONT = "productpage-v1"


@asynccontextmanager
async def front() -> AsyncIterator[tuple[Stage, Sidecar]]:
    """productpage alone, with a sidecar that answers for the rest."""
    async with sidecar() as (fake, url), bookinfo("--service", "productpage", "--outbound", url) as stage:
        yield stage, fake


def down() -> web.StreamResponse:
    return web.json_response({}, status=503)


async def sign_in(stage: Stage, name: str, entrance: str = "normal") -> str:
    form = {"username": name, "password": "any"}
    async with stage.session.post(stage.urls[FRONT] + f"/login?u={entrance}", data=form) as response:
        assert response.status == 200
        return await response.text()


@pytest.mark.asyncio
async def test_the_versions_of_reviews_take_turns_as_without_a_mesh() -> None:
    async with bookinfo("--all") as stage:
        pages = [(await stage.get(FRONT, PAGE))[1] for _ in range(3)]
    assert ["black" if "stars black" in page else "red" if "stars red" in page else "none" for page in pages] == [
        "none",
        "black",
        "red",
    ]
    assert all(page.count("★★★★") == 2 for page in pages[1:])
    assert all(f"Reviews served by: <code>reviews-v{number}-" in page for number, page in enumerate(pages, 1))
    assert all("William Shakespeare" in page for page in pages)


@pytest.mark.asyncio
async def test_who_signs_in_is_end_user_to_every_service_until_he_signs_out() -> None:
    async with front() as (stage, fake):
        assert "Sign in" in (await stage.get(FRONT, PAGE))[1]
        assert all("end-user" not in asked.headers for asked in fake.asked)

        fake.asked.clear()
        assert '<span class="user">jason</span>' in await sign_in(stage, "jason")
        assert [asked.headers["end-user"] for asked in fake.asked] == ["jason", "jason"]
        assert {asked.host for asked in fake.asked} == {"details:9080", "reviews:9080"}

        fake.asked.clear()
        assert "jason" not in (await stage.get(FRONT, "/logout?u=normal"))[1]
        assert len(fake.asked) == 2
        assert all("end-user" not in asked.headers for asked in fake.asked)


@pytest.mark.asyncio
async def test_through_the_whole_of_bookinfo_end_user_gets_as_far_as_ratings() -> None:
    async with sidecar() as (fake, url), bookinfo("--all", "--outbound", f"reviews-v2={url}") as stage:
        await sign_in(stage, "jason")
        await stage.get(FRONT, PAGE)
        await stage.get(FRONT, PAGE)
    assert [asked.headers["end-user"] for asked in fake.calls_to("ratings")] == ["jason"]


@pytest.mark.asyncio
async def test_tracing_headers_go_on_and_cookies_do_not() -> None:
    async with front() as (stage, fake):
        await stage.get(FRONT, PAGE, x_request_id="r1", traceparent="00-1", x_b3_traceid="b3", cookie="secret=1")
    for asked in fake.asked:
        assert (asked.headers["x-request-id"], asked.headers["traceparent"]) == ("r1", "00-1")
        assert asked.headers["x-b3-traceid"] == "b3"
        assert "cookie" not in asked.headers


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["Zoë", "a b", "x; Path=/", "<b>", 'a"b', "%41"])
async def test_any_name_survives_cookie_and_header(name: str) -> None:
    async with front() as (stage, fake):
        await sign_in(stage, name)
        sent = fake.asked[-1].headers["end-user"]
        assert sent.isascii()
        assert ";" not in sent
        assert unquote(sent) == name


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\nb", "a\x00b"])
async def test_a_name_that_nobody_could_have_signs_nobody_in(name: str) -> None:
    async with front() as (stage, fake):
        assert "Sign out" not in await sign_in(stage, name)
        assert all("end-user" not in asked.headers for asked in fake.asked)


@pytest.mark.asyncio
async def test_a_cookie_somebody_made_up_is_nobody() -> None:
    async with front() as (stage, fake):
        status, text = await stage.get(FRONT, PAGE, cookie=f"{USER_COOKIE}=a%0d%0aevil:%20header")
        assert status == 200
        assert "Sign out" not in text
        assert all("end-user" not in asked.headers for asked in fake.asked)


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/logout?u=//evil.example", "/logout?u=https://evil.example", "/logout"])
async def test_nobody_is_led_elsewhere(path: str) -> None:
    async with (
        front() as (stage, _),
        stage.session.get(stage.urls[FRONT] + path, allow_redirects=False) as response,
    ):
        assert (response.status, response.headers["Location"]) == (303, PAGE)


@pytest.mark.asyncio
async def test_reviews_are_asked_twice_and_the_others_once() -> None:
    async with front() as (stage, fake):
        fake.answers = dict.fromkeys(fake.answers, down)
        status, text = await stage.get(FRONT, PAGE)
        assert status == 200
        assert "Error fetching product reviews!" in text
        assert "Sorry, product reviews are currently unavailable for this book." in text
        assert "Error fetching product details!" in text
        assert (len(fake.calls_to("reviews")), len(fake.calls_to("details"))) == (2, 1)


@pytest.mark.asyncio
async def test_the_second_try_may_succeed() -> None:
    async with front() as (stage, fake):
        good = fake.answers["reviews:9080"]

        def down_once() -> web.StreamResponse:
            fake.answers["reviews:9080"] = good
            return down()

        fake.answers["reviews:9080"] = down_once
        assert "Reviews served by" in (await stage.get(FRONT, PAGE))[1]
        assert len(fake.calls_to("reviews")) == 2


@pytest.mark.asyncio
async def test_reviews_of_the_wrong_shape_are_a_failure_of_reviews_alone() -> None:
    async with front() as (stage, fake):
        fake.answers["reviews:9080"] = lambda: web.json_response({"reviews": "none"})
        status, text = await stage.get(FRONT, PAGE)
        assert status == 200
        assert "Error fetching product reviews!" in text
        assert "William Shakespeare" in text


@pytest.mark.asyncio
async def test_without_ratings_the_page_shows_reviews_and_says_so() -> None:
    async with bookinfo("--all") as stage:
        stage.play("errors-100", workload="ratings-v1")
        pages = [(await stage.get(FRONT, PAGE)) for _ in range(3)]
    assert [status for status, _ in pages] == [200, 200, 200]
    assert [text.count("Ratings service is currently unavailable") for _, text in pages] == [0, 2, 2]
    assert all("The slapstick humour is refreshing!" in text for _, text in pages)


@pytest.mark.asyncio
async def test_the_second_try_hides_a_bad_canary_behind_a_good_version() -> None:
    async with bookinfo("--all") as stage:
        stage.play("errors-100")
        pages = [(await stage.get(FRONT, PAGE))[1] for _ in range(4)]
    served = [re.findall(r"served by: <code>(reviews-v\d)", page) for page in pages]
    assert served == [["reviews-v1"], ["reviews-v2"], ["reviews-v1"], ["reviews-v2"]]  # third: v3 fails, then v1


class FakeCalls(Calls):
    """Remembers how long each service may take."""

    def __init__(self) -> None:
        super().__init__()
        self.timeouts_s: list[tuple[str, float]] = []

    async def get(self, service: str, path: str, *, headers: Mapping[str, str], timeout_s: float, sorry: str) -> Reply:
        self.timeouts_s.append((service, timeout_s))
        return Reply(status=500, document={"error": sorry})


@pytest.mark.asyncio
async def test_every_service_has_three_seconds_as_in_the_original() -> None:
    calls = FakeCalls()
    app = web.Application()
    app.add_routes(Shop(calls).routes())
    async with TestClient(TestServer(app)) as client:
        await client.get(PAGE)
    assert sorted(calls.timeouts_s) == [("details", 3.0), ("reviews", 3.0), ("reviews", 3.0)]


@pytest.mark.asyncio
@pytest.mark.parametrize("service", ["details", "reviews", "ratings"])
async def test_the_api_passes_on_what_a_service_says(service: str) -> None:
    path = "/api/v1/products/0" + ("" if service == "details" else f"/{service}")
    async with front() as (stage, fake):
        status, text = await stage.get(FRONT, path)
        assert status == 200
        assert fake.asked[-1].path == f"/{service}/0"
        fake.answers[f"{service}:9080"] = down
        status, text = await stage.get(FRONT, path)
        sorry = f"Sorry, product {service} are currently unavailable for this book."
        assert (status, json.loads(text)) == (503, {"error": sorry})


@pytest.mark.asyncio
async def test_the_api_lists_one_product() -> None:
    async with front() as (stage, _):
        [product] = json.loads((await stage.get(FRONT, "/api/v1/products"))[1])
        assert (product["id"], product["title"]) == (0, "The Comedy of Errors")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        (PAGE, "text/html"),
        ("/", "text/html"),
        ("/static/bookinfo.css", "text/css"),
        ("/static/icon.svg", "image/svg+xml"),
    ],
)
async def test_pages_and_files_keep_to_themselves(path: str, content_type: str) -> None:
    async with front() as (stage, _), stage.session.get(stage.urls[FRONT] + path) as response:
        assert response.status == 200
        assert response.content_type == content_type
        assert response.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
        assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.asyncio
async def test_details_are_those_that_were_sent() -> None:
    async with front() as (stage, fake):
        fake.answers["details:9080"] = lambda: web.json_response(DETAILS | {"publisher": "Somebody <else>"})
        assert "Somebody &lt;else&gt;" in (await stage.get(FRONT, PAGE))[1]
