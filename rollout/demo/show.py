"""The demo's programme: release v3 once per scenario, and account for what it cost the users."""

import asyncio
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import aiohttp

from rollout.demo.audience import Audience, Count
from rollout.demo.scenarios import SCENARIOS, ScenarioName
from rollout.demo.stage import Stage
from rollout.demo.watcher import Watch, Watcher
from rollout.ports import Unavailable

POLL_S = 0.1
RESULT_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One scenario, played to its end."""

    name: str
    result: str
    """promoted, rolled_back or aborted."""
    reason: str
    """The cause in plain words."""
    failed_user_requests: int
    user_requests: int
    time_to_rollback_s: float | None
    """From the first failing request of v3 (of its first request, where none failed outright) until no proxy sent users
    to it; with probes, when it never got any, until the decision. None when it was promoted."""
    final_weights: dict[str, int]
    duration_s: float
    weight_max: float
    """The largest share of users that v3 ever got, in percent."""
    user_requests_by_version: dict[str, int] = field(default_factory=dict)
    page_views: int = 0
    failed_page_views: int = 0
    rollout: str = ""

    def document(self) -> dict[str, Any]:
        """For --output json."""
        return asdict(self)


class Programme(Protocol):
    """Who shows it: a live picture, or lines."""

    async def announce(self, name: str, says: str) -> None:
        """A scenario begins."""
        ...

    async def follow(self, rollout: dict[str, Any]) -> None:
        """The rollout as it is now."""
        ...

    async def account(self, act: Act) -> None:
        """A scenario has ended."""
        ...


class Show:
    """Plays scenarios on a stage."""

    def __init__(self, stage: Stage, audience: Audience, watcher: Watcher, programme: Programme) -> None:
        self._stage, self._audience, self._watcher, self._programme = stage, audience, watcher, programme
        self._canary = stage.bookinfo.cast["reviews-v3"]

    async def play(self, name: str, steps: tuple[int, ...] = ()) -> Act:
        """Release v3 under a scenario and wait for the end. *steps*: bare weights instead of the plan's steps."""
        await self._programme.announce(name, SCENARIOS[ScenarioName(name)].says)
        await self._stage.bookinfo.reset()
        await self._canary.play(name)
        before = await self._audience.settled()
        watch = self._watcher.begin()
        began = time.monotonic()  # noqa: TID251 - a stop-watch
        try:
            async with aiohttp.ClientSession(self._stage.daemon_url, trust_env=False) as session:
                rollout = await self._started(session, name, steps)
                rollout = await self._followed(session, rollout)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"the daemon has no result to tell: {str(error) or type(error).__name__}") from error
        ended = time.monotonic()  # noqa: TID251 - a stop-watch
        await self._canary.play(ScenarioName.HEALTHY)
        users = (await self._audience.settled()).since(before)
        act = self._act(name, rollout, users, watch, (began, ended))
        await self._programme.account(act)
        return act

    async def _started(self, session: aiohttp.ClientSession, name: str, steps: tuple[int, ...]) -> dict[str, Any]:
        body = {
            "service": "reviews",
            "namespace": "bookinfo",
            "to": "v3",
            "actor": "demo",
            "reason": f"scenario {name}",
        }
        if steps:
            body |= {"steps": list(steps), "hold": "4s"}  # type: ignore[dict-item]
        async with session.post("/api/v1/rollouts", json=body) as answer:
            document: dict[str, Any] = await answer.json()
            if answer.status >= 400:
                raise Unavailable(f"the daemon does not start a rollout: {document.get('detail')}")
            return document

    async def _followed(self, session: aiohttp.ClientSession, rollout: dict[str, Any]) -> dict[str, Any]:
        async with asyncio.timeout(RESULT_TIMEOUT_S):
            while rollout["result"] is None:
                await self._programme.follow(rollout)
                await asyncio.sleep(POLL_S)
                async with session.get(f"/api/v1/rollouts/{rollout['id']}") as answer:
                    document = await answer.json()
                    if answer.status >= 400:
                        raise Unavailable(f"the daemon does not know the rollout any more: {document.get('detail')}")
                    rollout = document
        await self._programme.follow(rollout)
        return rollout

    def _act(self, name: str, rollout: dict[str, Any], users: Count, watch: Watch, times: tuple[float, float]) -> Act:
        began, ended = times
        took_s = None
        if rollout["result"] != "promoted":
            scenario = SCENARIOS[ScenarioName(name)]
            fails = not (scenario.delay_s or scenario.slow_share)  # a slow version does harm from its first request on
            harm_at = (watch.first_failure_at if fails else None) or watch.first_request_at or began
            took_s = round(max(0.0, (watch.zero_at or ended) - harm_at), 2)
        return Act(
            name=name,
            result=rollout["result"],
            reason=rollout["detail"] or rollout["cause"],
            failed_user_requests=users.failed,
            user_requests=users.requests,
            time_to_rollback_s=took_s,
            final_weights={version: weight for version, weight in self._stage.bookinfo.weights().items() if weight},
            duration_s=round(ended - began, 1),
            weight_max=watch.percent_max,
            user_requests_by_version=users.by_version,
            page_views=users.pages,
            failed_page_views=users.failed_pages,
            rollout=rollout["id"],
        )
