"""The demo's users: a steady stream of requests for reviews, counted where they are sent, apart from all probes.

They enter the mesh at productpage's sidecar, as productpage's own calls do. Beside them a browser looks at the whole
page through the ingress gateway now and then.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from loadgen.core.outcome import UNSENT, is_failure
from loadgen.core.plan import Plan, Stage, Target, VersionFrom
from loadgen.core.snapshot import Snapshot
from loadgen.session import LoadSession
from rollout.beside import beside
from rollout.core.routes.target import VERSION_HEADER

RATE_PER_S = 100.0
TIMEOUT_S = 1.0
RUN_S = 7200.0
STRATUM_S = 0.1
PAGES_EVERY_S = 0.5
PAGE_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Users' requests so far."""

    requests: int = 0
    failed: int = 0
    by_version: dict[str, int] = field(default_factory=dict)
    """As the version response header said; "" = it said nothing."""
    pages: int = 0
    failed_pages: int = 0

    def since(self, before: "Count") -> "Count":
        """What came after *before*."""
        versions = {name: count - before.by_version.get(name, 0) for name, count in self.by_version.items()}
        return Count(
            requests=self.requests - before.requests,
            failed=self.failed - before.failed,
            by_version={name: count for name, count in versions.items() if count},
            pages=self.pages - before.pages,
            failed_pages=self.failed_pages - before.failed_pages,
        )


class Audience:
    """Users, being counted."""

    def __init__(self) -> None:
        self.count = Count()
        self._snapshot: Snapshot | None = None
        self._fresh = asyncio.Event()

    def take(self, snapshot: Snapshot) -> None:
        """Count what has ended since the last snapshot."""
        cells = [cell for stratum in snapshot.strata for cell in stratum.cells if cell.outcome not in UNSENT]
        versions = dict(self.count.by_version)
        for cell in cells:
            versions[cell.version] = versions.get(cell.version, 0) + cell.count
        self.count = Count(
            requests=self.count.requests + sum(cell.count for cell in cells),
            failed=self.count.failed + sum(cell.count for cell in cells if is_failure(cell.outcome)),
            by_version=versions,
            pages=self.count.pages,
            failed_pages=self.count.failed_pages,
        )
        self._snapshot = snapshot
        self._fresh.set()
        self._fresh = asyncio.Event()

    def saw_page(self, *, ok: bool) -> None:
        """Count a look at the whole page."""
        count = self.count
        self.count = Count(
            requests=count.requests,
            failed=count.failed,
            by_version=count.by_version,
            pages=count.pages + 1,
            failed_pages=count.failed_pages + (not ok),
        )

    async def settled(self) -> Count:
        """The count once every request that is due by now has ended."""
        await self._fresh.wait()
        assert self._snapshot is not None, "there is one when it is fresh"
        due_by_s = self._snapshot.as_of_s
        while self._snapshot.closed_until * STRATUM_S < due_by_s:
            await self._fresh.wait()
        return self.count


@asynccontextmanager
async def open_audience(address: str, page_url: str) -> AsyncIterator[Audience]:
    """Let users come until the block ends. *address* is host:port of their sidecar."""
    audience = Audience()
    plan = Plan(
        targets=(Target(url="http://reviews:9080/reviews/0", connect=address),),
        stages=(Stage(from_per_s=RATE_PER_S, to_per_s=RATE_PER_S, duration_s=RUN_S),),
        connections=256,
        warm_connections=16,
        timeout_s=TIMEOUT_S,
        version=VersionFrom(key=VERSION_HEADER),
        marker=False,
        breaker=False,  # users do not back off
        stratum_s=STRATUM_S,
    )
    async with LoadSession(plan) as session, beside(_come(session, audience), _look_at_pages(page_url, audience)):
        yield audience


async def _come(session: LoadSession, audience: Audience) -> None:
    async for snapshot in session.snapshots():
        audience.take(snapshot)


async def _look_at_pages(url: str, audience: Audience) -> None:
    timeout = aiohttp.ClientTimeout(total=PAGE_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
        while True:
            try:
                async with session.get(url) as answer:
                    text = await answer.text()
                    audience.saw_page(ok=answer.status == 200 and "reviews are currently unavailable" not in text)
            except (aiohttp.ClientError, TimeoutError):
                audience.saw_page(ok=False)
            await asyncio.sleep(PAGES_EVERY_S)
