"""productpage: the shop's front, an HTML page made of what details and reviews say.

Signing in takes any password: the name goes into a cookie and from there, as the header `end-user`, to the services
behind, which is what the tutorial's header match looks at. When reviews fail the page still answers 200 and says so in
words; the original does this, too, and status codes alone therefore hide a bad canary.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote, unquote

from aiohttp import web

from rollout.demo.bookinfo.book import SUMMARY, TITLE, parse_details, parse_reviews
from rollout.demo.bookinfo.calls import Calls, Reply, passed_on
from rollout.demo.bookinfo.page import Unavailable, View, index_page, product_page
from rollout.demo.static_files import static_route

USER_COOKIE = "bookinfo-user"  # cookies do not tell ports apart, so the name says whose it is
USER_LENGTH_MAX = 64
BACKEND_TIMEOUT_S = 3.0  # the original's, for every service
TRIES = {"reviews": 2}  # the original's, "bug introduced explicitly": the tutorial's 0.5 s timeout is felt as 1 s
SORRY = "Sorry, product {} are currently unavailable for this book."
PRODUCTS = [{"id": 0, "title": TITLE, "descriptionHtml": SUMMARY}]
ENTRANCES = ("normal", "test")  # `u` of the original's two links: carried along, it changes nothing

T = TypeVar("T")


class Shop:
    """The handlers that need the services behind."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def routes(self) -> list[web.RouteDef]:
        """Serve the pages and the API."""
        product = r"/api/v1/products/{id:\d{1,9}}"
        return [
            web.get("/", index),
            web.get("/productpage", self.front),
            web.post("/login", sign_in),
            web.get("/logout", sign_out),
            web.get("/api/v1/products", products),
            web.get(product, self.details),
            web.get(f"{product}/reviews", self.reviews),
            web.get(f"{product}/ratings", self.ratings),
            static_route("bookinfo.css"),
            static_route("icon.svg"),
        ]

    async def front(self, request: web.Request) -> web.Response:
        """Show the page of the book."""
        async with asyncio.TaskGroup() as group:
            details = group.create_task(self._ask(request, "details", "0"), name="productpage.details")
            reviews = group.create_task(self._ask(request, "reviews", "0"), name="productpage.reviews")
        view = View(
            user=user_of(request),
            entrance=entrance_of(request),
            details=read(details.result(), parse_details, SORRY.format("details")),
            reviews=read(reviews.result(), parse_reviews, SORRY.format("reviews")),
        )
        return html(product_page(view))

    async def details(self, request: web.Request) -> web.Response:
        """Pass on the details of a product."""
        return answer(await self._ask(request, "details", request.match_info["id"]))

    async def reviews(self, request: web.Request) -> web.Response:
        """Pass on the reviews of a product."""
        return answer(await self._ask(request, "reviews", request.match_info["id"]))

    async def ratings(self, request: web.Request) -> web.Response:
        """Pass on the ratings of a product."""
        return answer(await self._ask(request, "ratings", request.match_info["id"]))

    async def _ask(self, request: web.Request, service: str, product: str) -> Reply:
        headers = passed_on(request.headers)
        if user := user_of(request):
            headers["end-user"] = quote(user)
        tries = TRIES.get(service, 1)
        while True:
            reply = await self._calls.get(
                service,
                f"/{service}/{product}",
                headers=headers,
                timeout_s=BACKEND_TIMEOUT_S,
                sorry=SORRY.format(service),
            )
            tries -= 1
            if reply.is_good or not tries:
                return reply


def read(reply: Reply, parse: Callable[[object], T], sorry: str) -> T | Unavailable:
    """Turn a reply into what the page shows."""
    if not reply.is_good:
        return Unavailable(says=sorry)
    try:
        return parse(reply.document)
    except ValueError:
        return Unavailable(says=sorry)


def answer(reply: Reply) -> web.Response:
    """Pass a reply on as it came."""
    return web.json_response(reply.document, status=reply.status)


def html(text: str) -> web.Response:
    """Answer with a page; it depends on the cookie and on where the mesh routes, so nobody may keep it."""
    return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})


async def index(_: web.Request) -> web.Response:
    """Show where to go in."""
    return html(index_page(ENTRANCES))


async def products(_: web.Request) -> web.Response:
    """List the products: there is one."""
    return web.json_response(PRODUCTS)


async def sign_in(request: web.Request) -> web.Response:
    """Remember the user's name; a name nobody could have is as good as none."""
    name = str((await request.post()).get("username", "")).strip()
    response = back_to_the_book(request)
    if name.isprintable() and 0 < len(name) <= USER_LENGTH_MAX:
        response.set_cookie(USER_COOKIE, quote(name), httponly=True, samesite="Lax")
    return response


async def sign_out(request: web.Request) -> web.Response:
    """Forget the user's name."""
    response = back_to_the_book(request)
    response.del_cookie(USER_COOKIE, httponly=True, samesite="Lax")
    return response


def back_to_the_book(request: web.Request) -> web.Response:
    """Redirect to the page, by a path and never by what the request says: nobody is led elsewhere."""
    return web.Response(
        status=HTTPStatus.SEE_OTHER,
        headers={"Location": f"/productpage?u={entrance_of(request)}", "Cache-Control": "no-store"},
    )


def entrance_of(request: web.Request) -> str:
    """Tell which of the two links the visitor came in by."""
    asked = request.query.get("u", "")
    return asked if asked in ENTRANCES else ENTRANCES[0]


def user_of(request: web.Request) -> str:
    """Tell who is signed in; the empty name is nobody."""
    name = unquote(request.cookies.get(USER_COOKIE, ""))
    return name if name.isprintable() and len(name) <= USER_LENGTH_MAX else ""
