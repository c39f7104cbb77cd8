"""A load test from asyncio: snapshots while it runs, a report at its end, and nobody left behind."""

import asyncio
import os
import resource
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from loadgen.core.outcome import Outcome
from loadgen.core.plan import Plan, Reuse
from loadgen.core.report import Report
from loadgen.core.snapshot import Snapshot
from loadgen.core.trust import TrustLevel
from loadgen.session import LoadSession, RefusedError
from tests.loadgen.core.plans import TWO_ARMS, closed, steady
from tests.loadgen.servers import Answers, Server

pytestmark = pytest.mark.asyncio


async def ran(plan: Plan, workers: int = 1) -> tuple[Report, list[Snapshot]]:
    async with LoadSession(plan, workers=workers) as session:
        snapshots = [snapshot async for snapshot in session.snapshots()]
    return session.report, snapshots


def outcomes(report: Report) -> Counter[Outcome]:
    counts: Counter[Outcome] = Counter()
    for cell in report.cells:
        counts[cell.outcome] += cell.count
    return counts


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_run_streams_snapshots_and_ends_with_a_report() -> None:
    with Server(Answers()) as server:
        report, snapshots = await ran(steady(300, 1.0, url=server.url, arms=TWO_ARMS))
    assert outcomes(report) == {Outcome.OK: 300}
    assert 7 <= len(snapshots) <= 12
    assert sum(tally.completed for snapshot in snapshots for tally in snapshot.tallies()) == 300
    assert {tally.arm for snapshot in snapshots for tally in snapshot.tallies()} == {"stable", "canary"}


async def test_several_workers_are_one_run() -> None:
    answers = Answers()
    with Server(answers) as server:
        report, snapshots = await ran(steady(200, 0.5, url=server.url, arms=TWO_ARMS), workers=2)
    assert (report.workers, report.sent, len(answers.asked)) == (2, 100, 100)
    assert outcomes(report) == {Outcome.OK: 100}
    assert report.service().count == 100
    assert sum(snapshot.sent for snapshot in snapshots) == 100
    assert sum(cell.count for cell in report.cells if cell.arm == "canary") == 25


async def test_it_stops_within_a_second() -> None:
    with Server(Answers()) as server:
        async with LoadSession(steady(100, 60, url=server.url)) as session:
            begin = time.monotonic()
            async for _ in session.snapshots():
                await session.stop()
    assert time.monotonic() - begin < 4
    assert session.report.closing.interrupted
    assert session.report.sent < 100


async def test_its_rate_can_be_changed() -> None:
    with Server(Answers()) as server:
        async with LoadSession(steady(10, 1.0, url=server.url)) as session:
            await session.set_rate(300)
            rates = [snapshot.asked_per_s async for snapshot in session.snapshots()]
    assert 300 in rates
    assert session.report.sent > 150


@pytest.mark.parametrize("url", ["http://169.254.169.254/", "http://no-such-host.invalid/"])
async def test_what_a_worker_refuses_the_session_refuses(url: str) -> None:
    with pytest.raises(RefusedError, match=r"never loaded|no-such-host"):
        await ran(steady(url=url))


async def test_before_the_end_there_is_no_report() -> None:
    session = LoadSession(steady())
    with pytest.raises(RuntimeError, match="not over"):
        _ = session.report
    with pytest.raises(ValueError, match="workers must be"):
        LoadSession(steady(), workers=0)


async def test_a_worker_that_dies_makes_the_run_invalid_and_stops_the_others() -> None:
    with Server(Answers()) as server:
        async with LoadSession(steady(100, 60, url=server.url), workers=2) as session:
            victims = [session.pids[0]]
            async for snapshot in session.snapshots():
                if snapshot.as_of_s > 0.2 and victims:
                    os.kill(victims.pop(), signal.SIGKILL)
    report = session.report
    assert report.closing.trust.level is TrustLevel.INVALID
    assert "a worker died" in report.closing.trust.reasons
    assert report.completed > 0
    assert 0.2 < report.duration_s < 10


async def test_a_worker_that_does_not_stop_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadgen.session.STOP_S", 0.3)
    with Server(Answers()) as server:
        async with LoadSession(steady(50, 60, url=server.url)) as session:
            async for _ in session.snapshots():
                os.kill(session.pids[0], signal.SIGSTOP)
                await session.stop()
    assert "a worker died" in session.report.closing.trust.reasons


async def test_a_worker_that_speaks_in_tongues_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    liar = tmp_path / "liar"
    liar.write_text('#!/bin/sh\necho \'{"type": "shout"}\'\nexec sleep 60\n')
    liar.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(liar))
    with pytest.raises(RefusedError, match="unknown message 'shout'"):
        await ran(steady())


async def test_leaving_early_leaves_nobody_behind() -> None:
    with Server(Answers()) as server:
        async with LoadSession(steady(50, 60, url=server.url), workers=2) as session:
            async for _ in session.snapshots():
                break
            pids = session.pids
    assert len(pids) == 2
    assert not any(map(is_alive, pids))


async def test_being_cancelled_leaves_nobody_behind() -> None:
    pids: list[int] = []

    async def load(url: str) -> None:
        async with LoadSession(steady(50, 60, url=url)) as session:
            async for _ in session.snapshots():
                pids.extend(session.pids)

    with Server(Answers()) as server:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(load(server.url))
            while not pids:
                await asyncio.sleep(0.01)
            task.cancel()
    assert task.cancelled()
    assert not is_alive(pids[0])


async def test_a_program_that_is_not_there_is_an_error_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(FileNotFoundError):
        await ran(steady())


async def test_our_own_limits_are_no_fault_of_the_target() -> None:
    """Out of file descriptors: nothing is known about the service, and the run is not to be believed."""
    with Server(Answers()) as server:
        plan = steady(100, 0.8, url=server.url, reuse=Reuse(requests_min=1, requests_max=1))
        async with LoadSession(plan) as session:
            async for _ in session.snapshots():
                resource.prlimit(session.pids[0], resource.RLIMIT_NOFILE, (3, 3))
    assert outcomes(session.report)[Outcome.CLIENT] > 0
    assert session.report.closing.trust.level is TrustLevel.INVALID


async def test_a_count_is_a_count_from_here_too() -> None:
    with Server(Answers()) as server:
        report, _ = await ran(closed(20, url=server.url, connections=3, even_split=True))
    assert report.completed == 20
    assert report.closing.sockets == (1, 1, 1)
