"""details, ratings and reviews: the JSON of the original, stars by version, and what happens without ratings."""

import json
from typing import Any

import pytest
from aiohttp import web

from rollout.demo.bookinfo.backends import PRODUCTS_MAX, RATINGS_TIMEOUT_S, RATINGS_UNAVAILABLE, REVIEWERS_MAX
from rollout.demo.bookinfo.book import QUOTES
from rollout.demo.bookinfo.productpage import BACKEND_TIMEOUT_S
from tests.rollout.demo.stage import Answer, Stage, bookinfo, sidecar

RATINGS = "/ratings/7"


async def rate(stage: Stage, path: str, body: str) -> tuple[int, Any]:
    async with stage.session.post(stage.urls["ratings-v1"] + path, data=body) as response:
        return response.status, await response.json()


@pytest.mark.asyncio
async def test_details_are_those_of_the_original() -> None:
    async with bookinfo("--service", "details") as stage:
        status, text = await stage.get("details-v1", "/details/3")
    assert status == 200
    assert json.loads(text) == {
        "id": 3,
        "author": "William Shakespeare",
        "year": 1595,
        "type": "paperback",
        "pages": 200,
        "publisher": "PublisherA",
        "language": "English",
        "ISBN-10": "1234567890",
        "ISBN-13": "123-1234567890",
    }


@pytest.mark.asyncio
async def test_ratings_are_kept_by_product() -> None:
    async with bookinfo("--service", "ratings") as stage:
        assert await rate(stage, RATINGS, '{"Ann": 1}') == (200, {"id": 7, "ratings": {"Ann": 1}})
        assert json.loads((await stage.get("ratings-v1", RATINGS))[1])["ratings"] == {"Ann": 1}
        other = json.loads((await stage.get("ratings-v1", "/ratings/8"))[1])
        assert other == {"id": 8, "ratings": {"Reviewer1": 5, "Reviewer2": 4}}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body",
    ["{", "[]", '{"Ann": 6}', '{"Ann": "5"}', json.dumps({str(number): 1 for number in range(REVIEWERS_MAX + 1)})],
    ids=["broken", "list", "six", "text", "too-many"],
)
async def test_wrong_ratings_are_a_400_and_not_kept(body: str) -> None:
    async with bookinfo("--service", "ratings") as stage:
        status, shown = await rate(stage, RATINGS, body)
        assert status == 400
        assert "ratings" in shown["error"]
        assert "Reviewer1" in (await stage.get("ratings-v1", RATINGS))[1]


@pytest.mark.asyncio
async def test_the_memory_for_ratings_is_bounded() -> None:
    async with bookinfo("--service", "ratings") as stage:
        for product in range(PRODUCTS_MAX):
            assert (await rate(stage, f"/ratings/{product}", "{}"))[0] == 200
        assert (await rate(stage, f"/ratings/{PRODUCTS_MAX}", "{}"))[0] == 400
        assert (await rate(stage, "/ratings/0", '{"Ann": 1}'))[0] == 200


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/reviews/x", "/reviews/1234567890", "/reviews/", "/reviews/0/more"])
async def test_a_product_is_a_short_number(path: str) -> None:
    async with bookinfo("--service", "reviews") as stage:
        assert (await stage.get("reviews-v1", path))[0] == 404


async def reviews_of(stage: Stage, version: str) -> list[dict[str, Any]]:
    status, text = await stage.get(f"reviews-{version}", "/reviews/0", end_user="jason", x_request_id="r1")
    assert status == 200
    shown = json.loads(text)
    assert shown["podname"].startswith(f"reviews-{version}-")
    listed: list[dict[str, Any]] = shown["reviews"]
    assert {item["reviewer"]: item["text"] for item in listed} == QUOTES
    return listed


@pytest.mark.asyncio
async def test_reviews_v1_have_no_stars_and_ask_for_none() -> None:
    async with sidecar() as (fake, url), bookinfo("--service", "reviews", "--outbound", url) as stage:
        assert all("rating" not in review for review in await reviews_of(stage, "v1"))
        assert fake.asked == []


@pytest.mark.asyncio
@pytest.mark.parametrize(("version", "color"), [("v2", "black"), ("v3", "red")])
async def test_reviews_v2_have_black_stars_and_v3_red_ones(version: str, color: str) -> None:
    flags = ["--service", "reviews", "--version", version]
    async with sidecar() as (fake, url), bookinfo(*flags, "--outbound", url) as stage:
        ratings = [review["rating"] for review in await reviews_of(stage, version)]
    assert ratings == [{"stars": 5, "color": color}, {"stars": 4, "color": color}]
    [asked] = fake.asked
    assert (asked.host, asked.path) == ("ratings:9080", "/ratings/0")
    assert (asked.headers["end-user"], asked.headers["x-request-id"]) == ("jason", "r1")


@pytest.mark.asyncio
@pytest.mark.parametrize("version", ["v2", "v3"])
@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.json_response({}, status=503),
        lambda: web.json_response({}),
        lambda: web.json_response({"ratings": {"Reviewer1": 9}}),
        lambda: web.json_response({"ratings": {}}),
    ],
    ids=["down", "none", "nine", "nobody"],
)
async def test_without_ratings_the_reviews_are_still_there(version: str, answer: Answer) -> None:
    flags = ["--service", "reviews", "--version", version]
    async with sidecar() as (fake, url), bookinfo(*flags, "--outbound", url) as stage:
        fake.answers["ratings:9080"] = answer
        assert [review["rating"] for review in await reviews_of(stage, version)] == [
            {"error": RATINGS_UNAVAILABLE}
        ] * len(QUOTES)


def test_v3_gives_up_before_productpage_does_and_v2_does_not() -> None:
    assert RATINGS_TIMEOUT_S["v3"] < BACKEND_TIMEOUT_S < RATINGS_TIMEOUT_S["v2"]
