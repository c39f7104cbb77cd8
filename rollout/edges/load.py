"""The LoadSource port on loadgen: one worker process per rollout, both versions asked for by header.

Synthetic requests enter the mesh through a proxy of their own, so that they can be told from users' requests. A stratum
goes to the core when every request due in it has an outcome, and only if the generator believed its own numbers all the
while. Requests that failed through the generator's own fault count for nobody.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import structlog

from loadgen.core.breaker import BreakerState
from loadgen.core.histogram import upper_edge_s
from loadgen.core.ledger import Cell
from loadgen.core.ledger import Stratum as Cells
from loadgen.core.outcome import Fault, fault_of, is_failure
from loadgen.core.plan import Arm, Plan, Stage, Target, VersionFrom
from loadgen.core.snapshot import Snapshot
from loadgen.core.trust import TrustLevel
from loadgen.session import LoadSession, RefusedError
from rollout.core import breaker as rollout_breaker
from rollout.core.breaker import Outcome
from rollout.core.evidence import Counts, Stratum
from rollout.core.observation import LoadView, Trust
from rollout.core.routes.target import VERSION_HEADER
from rollout.core.spec import Load, RolloutSpec
from rollout.ports import Clock, Refused, Unavailable, Wake

log = structlog.get_logger()

RUN_S = 7200.0  # loadgen's longest; a rollout that takes longer starts a new run
STRATUM_S = 0.5
STRATA_MAX = 1200  # ten minutes that nobody asked for
OUTCOMES_MAX = 4096
CONNECTIONS_MIN = 16
STABLE, CANARY = "stable", "canary"
_ARMS = {STABLE: rollout_breaker.Arm.STABLE, CANARY: rollout_breaker.Arm.CANARY}
_TRUST = {TrustLevel.OK: Trust.OK, TrustLevel.DEGRADED: Trust.DEGRADED, TrustLevel.INVALID: Trust.INVALID}
IDLE = LoadView(running=False, as_of=0.0)


class LoadRuns:
    """All running loads. *address* says where synthetic load enters the mesh (host, port); "" = where the URL says."""

    def __init__(self, clock: Clock, address: Callable[[], tuple[str, int]] | None = None) -> None:
        self._clock, self._address = clock, address
        self._runs: dict[str, _Run] = {}
        self._stack = AsyncExitStack()
        self._tasks: asyncio.TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = await self._stack.enter_async_context(asyncio.TaskGroup())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for run in self._runs.values():
            run.cancel()
        await self._stack.__aexit__(None, None, None)

    def view(self, rollout_id: str, since: float) -> LoadView:
        """The latest snapshot, with the closed strata that begin at *since* or later."""
        run = self._runs.get(rollout_id)
        return run.view(since) if run else IDLE

    async def start(self, rollout_id: str, spec: RolloutSpec, wake: Wake) -> None:
        """Start the plan's load. Raises Unavailable, Refused."""
        if rollout_id in self._runs:
            return
        assert self._tasks is not None, "loads run inside the context"
        assert spec.plan.load is not None, "converge() starts a load that the plan has"
        connect = _door(*self._address()) if self._address else ""
        run = _Run(self._clock, wake, stable=spec.stable, canary=spec.canary)
        try:
            plan = plan_of(spec.plan.load, spec, connect)
        except ValueError as error:
            raise Refused(f"load: {error}") from error
        self._runs[rollout_id] = run
        run.task = self._tasks.create_task(self._drive(rollout_id, run, plan), name=f"load {rollout_id}")
        await run.begun()

    def stop_nowait(self, rollout_id: str) -> None:
        """Stop it, without waiting for the end."""
        run = self._runs.pop(rollout_id, None)
        if run is not None:
            run.cancel()

    async def _drive(self, rollout_id: str, run: "_Run", plan: Plan) -> None:
        try:
            await run.drive(LoadSession(plan))
        finally:
            if self._runs.get(rollout_id) is run:
                del self._runs[rollout_id]


def _door(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def plan_of(load: Load, spec: RolloutSpec, connect: str) -> Plan:
    """The load test that a rollout's plan asks for. Raises ValueError."""
    shares = ((STABLE, spec.stable, 1 - load.split), (CANARY, spec.canary, load.split))
    connections = max(CONNECTIONS_MIN, round(2 * load.rate * load.timeout))
    return Plan(
        targets=(
            Target(
                url=qualified(load.url, spec.namespace),
                method=load.method,
                headers=tuple(load.headers.items()),
                connect=connect,
            ),
        ),
        arms=tuple(
            Arm(name=name, share=share, headers=((VERSION_HEADER, version),))
            for name, version, share in shares
            if share
        ),
        stages=(Stage(from_per_s=load.rate, to_per_s=load.rate, duration_s=RUN_S),),
        connections=connections,
        warm_connections=min(connections, CONNECTIONS_MIN),
        timeout_s=load.timeout,
        version=VersionFrom(key=VERSION_HEADER),
        stratum_s=STRATUM_S,
    )


def qualified(url: str, namespace: str) -> str:
    """A short service name means the plan's namespace; we send from another one, where it would mean nothing."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if "." in host or ":" in host or host == "localhost":
        return url
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{host}.{namespace}{port}"))


@dataclass(slots=True)
class _Run:
    """One load, and what it has measured that nobody has taken yet."""

    clock: Clock
    wake: Wake
    stable: str = field(kw_only=True)
    canary: str = field(kw_only=True)
    task: asyncio.Task[None] | None = None
    _started: asyncio.Event = field(default_factory=asyncio.Event)
    _failure: str = ""
    _origin: float | None = None
    """When due time 0 was, on our clock."""
    _open: dict[int, list[Cell]] = field(default_factory=dict)
    _tainted: set[int] = field(default_factory=set)
    """Strata in which the generator did not believe itself, or held back."""
    _closed: deque[Stratum] = field(default_factory=lambda: deque(maxlen=STRATA_MAX))
    _outcomes: deque[Outcome] = field(default_factory=lambda: deque(maxlen=OUTCOMES_MAX))
    _latest: Snapshot | None = None
    _closed_until: int = 0

    async def begun(self) -> None:
        """Wait until the first snapshot. Raises Unavailable when it could not start."""
        await self._started.wait()
        if self._failure:
            raise Unavailable(f"load: {self._failure}")

    async def drive(self, session: LoadSession) -> None:
        """Run it to its end; a failure is kept for who asks."""
        try:
            async with session:
                async for snapshot in session.snapshots():
                    self._take(snapshot)
        except (RefusedError, OSError) as error:
            self._failure = str(error) or type(error).__name__
            log.warning("load.failed", error=self._failure)
        except Exception as error:  # one load's bug must not stop the daemon; without load the rollout holds
            self._failure = f"{type(error).__name__}: {error}"
            log.exception("load.crashed")
        finally:
            self._started.set()
            self.wake.set()

    def cancel(self) -> None:
        """End it now."""
        if self.task is not None:
            self.task.cancel()

    def view(self, since: float) -> LoadView:
        """What is known by now; outcomes are handed over once."""
        latest = self._latest
        if latest is None or self._origin is None:
            return LoadView(running=True, as_of=self.clock.now())
        while self._closed and self._closed[0].end <= since:
            self._closed.popleft()
        outcomes = tuple(self._outcomes)
        self._outcomes.clear()
        return LoadView(
            running=True,
            as_of=self._origin + latest.as_of_s,
            strata=tuple(self._closed),
            outcomes=outcomes,
            trust=_TRUST[latest.trust.level],
            why="; ".join(latest.trust.reasons),
            breaker_closed=latest.breaker is BreakerState.CLOSED,
        )

    def _take(self, snapshot: Snapshot) -> None:
        if self._origin is None:
            self._origin = self.clock.now() - snapshot.as_of_s
        self._latest = snapshot
        self._started.set()
        if not snapshot.is_evidence:
            first, last = ((snapshot.as_of_s - back) / STRATUM_S for back in (snapshot.window_s, 0.0))
            self._tainted.update(range(int(first), int(last) + 1))
        for stratum in snapshot.strata:
            self._add(stratum)
        self._close(snapshot.closed_until)
        self._note_outcomes(snapshot)

    def _add(self, stratum: Cells) -> None:
        self._open.setdefault(stratum.index, []).extend(stratum.cells)

    def _close(self, until: int) -> None:
        assert self._origin is not None, "set by the first snapshot"
        for index in range(self._closed_until, until):
            cells = self._open.pop(index, [])
            if index not in self._tainted:
                start = self._origin + index * STRATUM_S
                self._closed.append(
                    Stratum(
                        start=start,
                        end=start + STRATUM_S,
                        stable=self._counts(cells, STABLE),
                        canary=self._counts(cells, CANARY),
                    )
                )
            self._tainted.discard(index)
        self._closed_until = max(self._closed_until, until)

    def _counts(self, cells: list[Cell], arm: str) -> Counts:
        """One version's requests: the version that answered says so, else the one that was asked for."""
        counts = Counts()
        for cell in cells:
            served = {self.stable: STABLE, self.canary: CANARY, "": cell.arm}.get(cell.version)
            if served != arm or fault_of(cell.outcome) is Fault.CLIENT:
                continue
            failures = cell.count if is_failure(cell.outcome) else 0
            latency = {upper_edge_s(bucket): count for bucket, count in cell.latency}
            counts = counts.plus(Counts(requests=cell.count, failures=failures, latency=latency))
        return counts

    def _note_outcomes(self, snapshot: Snapshot) -> None:
        """Single calls, for the breaker; a failing canary cannot wait for the next pass.

        A generator that was starved or stopped finds its calls timed out, whoever they were for: those are no outcomes.
        """
        if snapshot.trust.level is TrustLevel.INVALID:
            return
        at_s = self.clock.now()
        for arm, recent in snapshot.recent.items():
            for microseconds, failed in recent:
                outcome = Outcome(arm=_ARMS[arm], failed=failed, latency_s=microseconds / 1e6, at_s=at_s)
                self._outcomes.append(outcome)
        if any(failed for _, failed in snapshot.recent.get(CANARY, ())):
            self.wake.set()
