"""The composition root: builds every edge, owns the tasks, supervises each rollout, handles signals.

SIGTERM and SIGINT end the process and leave traffic where it is; the next process goes on from the journal. A bug in
one rollout never stops another: its supervisor logs it, waits, and starts it again from the journal.
"""

import asyncio
import signal
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from rollout.board import Board
from rollout.control import Control
from rollout.core.plan_rules import PlanError, parse_plan
from rollout.core.spec import RolloutPlan
from rollout.edges.api.auth import TokenFileError, read_tokens
from rollout.edges.api.hooks import GithubHook, read_hooks
from rollout.edges.api.server import Server, serve
from rollout.edges.api.views import result_of
from rollout.edges.clock import RealClock
from rollout.edges.load import LoadRuns
from rollout.edges.prometheus import NoPrometheus, PrometheusSource
from rollout.edges.sqlite_store import SqliteStore
from rollout.mesh.world import MeshWorld
from rollout.ports import MetricSource, Refused, Rollout, Unavailable, World
from rollout.reconciler import Reconciler
from rollout.settings import LOOPBACK, Settings
from rollout.telemetry import Metrics
from rollout.yaml_documents import YamlError, load

log = structlog.get_logger()

RESTART_S = (0.2, 1.0, 5.0, 30.0)  # after a crash of one rollout's loop: soon at first, for users' sake, then patient
STUCK_AFTER_S = 30.0  # a loop that has not turned for so long is stuck, and the process had better be restarted
Bound = Callable[[str, int], None]


class StartError(Exception):
    """The daemon cannot start; says why and what to do."""


class App:
    """One daemon: everything that lives as long as the process."""

    def __init__(self, world: World, metrics: Metrics, plans: dict[tuple[str, str], RolloutPlan]) -> None:
        self.board = Board()
        self.control = Control(world, self.board, plans, launch=self._launch, wake=self._wake)
        self._world = world
        self._metrics = metrics
        self._driving: dict[str, Reconciler] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Drive every unfinished rollout, and those that are started meanwhile, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for rollout in await self._world.store.unfinished():
                log.info("rollout.resumed", rollout=rollout.id, service=rollout.spec.service)
                self._launch(rollout)
            await asyncio.Event().wait()

    def why_stuck(self) -> str:
        """Which loop does not turn any more; "" when all do."""
        now = self._world.clock.now()
        late = [live.rollout.id for live in self.board.everything() if now - live.at > STUCK_AFTER_S]
        return f"no decision for {STUCK_AFTER_S:g} s: {', '.join(late)}" if late else ""

    def _launch(self, rollout: Rollout) -> None:
        assert self._tasks is not None, "rollouts are launched while the app runs"
        self._tasks.create_task(self._supervise(rollout), name=f"rollout {rollout.id}")

    def _wake(self, rollout_id: str) -> None:
        if rollout_id in self._driving:
            self._driving[rollout_id].wake.set()

    async def _supervise(self, rollout: Rollout) -> None:
        """Drive one rollout to its end, whatever happens to its loop."""
        crashes = 0
        while True:
            reconciler = Reconciler(rollout=rollout, world=self._world, board=self.board, metrics=self._metrics)
            self._driving[rollout.id] = reconciler
            try:
                await reconciler.run()
            except Exception as error:
                pause_s = RESTART_S[min(crashes, len(RESTART_S) - 1)]
                crashes += 1
                log.exception("rollout.crashed", rollout=rollout.id, again_in_s=pause_s, error=str(error))
                await self._world.clock.sleep_until(self._world.clock.now() + pause_s, asyncio.Event())
            else:
                break
        self._finish(rollout)

    def _finish(self, rollout: Rollout) -> None:
        del self._driving[rollout.id]
        live = self.board.get(rollout.id)
        if live is not None:
            self._metrics.end(live, result_of(live.state) or "")
        self.board.forget(rollout.id)


async def run_daemon(settings: Settings, bound: Bound) -> None:
    """Build everything, serve until SIGTERM or SIGINT, and leave traffic where it is. Raises StartError."""
    if settings.mesh is None:
        raise StartError(
            "there is nothing to steer: name the directory of a running mesh with --mesh (see: rollout mesh)"
        )
    async with AsyncExitStack() as stack:
        clock = RealClock()
        try:
            store = await SqliteStore.open(settings.state)
            stack.push_async_callback(store.close)
            mesh = await stack.enter_async_context(MeshWorld.open(settings.mesh, clock.now))
        except (Unavailable, Refused) as error:
            raise StartError(str(error)) from error
        metrics = Metrics(CollectorRegistry())
        source: MetricSource = NoPrometheus()
        if settings.prometheus is not None:
            source = prometheus = PrometheusSource(settings.prometheus, clock)
            stack.push_async_callback(prometheus.close)
        load_runs = await stack.enter_async_context(LoadRuns(clock, mesh.load_address))
        world = World(
            clock=clock, routes=mesh, proxies=mesh, workloads=mesh, metrics=source, load=load_runs, store=store
        )
        app = App(world, metrics, read_plans(settings.plans))
        server = _server(settings, app, world, metrics)
        await _until_signalled(app, server, settings, bound)


async def _until_signalled(app: App, server: Server, settings: Settings, bound: Bound) -> None:
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, done.set)
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(app.run(), name="rollouts"),
                tasks.create_task(_serve(server, settings, bound), name="api"),
            ]
            await done.wait()
            log.info("daemon.stopping")
            for task in running:
                task.cancel()
    except* StartError as group:
        raise group.exceptions[0] from None


async def _serve(server: Server, settings: Settings, bound: Bound) -> None:
    try:
        await serve(server.app(), settings.host, settings.port, bound)
    except (OSError, socket.gaierror) as error:
        raise StartError(
            f"cannot listen on {settings.listen}: {error.strerror or error}; is a daemon running?"
        ) from error


def _server(settings: Settings, app: App, world: World, metrics: Metrics) -> Server:
    try:
        tokens = read_tokens(settings.tokens) if settings.tokens else ()
        hooks = read_hooks(settings.hooks) if settings.hooks else None
    except (OSError, TokenFileError, ValueError) as error:
        raise StartError(str(error)) from error
    hook = None
    if hooks is not None:
        hook = GithubHook(
            hooks=hooks, control=app.control, store=world.store, clock=world.clock, deliveries=metrics.deliveries
        )
    return Server(
        control=app.control,
        board=app.board,
        store=world.store,
        metrics=metrics,
        tokens=tokens,
        hosts=frozenset(LOOPBACK) if settings.host in LOOPBACK else frozenset(),
        hook=hook,
        is_alive=app.why_stuck,
    )


def read_plans(directory: Path | None) -> dict[tuple[str, str], RolloutPlan]:
    """Every RolloutPlan in *directory*, by (namespace, service). Raises StartError naming file, line and key."""
    plans: dict[tuple[str, str], RolloutPlan] = {}
    if directory is not None and not directory.is_dir():
        raise StartError(f"plans: {directory} is not a directory")
    for file in sorted(directory.glob("*.yaml")) if directory else ():
        try:
            document = load(file.read_bytes(), file=str(file))
            plan = parse_plan(document.value)
        except (OSError, YamlError) as error:
            raise StartError(str(error)) from error
        except PlanError as error:
            lines = [document.describe(problem.location, problem.message) for problem in error.problems]
            raise StartError("\n".join(lines)) from error
        key = (plan.metadata.namespace, plan.service)
        if key in plans:
            raise StartError(f"{file}: there is another plan for {plan.service} in {plan.metadata.namespace}")
        plans[key] = plan
    return plans
