"""One version of one service: who it says it is, the work it pretends to do, and the scenario it plays.

`workload_app` wraps the routes of a service. Each request draws a time of work from a lognormal distribution (service
times are right-skewed; the median is what `--work-ms` says) and is answered no sooner than that. The work runs while
the handler calls other services: that is why reviews v3, which asks ratings, has the same latency shape as v1.

/health stays good whatever the scenario: a real liveness probe does not notice that one endpoint fails, either.
"""

import asyncio
import logging
import math
import os
import random
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Never

from aiohttp import web
from aiohttp.typedefs import Handler

from rollout.demo.scenarios import Deed, Misbehaviour

CRASH_EXIT_CODE = 3
WORK_SIGMA = 0.25  # p99 is 1.8 times the median, the modest tail of a warm service
# Not 502-504: those are what a proxy says, and Istio retries 503 by default, which would hide the fault it shall show.
FAULT_STATUS = 500
POD_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # Kubernetes' own: no vowels, nothing to confuse

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Identity, as a Deployment with one Pod would have it."""

    service: str
    version: str
    pod: str

    @property
    def name(self) -> str:
        """The Deployment's name, e.g. reviews-v3."""
        return f"{self.service}-{self.version}"


def workload_named(service: str, version: str, *, seed: int | None = None) -> Workload:
    """Name a workload; its pod name looks like a real one and is the same at every start with the same seed."""
    chance = workload_chance(f"{service}-{version}", "pod", seed)
    template, unique = ("".join(chance.choices(POD_ALPHABET, k=length)) for length in (10, 5))
    return Workload(service=service, version=version, pod=f"{service}-{version}-{template}-{unique}")


def workload_chance(name: str, purpose: str, seed: int | None) -> random.Random:
    """Make a generator of its own for one purpose, so that one draw more in one place moves none in another."""
    key = f"{name}/{purpose}/{'' if seed is None else seed}"
    return random.Random(zlib.crc32(key.encode()))  # noqa: S311 -- simulated faults are repeatable, not secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How long a request keeps the service busy."""

    median_s: float
    chance: random.Random

    def __post_init__(self) -> None:
        if not 0 <= self.median_s <= 60:
            raise ValueError("work must take between 0 and 60 seconds")

    def draw_s(self) -> float:
        """Draw the time of one request."""
        return self.chance.lognormvariate(math.log(self.median_s), WORK_SIGMA) if self.median_s else 0.0


def end_process() -> Never:
    """End as a crashed program does: no goodbye to anyone, connections reset."""
    log.error("workload.crashed")
    os._exit(CRASH_EXIT_CODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """What a workload does with each request besides its service's own answer."""

    workload: Workload
    misbehaviour: Misbehaviour
    work: Work
    crash: Callable[[], Never] = end_process

    async def perform(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Carry one request's fate out."""
        started_s = asyncio.get_running_loop().time()
        fate = self.misbehaviour.fate()
        work_s = self.work.draw_s() * fate.work_factor + fate.added_s
        response = await self._carried_out(fate.deed, request, handler)
        await asyncio.sleep(work_s - (asyncio.get_running_loop().time() - started_s))
        return response

    async def _carried_out(self, deed: Deed, request: web.Request, handler: Handler) -> web.StreamResponse:
        match deed:
            case Deed.ANSWER:
                return await handler(request)
            case Deed.FAIL:
                return web.json_response({"error": "scenario: this version fails"}, status=FAULT_STATUS)
            case Deed.HANG:
                return await self._hang(request)
            case Deed.CRASH:
                return self.crash()

    async def _hang(self, request: web.Request) -> web.StreamResponse:
        await self.misbehaviour.wait_released()
        if request.transport is not None:
            request.transport.abort()  # the caller sees a reset, never an answer
        return web.Response()

    async def sign(self, _: web.Request, response: web.StreamResponse) -> None:
        """Say who answered; the real bookinfo does not, and telling v1 from v3 from outside is then guesswork."""
        response.headers["x-app-version"] = self.workload.version
        response.headers["x-app-pod"] = self.workload.pod

    async def let_go(self, _: web.Application) -> None:
        """Do not let requests that hang hold up the shutdown."""
        self.misbehaviour.release()


def workload_app(performance: Performance, routes: Iterable[web.AbstractRouteDef], *, health: str) -> web.Application:
    """Build the app of one workload: the routes of its service, /health, and the performance around them."""

    @web.middleware
    async def perform(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == "/health":
            return await handler(request)
        return await performance.perform(request, handler)

    async def healthy(_: web.Request) -> web.Response:
        return web.json_response({"status": health})

    app = web.Application(middlewares=[perform])
    app.add_routes([*routes, web.get("/health", healthy)])
    app.on_response_prepare.append(performance.sign)
    app.on_shutdown.append(performance.let_go)
    return app
