"""The demo's programme: how a release is started and followed, and what an act says it cost."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from rollout.demo.audience import Audience, Count
from rollout.demo.show import Act, Show
from rollout.demo.stage import Stage
from rollout.demo.watcher import Watch, Watcher
from rollout.ports import Unavailable

pytestmark = pytest.mark.asyncio


def rollout(**changes: Any) -> dict[str, Any]:
    """A rollout as the API shows it."""
    return {"id": "r1", "phase": "Progressing", "result": None, "detail": "", "cause": "the cause"} | changes


@dataclass
class Daemon:
    """Answers like the API: one frame after the other, the last one for ever."""

    frames: list[dict[str, Any]] = field(default_factory=lambda: [rollout(), rollout(result="promoted")])
    refusal: str = ""
    is_gone: bool = False
    bodies: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/api/v1/rollouts", self._start)
        app.router.add_get("/api/v1/rollouts/{id}", self._get)
        return app

    async def _start(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        if self.refusal:
            return web.json_response({"detail": self.refusal}, status=409)
        return web.json_response(self.frames[0], status=201)

    async def _get(self, request: web.Request) -> web.Response:
        self.asked.append(request.match_info["id"])
        if self.is_gone:
            return web.json_response({"detail": "there is no rollout r1"}, status=404)
        return web.json_response(self.frames[min(len(self.asked), len(self.frames) - 1)])


@dataclass
class House:
    """Stage, users, watcher and programme in one; remembers the order of what is done."""

    daemon: Daemon
    daemon_url: str = ""
    log: list[str] = field(default_factory=list)
    counts: list[Count] = field(default_factory=lambda: [Count()] * 5)
    watch: Watch = field(default_factory=Watch)
    documented: dict[str, int] = field(default_factory=lambda: {"v1": 0, "v3": 100})
    followed: list[dict[str, Any]] = field(default_factory=list)

    @property
    def show(self) -> Show:
        bookinfo = SimpleNamespace(
            cast={"reviews-v3": SimpleNamespace(play=self._play)}, reset=self._reset, weights=lambda: self.documented
        )
        stage = cast(Stage, SimpleNamespace(bookinfo=bookinfo, daemon_url=self.daemon_url))
        watcher = cast(Watcher, SimpleNamespace(begin=self._begin))
        return Show(stage, cast(Audience, SimpleNamespace(settled=self._settled)), watcher, self)

    async def _reset(self) -> None:
        self.log.append("reset")

    async def _play(self, name: str) -> None:
        self.log.append(f"play {name}")

    async def _settled(self) -> Count:
        self.log.append("count")
        return self.counts.pop(0)

    def _begin(self) -> Watch:
        self.log.append("watch")
        return self.watch

    async def announce(self, name: str, says: str) -> None:
        self.log.append(f"announce {name}: {says}")

    async def follow(self, rollout: dict[str, Any]) -> None:
        self.followed.append(rollout)

    async def account(self, act: Act) -> None:
        self.log.append(f"account {act.result}")

    def act(self, name: str, times: tuple[float, float] = (100.0, 110.0), **changes: Any) -> Act:
        """The account of a release, without having played it."""
        return self.show._act(name, rollout(**changes), Count(), self.watch, times)


@pytest_asyncio.fixture
async def house(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr("rollout.demo.show.POLL_S", 0.0)
    daemon = Daemon()
    async with TestServer(daemon.app()) as server:
        yield House(daemon, daemon_url=str(server.make_url("")).rstrip("/"))


async def test_an_act_begins_on_v1_with_the_scenario_on_and_ends_with_it_off(house: House) -> None:
    await house.show.play("errors-100")

    assert house.log == [
        "announce errors-100: every request fails",
        "reset",
        "play errors-100",
        "count",
        "watch",
        "play healthy",
        "count",
        "account promoted",
    ]


async def test_the_release_is_asked_for_by_plan_or_by_bare_weights(house: House) -> None:
    await house.show.play("healthy")
    await house.show.play("healthy", (10, 100))

    plain = {"service": "reviews", "namespace": "bookinfo", "to": "v3", "actor": "demo", "reason": "scenario healthy"}
    assert house.daemon.bodies == [plain, {**plain, "steps": [10, 100], "hold": "4s"}]


async def test_every_state_is_followed_until_there_is_a_result(house: House) -> None:
    frames = [rollout(), rollout(phase="Paused"), rollout(phase="Promoted", result="promoted", detail="all well")]
    house.daemon.frames = frames

    act = await house.show.play("healthy")

    assert house.followed == frames
    assert house.daemon.asked == ["r1", "r1"]
    assert (act.rollout, act.result, act.reason) == ("r1", "promoted", "all well")


async def test_a_release_that_the_daemon_refuses_is_unavailable_with_its_reason(house: House) -> None:
    house.daemon.refusal = "reviews has an unfinished rollout, r0"

    with pytest.raises(Unavailable, match="the daemon does not start a rollout: reviews has an unfinished rollout, r0"):
        await house.show.play("healthy")


async def test_a_daemon_that_forgets_or_ends_is_unavailable(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.daemon.is_gone = True
    with pytest.raises(Unavailable, match="does not know the rollout any more: there is no rollout r1"):
        await house.show.play("healthy")

    house.daemon.is_gone, house.daemon.frames = False, [rollout()]
    monkeypatch.setattr("rollout.demo.show.RESULT_TIMEOUT_S", 0.05)
    with pytest.raises(Unavailable, match="the daemon has no result to tell: TimeoutError"):
        await house.show.play("healthy")

    house.daemon_url = "http://127.0.0.1:9"
    with pytest.raises(Unavailable, match="the daemon has no result to tell: .*127.0.0.1:9"):
        await house.show.play("healthy")


async def test_the_users_of_an_act_are_those_who_came_during_it(house: House) -> None:
    before = Count(requests=100, failed=1, by_version={"v1": 100}, pages=10, failed_pages=1)
    after = Count(requests=350, failed=3, by_version={"v1": 300, "v3": 50}, pages=14, failed_pages=1)
    house.counts = [before, after]
    house.watch.percent_max = 25.0

    document = (await house.show.play("healthy")).document()

    wanted = {
        "user_requests": 250,
        "failed_user_requests": 2,
        "user_requests_by_version": {"v1": 200, "v3": 50},
        "page_views": 4,
        "failed_page_views": 0,
        "weight_max": 25.0,
        "final_weights": {"v3": 100},
    }
    assert {key: document[key] for key in wanted} == wanted


async def test_a_promoted_release_has_no_time_to_rollback(house: House) -> None:
    house.watch = Watch(first_request_at=101.0, first_failure_at=102.0, percent_max=100.0)

    act = house.act("healthy", result="promoted")

    assert (act.time_to_rollback_s, act.duration_s, act.reason) == (None, 10.0, "the cause")


@pytest.mark.parametrize(
    ("name", "watch", "took_s"),
    [
        # From the first failure until no proxy sends users there.
        ("errors-20", Watch(first_request_at=101.0, first_failure_at=104.0, zero_at=104.5), 0.5),
        # A slow version does harm from its first request on.
        ("slow", Watch(first_request_at=101.0, first_failure_at=104.0, zero_at=104.5), 3.5),
        ("slow-p99", Watch(first_request_at=101.0, zero_at=104.5), 3.5),
        # Nothing failed outright: the first request counts; and without one, the beginning.
        ("hang", Watch(first_request_at=101.0, zero_at=104.5), 3.5),
        ("crash", Watch(zero_at=104.5), 4.5),
        # It never got any user: until the decision.
        ("errors-100", Watch(first_request_at=101.0, first_failure_at=101.25), 8.75),
        # It was back before the first failure was counted.
        ("errors-5", Watch(first_request_at=101.0, first_failure_at=104.0, zero_at=103.0), 0.0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_the_time_to_rollback_runs_from_the_first_harm(
    house: House, name: str, watch: Watch, took_s: float
) -> None:
    house.watch = watch

    assert house.act(name, result="rolled_back").time_to_rollback_s == took_s
