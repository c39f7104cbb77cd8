"""The composition root: a bug in one rollout stops no other, bad settings are named, a signal leaves traffic alone."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from prometheus_client import CollectorRegistry

from rollout.app import RESTART_S, STUCK_AFTER_S, App, StartError, read_plans, run_daemon
from rollout.control import StartRequest
from rollout.core.observation import OrderKind
from rollout.core.phase import Phase, State
from rollout.core.plan_rules import parse_plan
from rollout.ports import Rollout
from rollout.reconciler import Reconciler
from rollout.settings import Settings
from rollout.telemetry import Metrics
from tests.fakes import FakeWorld
from tests.rollout.core.documents import plan_document
from tests.rollout.mesh.meshes import made, without_envoy


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """What the daemon logs, and nothing on the screen."""
    with structlog.testing.capture_logs() as events:
        yield events


def app_over(fake: FakeWorld) -> App:
    plan = parse_plan(plan_document())
    return App(fake.world, Metrics(CollectorRegistry()), {("bookinfo", "reviews"): plan})


@asynccontextmanager
async def running(app: App) -> AsyncIterator[None]:
    task = asyncio.create_task(app.run())
    await turns()
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(20_000):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail("it never came about")


async def start(app: App) -> Rollout:
    return await app.control.start(StartRequest(service="reviews", canary="v3", actor="alice", via="cli"))


async def ended(fake: FakeWorld, rollout: Rollout) -> State:
    await until(lambda: fake.store.entries[rollout.id][-1].state.phase.is_final)
    return fake.store.entries[rollout.id][-1].state


async def abort(fake: FakeWorld, rollout: Rollout) -> None:
    await fake.store.add_order(rollout.id, 0.0, kind=OrderKind.ABORT, actor="alice", reason="", gate=None)


@pytest.mark.asyncio
async def test_a_rollout_is_driven_to_its_end_counted_and_taken_off_the_board() -> None:
    fake = FakeWorld()
    app = app_over(fake)
    async with running(app):
        rollout = await start(app)
        await until(lambda: app.board.get(rollout.id) is not None)
        await abort(fake, rollout)
        state = await ended(fake, rollout)
        await until(lambda: app.board.get(rollout.id) is None)

    assert state.phase is Phase.ROLLED_BACK
    counted = app._metrics.registry.get_sample_value(
        "rollout_releases_total", {"namespace": "bookinfo", "service": "reviews", "result": "aborted"}
    )
    assert counted == 1.0
    assert app._driving == {}


@pytest.mark.asyncio
async def test_unfinished_rollouts_go_on_after_a_restart() -> None:
    fake = FakeWorld()
    async with running(first := app_over(fake)):
        rollout = await start(first)
        await until(lambda: fake.load.starts > 0)

    async with running(app_over(fake)):
        await abort(fake, rollout)
        assert (await ended(fake, rollout)).phase is Phase.ROLLED_BACK


class Buggy:
    """Makes the loops of some rollouts crash, and counts how often they were started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, crashes: int, of: str = "") -> None:
        self.starts: dict[str, int] = {}
        real = Reconciler.run

        async def run(reconciler: Reconciler) -> State:
            name = reconciler.rollout.id
            self.starts[name] = self.starts.get(name, 0) + 1
            if name.startswith(of) and self.starts[name] <= crashes:
                await asyncio.sleep(0)
                raise ZeroDivisionError("a bug")
            return await real(reconciler)

        monkeypatch.setattr(Reconciler, "run", run)


@pytest.mark.asyncio
async def test_a_loop_that_crashes_is_started_again_later_and_later(
    monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    fake = FakeWorld()
    app = app_over(fake)
    buggy = Buggy(monkeypatch, crashes=6)
    async with running(app):
        rollout = await start(app)
        began = fake.clock.time
        await until(lambda: buggy.starts.get(rollout.id) == 7)
        waited = fake.clock.time - began
        await abort(fake, rollout)
        assert (await ended(fake, rollout)).phase is Phase.ROLLED_BACK

    pauses = [*RESTART_S, RESTART_S[-1], RESTART_S[-1]]
    assert waited == pytest.approx(sum(pauses))
    crashes = [event for event in logged if event["event"] == "rollout.crashed"]
    assert [(event["again_in_s"], event["error"]) for event in crashes] == [(pause, "a bug") for pause in pauses]


@pytest.mark.asyncio
async def test_a_crash_of_one_rollout_never_stops_another(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeWorld()
    app = app_over(fake)
    async with running(app):
        good = await start(app)
        await until(lambda: app.board.get(good.id) is not None)
        bad = Rollout(id="zzz-bad", spec=good.spec, created=good.created, actor="alice")
        fake.store.entries[bad.id] = list(fake.store.entries[good.id][:1])
        buggy = Buggy(monkeypatch, crashes=1_000_000, of=bad.id)
        app._launch(bad)
        await until(lambda: buggy.starts.get(bad.id, 0) >= 3)

        await abort(fake, good)
        assert (await ended(fake, good)).phase is Phase.ROLLED_BACK
        before = buggy.starts[bad.id]
        await until(lambda: buggy.starts[bad.id] > before)


@pytest.mark.asyncio
async def test_an_order_wakes_the_loop_it_is_for() -> None:
    fake = FakeWorld()
    app = app_over(fake)
    async with running(app):
        rollout = await start(app)
        await until(lambda: rollout.id in app._driving)
        wake = app._driving[rollout.id].wake
        app._wake("nobody")
        app._wake(rollout.id)
        assert wake.is_set()


@pytest.mark.asyncio
async def test_a_loop_that_does_not_turn_any_more_is_told() -> None:
    fake = FakeWorld()
    app = app_over(fake)
    async with running(app):
        rollout = await start(app)
        await until(lambda: app.board.get(rollout.id) is not None)
        assert app.why_stuck() == ""
    fake.clock.time += STUCK_AFTER_S + 30.0

    assert app.why_stuck() == f"no decision for {STUCK_AFTER_S:g} s: {rollout.id}"


def write_plan(file: Path, **changes: Any) -> None:
    document = plan_document()
    document["spec"] |= changes
    file.write_text(yaml.safe_dump(document))


def test_plans_are_found_by_namespace_and_service(tmp_path: Path) -> None:
    assert read_plans(None) == {}
    write_plan(tmp_path / "a.yaml")
    write_plan(tmp_path / "b.yaml", service="ratings")
    (tmp_path / "notes.txt").write_text("not a plan")

    assert set(read_plans(tmp_path)) == {("bookinfo", "reviews"), ("bookinfo", "ratings")}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", r"bad\.yaml"),
        ("kind: RolloutPlan\nspec:\n  stepps: []\n", r"bad\.yaml:3:3 spec\.stepps: unknown key"),
        (yaml.safe_dump(plan_document()), r"bad\.yaml: there is another plan for reviews in bookinfo"),
    ],
)
def test_a_plan_that_is_wrong_keeps_the_daemon_from_starting(tmp_path: Path, text: str, says: str) -> None:
    write_plan(tmp_path / "a.yaml")
    (tmp_path / "bad.yaml").write_text(text)

    with pytest.raises(StartError, match=says):
        read_plans(tmp_path)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a daemon that starts."""
    without_envoy(monkeypatch)
    made(tmp_path / "mesh")
    (tmp_path / "plans").mkdir()
    return Settings(
        listen="127.0.0.1:0", state=tmp_path / "state.sqlite", mesh=tmp_path / "mesh", plans=tmp_path / "plans"
    )


def no_mesh(settings: Settings, root: Path) -> dict[str, Any]:
    return {"mesh": None}


def not_a_mesh(settings: Settings, root: Path) -> dict[str, Any]:
    return {"mesh": root}


def broken_registry(settings: Settings, root: Path) -> dict[str, Any]:
    (root / "mesh" / "registry.yaml").write_text("kind: [")
    return {}


def not_a_journal(settings: Settings, root: Path) -> dict[str, Any]:
    (root / "state.sqlite").write_text("this is not a database, it is a text that is long enough to be none" * 20)
    return {}


def no_plans(settings: Settings, root: Path) -> dict[str, Any]:
    return {"plans": root / "nowhere"}


def no_tokens(settings: Settings, root: Path) -> dict[str, Any]:
    return {"tokens": root / "nowhere"}


def bad_tokens(settings: Settings, root: Path) -> dict[str, Any]:
    (root / "tokens").write_text("emperor 123 me\n")
    return {"tokens": root / "tokens"}


def bad_hooks(settings: Settings, root: Path) -> dict[str, Any]:
    (root / "hooks.yaml").write_text("gitub: []\n")
    return {"hooks": root / "hooks.yaml"}


def broken_hooks(settings: Settings, root: Path) -> dict[str, Any]:
    (root / "hooks.yaml").write_text("a: [\n")
    return {"hooks": root / "hooks.yaml"}


def nowhere_to_listen(settings: Settings, root: Path) -> dict[str, Any]:
    return {"listen": "192.0.2.1:80"}


Break = Callable[[Settings, Path], dict[str, Any]]
BREAKS: list[tuple[Break, str]] = [
    (no_mesh, "there is nothing to steer: .*--mesh"),
    (not_a_mesh, "is not the directory of a mesh"),
    (broken_registry, r"registry\.yaml"),
    (not_a_journal, r"state\.sqlite"),
    (no_plans, "plans: .*nowhere is not a directory"),
    (no_tokens, "nowhere"),
    (bad_tokens, "tokens"),
    (bad_hooks, "gitub"),
    (broken_hooks, r"hooks\.yaml"),
    (nowhere_to_listen, r"cannot listen on 192\.0\.2\.1:80"),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("change", "says"), BREAKS, ids=[change.__name__ for change, _ in BREAKS])
async def test_what_keeps_the_daemon_from_starting_is_said(
    settings: Settings, tmp_path: Path, change: Break, says: str
) -> None:
    changed = settings.model_copy(update=change(settings, tmp_path))

    with pytest.raises(StartError, match=says):
        await run_daemon(changed, lambda host, port: None)


@pytest.mark.asyncio
async def test_a_port_that_is_taken_is_named(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StartError, match=f"cannot listen on {listen}: .*; is a daemon running?"):
            await run_daemon(settings.model_copy(update={"listen": listen}), lambda host, port: None)


@pytest.mark.asyncio
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_daemon_and_leaves_traffic_where_it_is(
    settings: Settings, tmp_path: Path, number: signal.Signals
) -> None:
    def files() -> dict[str, tuple[int, bytes]]:
        found = [*(tmp_path / "mesh/xds").iterdir(), *(tmp_path / "mesh/documents").iterdir()]
        return {file.name: (file.stat().st_ino, file.read_bytes()) for file in found}

    before, bound = files(), asyncio.Event()
    task = asyncio.create_task(run_daemon(settings, lambda host, port: bound.set()))
    async with asyncio.timeout(10):
        await bound.wait()
        os.kill(os.getpid(), number)
        await task

    assert files() == before
