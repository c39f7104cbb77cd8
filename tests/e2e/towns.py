"""What the end-to-end tests share: a client that goes through one workload's sidecar, and counts."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from rollout.demo.stage import Bookinfo
from rollout.mesh.admin import EnvoyAdmin
from rollout.mesh.translate.resources import Api


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: str
    took_s: float

    @property
    def version(self) -> str:
        return self.headers.get("x-app-version", "")


@dataclass(slots=True, kw_only=True)
class Caller:
    """One workload's outbound calls."""

    session: aiohttp.ClientSession
    base: str
    seen: list[Reply] = field(default_factory=list)

    async def get(self, host: str, path: str = "/", **headers: str) -> Reply:
        named = {"Host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        began = time.monotonic()
        async with self.session.get(self.base + path, headers=named, allow_redirects=False) as answer:
            body = await answer.text()
            lower = {name.lower(): value for name, value in answer.headers.items()}
            return Reply(status=answer.status, headers=lower, body=body, took_s=time.monotonic() - began)

    async def reviews(self, count: int = 1, **headers: str) -> list[Reply]:
        return [await self.get("reviews:9080", "/reviews/0", **headers) for _ in range(count)]


def caller(session: aiohttp.ClientSession, town: Bookinfo, listener: str = "productpage-v1.bookinfo") -> Caller:
    return Caller(session=session, base=f"http://{town.mesh.address(listener)}")


def versions(replies: list[Reply]) -> Counter[str]:
    return Counter(reply.version for reply in replies)


def within_binomial(count: int, total: int, share: float, sigmas: float = 4.0) -> bool:
    """Whether *count* of *total* fits *share*: four sigmas are wrong once in 16,000."""
    return bool(abs(count - total * share) <= sigmas * (total * share * (1 - share)) ** 0.5)


async def until(condition: Any, timeout_s: float = 10.0) -> None:
    """Wait until *condition*, an async function, is true."""
    async with asyncio.timeout(timeout_s):
        while not await condition():
            await asyncio.sleep(0.05)


async def settled(town: Bookinfo) -> None:
    """Wait until Envoy holds the routes that were published; its clusters it has read before them."""
    admin = EnvoyAdmin(town.mesh.status.admin)

    async def holds_all() -> bool:
        held = {name: routes.version for name, routes in (await admin.routes()).items()}
        return held == town.mesh.directory.xds.versions(Api.RDS)

    try:
        await until(holds_all)
        await asyncio.sleep(0.1)  # its workers follow its main thread
    finally:
        await admin.close()
