"""The services behind the page: details, ratings and reviews, as routes.

Each answers with the JSON of the original. Their latency and their faults come from `rollout.demo.workload`.
"""

from http import HTTPStatus

from aiohttp import web

from rollout.demo.bookinfo.book import DETAILS, QUOTES, RATINGS, StarColor, parse_ratings
from rollout.demo.bookinfo.calls import Calls, passed_on

PRODUCTS_MAX = 1000  # ratings kept in memory; the shop has one book, the rest is what people try out
REVIEWERS_MAX = 100
RATINGS_UNAVAILABLE = "Ratings service is currently unavailable"

# The original's: v2 waits long enough for the tutorial's 7 s delay to surface as a timeout of productpage (3 s, twice);
# v3 is the fixed one and gives up before productpage does.
RATINGS_TIMEOUT_S = {"v2": 10.0, "v3": 2.5}
STAR_COLOR = {"v2": StarColor.BLACK, "v3": StarColor.RED}


def details_routes() -> list[web.RouteDef]:
    """Serve the details of a book."""

    async def details(request: web.Request) -> web.Response:
        return web.json_response({"id": int(request.match_info["id"])} | DETAILS)

    return [web.get(r"/details/{id:\d{1,9}}", details)]


def ratings_routes() -> list[web.RouteDef]:
    """Serve and take ratings, kept in memory."""
    kept: dict[int, dict[str, int]] = {}

    async def ratings(request: web.Request) -> web.Response:
        product = int(request.match_info["id"])
        return web.json_response({"id": product, "ratings": kept.get(product, RATINGS)})

    async def rate(request: web.Request) -> web.Response:
        product = int(request.match_info["id"])
        try:
            posted = parse_ratings(await request.json())
        except ValueError as wrong:
            return refusal(f"please provide valid ratings JSON: {wrong}")
        if len(posted) > REVIEWERS_MAX or (product not in kept and len(kept) >= PRODUCTS_MAX):
            return refusal("too many ratings")
        kept[product] = posted
        return web.json_response({"id": product, "ratings": posted})

    return [web.get(r"/ratings/{id:\d{1,9}}", ratings), web.post(r"/ratings/{id:\d{1,9}}", rate)]


def refusal(says: str) -> web.Response:
    """Answer 400 with the reason."""
    return web.json_response({"error": says}, status=HTTPStatus.BAD_REQUEST)


def reviews_routes(version: str, pod: str, calls: Calls) -> list[web.RouteDef]:
    """Serve the reviews of a book; from v2 on with stars."""

    async def reviews(request: web.Request) -> web.Response:
        product = request.match_info["id"]
        stars = await ask_for_stars(request, product) if version in STAR_COLOR else {}
        listed = [review(reviewer, stars) for reviewer in QUOTES]
        return web.json_response({"id": product, "podname": pod, "clustername": "", "reviews": listed})

    async def ask_for_stars(request: web.Request, product: str) -> dict[str, int]:
        reply = await calls.get(
            "ratings",
            f"/ratings/{product}",
            headers=passed_on(request.headers),
            timeout_s=RATINGS_TIMEOUT_S[version],
            sorry=RATINGS_UNAVAILABLE,
        )
        try:
            return parse_ratings(reply.document["ratings"]) if reply.is_good else {}
        except (ValueError, KeyError):
            return {}

    def review(reviewer: str, stars: dict[str, int]) -> dict[str, object]:
        said: dict[str, object] = {"reviewer": reviewer, "text": QUOTES[reviewer]}
        if version in STAR_COLOR:
            said["rating"] = (
                {"stars": stars[reviewer], "color": STAR_COLOR[version]}
                if reviewer in stars
                else {"error": RATINGS_UNAVAILABLE}
            )
        return said

    return [web.get(r"/reviews/{id:\d{1,9}}", reviews)]
