"""One release of reviews v2 → v3 on the running stage. Both versions call ratings, so they are equally fast."""

import asyncio
import time
from typing import Any

import aiohttp

from rollout.demo.audience import Audience
from rollout.demo.stage import Stage
from rollout.demo.watcher import Watch, Watcher
from tests.acceptance.cases import Case, Take

TAKE_S_MAX = 240.0  # beyond it the take counts as hung
HELD_S = 10.0  # a shared outage that is held for so long is held
CALM_S = 2.0  # between takes: connections of the last one come to rest
POLL_S = 0.1
SHARED = "shared outage"


class Theatre:
    """A stage with users and somebody who watches the proxies."""

    def __init__(self, stage: Stage, audience: Audience, watcher: Watcher) -> None:
        self._stage, self._audience, self._watcher = stage, audience, watcher

    async def play(self, case: Case) -> Take:
        """One take; what goes wrong on the way is its end."""
        await self._set(stable="healthy", canary="healthy")
        await self._stage.bookinfo.apply("virtual-service-reviews-v2.yaml")
        await asyncio.sleep(CALM_S)
        await self._set(stable=case.stable, canary=case.canary)
        before, watch = await self._audience.settled(), self._watcher.begin()
        began = _now()
        try:
            async with asyncio.timeout(TAKE_S_MAX), aiohttp.ClientSession(self._stage.daemon_url) as session:
                release = Release(session)
                end, why = await release.played()
        except (aiohttp.ClientError, TimeoutError) as error:
            end, why = "hung", f"{type(error).__name__} {error}".strip()
        took_s = _now() - began
        await self._set(stable="healthy", canary="healthy")
        users = (await self._audience.settled()).since(before)
        return Take(
            case=case.name,
            end=end,
            why=why,
            seconds=_seconds(watch) if end == "rolled_back" else None,
            duration_s=round(took_s, 1),
            weight_max=watch.percent_max,
            user_requests=users.requests,
            failed_user_requests=users.failed,
        )

    async def _set(self, *, stable: str, canary: str) -> None:
        cast = self._stage.bookinfo.cast
        await cast["reviews-v2"].play(stable)
        await cast["reviews-v3"].play(canary)


class Release:
    """A rollout, as the daemon's API tells it."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def played(self) -> tuple[str, str]:
        """Start it, follow it to its end or into a shared outage, and say how it ended and why."""
        wish = {"service": "reviews", "namespace": "bookinfo", "to": "v3", "actor": "acceptance"}
        rollout = await self._ask("POST", "/api/v1/rollouts", wish)
        path, held_since = f"/api/v1/rollouts/{rollout['id']}", None
        while rollout["result"] is None:
            await asyncio.sleep(POLL_S)
            rollout = await self._ask("GET", path)
            is_shared = SHARED in rollout["waitingFor"]
            held_since = (held_since or _now()) if is_shared else None
            if held_since is not None and _now() - held_since >= HELD_S:
                return "held", await self._abort(path, rollout)
        return rollout["result"], rollout["detail"] or rollout["cause"]

    async def _abort(self, path: str, rollout: dict[str, Any]) -> str:
        why = f"weight {rollout['weight']}: {rollout['waitingFor']}"
        await self._ask("POST", f"{path}:abort", {"actor": "acceptance"})
        while (await self._ask("GET", path))["result"] is None:
            await asyncio.sleep(POLL_S)
        return why

    async def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        async with self._session.request(method, path, json=body) as answer:
            document: dict[str, Any] = await answer.json()
            if answer.status >= 400:
                raise aiohttp.ClientError(f"{method} {path}: {document.get('detail')}")
            return document


def _seconds(watch: Watch) -> float | None:
    if watch.first_request_at is None or watch.zero_at is None:
        return None
    return round(watch.zero_at - watch.first_request_at, 2)


def _now() -> float:
    return time.monotonic()
