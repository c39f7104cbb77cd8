"""The asyncio side of a load test: starts workers, reads their snapshots as one stream, and never leaves one behind.

    async with LoadSession(plan) as session:
        async for snapshot in session.snapshots():
            ...
        report = session.report

Several workers start at the same instant, and their snapshots are added up exactly. A worker that dies makes the run
invalid, and says so in its trust; the others are stopped. Leaving the block kills whatever still runs.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self

from loadgen.core.histogram import merged
from loadgen.core.merge import across, added_services, counted
from loadgen.core.plan import Plan
from loadgen.core.report import Accumulator, Report, Totals, merged_closing
from loadgen.core.snapshot import (
    LINE_BYTES_MAX,
    Assignment,
    Command,
    Failed,
    Finished,
    Message,
    Snapshot,
    Started,
    decode,
    encode,
)
from loadgen.core.trust import Trust, TrustLevel
from loadgen.transport.clock import now_ns

START_TOGETHER_S = 1.0  # several workers: an import takes a tenth of a second, on a busy machine three
STOP_S = 7.0  # after a stop: drain within a second, then the last words
WORKERS_MAX = 64
DEAD = Trust(level=TrustLevel.INVALID, reasons=("a worker died",))


class RefusedError(ValueError):
    """The worker would not run the plan: wrong input, a forbidden target, an unknown name."""


class Member(Protocol):
    """A worker, wherever it runs, and what it said: a process here, or a pod elsewhere (loadgen/cluster)."""

    index: int
    queue: deque[Snapshot]
    report: Report | None
    failed: Failed | None

    @property
    def is_over(self) -> bool:
        """Whether it will say nothing more."""
        ...

    @property
    def pid(self) -> int | None:
        """Its process, if it is one here."""
        ...

    async def start(self, assignment: Assignment) -> None:
        """Hand it its work."""
        ...

    async def read(self, news: asyncio.Event) -> None:
        """Take what it says until it is gone; set *news* each time."""
        ...

    def tell(self, command: Command) -> None:
        """Send a command; to a worker that is gone it means nothing."""
        ...

    def kill(self) -> None:
        """End it now."""
        ...

    async def reap(self) -> None:
        """Wait for its end."""
        ...


def has_died(worker: Member) -> bool:
    """Whether it is gone without having finished."""
    return worker.is_over and worker.report is None and worker.failed is None


class LoadSession:
    """One run of a plan in worker processes, or by a *crew* that somebody else has put together."""

    def __init__(self, plan: Plan, *, workers: int = 1, crew: Sequence[Member] = ()) -> None:
        if not 1 <= (len(crew) or workers) <= WORKERS_MAX:
            raise ValueError(f"workers must be 1 to {WORKERS_MAX}")
        self._plan = plan
        self._workers: list[Member] = list(crew) or [_Worker(index) for index in range(workers)]
        self._news = asyncio.Event()
        self._readers: list[asyncio.Task[None]] = []
        self._group: asyncio.TaskGroup | None = None
        self._report: Report | None = None
        self._stop_by: float | None = None  # by the event loop's clock
        self.start_unix_s = 0.0

    @property
    def report(self) -> Report:
        """The whole account, once `snapshots` has come to its end."""
        if self._report is None:
            raise RuntimeError("the run is not over")
        return self._report

    @property
    def pids(self) -> tuple[int, ...]:
        """The workers' process ids."""
        return tuple(worker.pid for worker in self._workers if worker.pid is not None)

    async def __aenter__(self) -> Self:
        count = len(self._workers)
        start_ns = now_ns() + round(START_TOGETHER_S * 1e9) if count > 1 else 0
        self._group = await asyncio.TaskGroup().__aenter__()
        try:
            for worker in self._workers:
                assignment = Assignment(plan=self._plan, index=worker.index, of=count, start_monotonic_ns=start_ns)
                await worker.start(assignment)
                name = f"loadgen-worker-{worker.index}"
                self._readers.append(self._group.create_task(worker.read(self._news), name=name))
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    async def _leave(self) -> None:
        """Kill every worker, and wait for their ends even when cancelled: a killed process is gone at once."""
        for worker in self._workers:
            worker.kill()
        await asyncio.shield(self._reap())

    async def _reap(self) -> None:
        for reader in self._readers:
            reader.cancel()
        if self._group is not None:
            group, self._group = self._group, None
            await group.__aexit__(None, None, None)
        for worker in self._workers:
            await worker.reap()

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """Yield the run's snapshots until it is over; then `report` is there."""
        books = Accumulator(self._plan)
        totals = Totals(start_unix_s=0.0, duration_s=0.0, workers=len(self._workers))
        while True:
            for snapshot in self._ready():
                totals = counted(totals, snapshot)
                books.add(snapshot.strata, snapshot.pairs, snapshot.closed_until)
                yield snapshot
            if all(worker.is_over for worker in self._workers):
                break
            if self._stop_by is None and any(has_died(worker) for worker in self._workers):
                await self.stop()
            self._news.clear()
            if not self._has_news():
                await self._wait_for_news()
        self._close(books, totals)

    async def _wait_for_news(self) -> None:
        """Wait for a worker to say something; one that was told to stop has to say it soon."""
        try:
            async with asyncio.timeout_at(self._stop_by):
                await self._news.wait()
        except TimeoutError:
            self._stop_by = None
            for worker in self._workers:
                worker.kill()

    def _has_news(self) -> bool:
        return all(worker.queue or worker.is_over for worker in self._workers)

    def _ready(self) -> list[Snapshot]:
        """Add up what every living worker has said about the same stretch of time."""
        ready = []
        while any(worker.queue for worker in self._workers) and self._has_news():
            parts = tuple(worker.queue.popleft() for worker in self._workers if worker.queue)
            self.start_unix_s = self.start_unix_s or parts[0].start_unix_s
            ready.append(across(parts) if len(parts) > 1 else parts[0])
        return ready

    def _close(self, books: Accumulator, totals: Totals) -> None:
        """Make the report, or raise what kept the run from happening."""
        for worker in self._workers:
            if worker.failed is not None:
                raise RefusedError(worker.failed.message)
        reports = [worker.report for worker in self._workers if worker.report is not None]
        if len(reports) == 1 and len(self._workers) == 1:
            self._report = reports[0]
            return
        died = (DEAD,) if any(has_died(worker) for worker in self._workers) else ()
        totals = replace(
            totals,
            start_unix_s=self.start_unix_s,
            duration_s=max([totals.duration_s, *(report.duration_s for report in reports)]),
            services=added_services(service for report in reports for service in report.services),
            start_delay=merged(dict(report.start_delay) for report in reports).sparse(),
        )
        self._report = books.report(totals, merged_closing(tuple(report.closing for report in reports), died))

    async def stop(self) -> None:
        """No more arrivals; the run ends within a second, or is ended after seven."""
        self.stop_nowait()

    def stop_nowait(self) -> None:
        """Say so, from a signal handler too."""
        self._stop_by = asyncio.get_running_loop().time() + STOP_S
        self._news.set()
        for worker in self._workers:
            worker.tell(Command(command="stop"))

    async def set_rate(self, per_s: float) -> None:
        """Change the arrival rate from now on."""
        for worker in self._workers:
            worker.tell(Command(command="rate", per_s=per_s / len(self._workers)))


class _Worker:
    """One worker process and what it said."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.process: asyncio.subprocess.Process | None = None
        self.queue: deque[Snapshot] = deque()
        self.started: Started | None = None
        self.report: Report | None = None
        self.failed: Failed | None = None
        self._is_gone = False

    @property
    def is_over(self) -> bool:
        """Whether it will say nothing more."""
        return self._is_gone

    @property
    def pid(self) -> int | None:
        """Its process."""
        return self.process.pid if self.process is not None else None

    async def start(self, assignment: Assignment) -> None:
        """Start the process and hand it its work."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "loadgen",
            "worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
        )
        self._write(encode(assignment))

    def tell(self, command: Command) -> None:
        """Send a command; to a worker that is gone it means nothing."""
        self._write(encode(command))

    def _write(self, line: bytes) -> None:
        process = self.process
        if process is not None and process.stdin is not None and not process.stdin.is_closing():
            with contextlib.suppress(ConnectionError):
                process.stdin.write(line)

    async def read(self, news: asyncio.Event) -> None:
        """Take what it says until it is gone."""
        process = self.process
        if process is None or process.stdout is None:
            return
        try:
            while line := await process.stdout.readline():
                self._take(decode(line))
                news.set()
        except ValueError as error:  # not our protocol: treat it as dead
            self.failed = Failed(kind="world", message=f"worker {self.index}: {error}")
        finally:
            self._is_gone = True
            news.set()

    def _take(self, message: Message) -> None:
        match message:
            case Started():
                self.started = message
            case Snapshot():
                self.queue.append(message)
            case Finished():
                self.report = message.report
            case Failed():
                self.failed = message

    def kill(self) -> None:
        """End it now. (`process.kill` would poll, and so take the exit status away from asyncio's own waiter.)"""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)

    async def reap(self) -> None:
        """Wait for its end, and close its pipes."""
        if self.process is None:
            return
        if self.process.stdin is not None:
            self.process.stdin.close()
        await self.process.wait()
