"""The demo's programs in this process, on real loopback sockets, and a sidecar that remembers what it was asked."""

import argparse
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from rollout.demo.admin import admin_app
from rollout.demo.bookinfo.__main__ import build as build_bookinfo
from rollout.demo.bookinfo.__main__ import parser_of_options
from rollout.demo.bookinfo.book import DETAILS, RATINGS
from rollout.demo.cast import Cast, Wish
from rollout.demo.httpbin import build as build_httpbin
from rollout.demo.program import Part, add_options, door, opened
from rollout.demo.scenarios import scenario_named


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A program that runs, and somebody to ask it."""

    session: aiohttp.ClientSession
    urls: Mapping[str, str]
    admin_url: str
    parts: Mapping[str, Part]
    cast: Cast

    def play(self, name: str, *, workload: str | None = None) -> None:
        self.cast.play(Wish(scenario=scenario_named(name, 0.0), workload=workload))

    async def get(self, workload: str, path: str, **headers: str) -> tuple[int, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.get(self.urls[workload] + path, headers=named) as response:
            return response.status, await response.text()


@asynccontextmanager
async def bookinfo(*flags: str) -> AsyncIterator[Stage]:
    async with staged(build_bookinfo, parser_of_options().parse_args(["--work-ms", "0", *flags])) as stage:
        yield stage


@asynccontextmanager
async def httpbin() -> AsyncIterator[Stage]:
    parser = argparse.ArgumentParser()
    add_options(parser)
    async with staged(build_httpbin, parser.parse_args([])) as stage:
        yield stage


@asynccontextmanager
async def staged(
    build: Callable[[argparse.Namespace], Sequence[Part]], options: argparse.Namespace
) -> AsyncIterator[Stage]:
    parts = {part.performance.workload.name: part for part in build(options)}
    cast = Cast({name: part.performance.misbehaviour for name, part in parts.items()})
    async with AsyncExitStack() as stack:
        ports = {name: await opened(stack, part.app, part.door) for name, part in parts.items()}
        admin_port = await opened(stack, admin_app(cast), door("127.0.0.1", 0))
        jar = aiohttp.CookieJar(unsafe=True)  # unsafe: keeps cookies of an IP address
        session = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=jar))
        yield Stage(
            session=session,
            urls={name: f"http://127.0.0.1:{port}" for name, port in ports.items()},
            admin_url=f"http://127.0.0.1:{admin_port}/__scenario",
            parts=parts,
            cast=cast,
        )


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One call as it arrived."""

    host: str
    path: str
    headers: Mapping[str, str]


Answer = Callable[[], web.StreamResponse]


@dataclass
class Sidecar:
    """Stands where Envoy stands: every call comes here, and is answered by its Host header."""

    asked: list[Asked] = field(default_factory=list)
    answers: dict[str, Answer] = field(
        default_factory=lambda: {
            "details:9080": lambda: web.json_response({"id": 0} | DETAILS),
            "reviews:9080": lambda: web.json_response({"id": "0", "podname": "reviews-v1-x", "reviews": []}),
            "ratings:9080": lambda: web.json_response({"id": 0, "ratings": RATINGS}),
        }
    )

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(Asked(host=request.host, path=request.path, headers=request.headers))
        return self.answers[request.host]()

    def calls_to(self, service: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.host == f"{service}:9080"]


@asynccontextmanager
async def sidecar() -> AsyncIterator[tuple[Sidecar, str]]:
    fake = Sidecar()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.answer)
    async with TestServer(app) as server:
        yield fake, str(server.make_url("")).rstrip("/")
