"""The contract between a run and the pods of its Job, with local processes as pods."""

import asyncio
import os
import re
import signal
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from loadgen.cluster.collector import Collector
from loadgen.cluster.job import JobSpec, job
from loadgen.core.plan import Plan, Target
from loadgen.core.report import Report
from loadgen.core.snapshot import Snapshot
from loadgen.core.trust import TrustLevel
from loadgen.session import LoadSession, RefusedError
from tests.loadgen.cluster.pods import LocalJob
from tests.loadgen.core.plans import TWO_ARMS, steady
from tests.loadgen.servers import Answers, Server

pytestmark = pytest.mark.asyncio
TOKEN = "a token of a test, long enough to be one"


def job_of(workers: int, address: tuple[str, int]) -> dict[str, object]:
    return job(
        JobSpec(
            name="loadgen-test",
            workers=workers,
            image="rollout:1",
            collector=f"http://{address[0]}:{address[1]}",
            token=TOKEN,
            duration_s=1,
            mesh=False,
        )
    )


async def ran(plan: Plan, workers: int, scratch: Path) -> tuple[Report, list[Snapshot], Collector, list[int]]:
    collector = Collector(TOKEN, workers, start_in_s=1.0)
    async with collector.listening("127.0.0.1", 0) as address:
        with LocalJob(job_of(workers, address), scratch) as local:
            async with LoadSession(plan, crew=collector.crew) as session:
                snapshots = [snapshot async for snapshot in session.snapshots()]
            codes = [await asyncio.to_thread(pod.wait, 20) for pod in local.pods]
    return session.report, snapshots, collector, codes


def traces(answers: Answers) -> Counter[bytes]:
    """Which requests came: a trace id is made of the seed and the number of the request in the schedule."""
    found = [re.search(rb"traceparent: 00-([0-9a-f]{32})", request) for request in answers.asked]
    return Counter(match[1] for match in found if match)


async def test_four_pods_are_one_run_merged_exactly(tmp_path: Path) -> None:
    plan = steady(320, 0.5, arms=TWO_ARMS)
    alone, together = Answers(), Answers()
    with Server(alone) as server:
        async with LoadSession(with_url(plan, server.url)) as session:
            async for _ in session.snapshots():
                pass
    with Server(together) as server:
        report, snapshots, collector, codes = await ran(with_url(plan, server.url), 4, tmp_path)

    assert codes == [0, 0, 0, 0]
    assert traces(together) == traces(alone), "the same requests of the same schedule, none twice, none left out"
    assert len(traces(together)) == 160
    parts = [member.report for member in collector.crew]
    summed = Counter[int]()
    for part in parts:
        assert part is not None
        assert part.sent == 40
        for cell in part.cells:
            summed.update(dict(cell.latency))
    merged = Counter(dict(report.response().sparse()))
    assert merged == summed, "the merged histogram is the sum of the pods' histograms, bucket by bucket"
    assert merged.total() == session.report.response().count == 160
    assert [report.response(arm=arm.name).count for arm in TWO_ARMS] == [
        session.report.response(arm=arm.name).count for arm in TWO_ARMS
    ]
    assert {point.at_s: point.count for point in report.points}.keys() == {
        point.at_s: point.count for point in session.report.points
    }.keys()
    assert sum(snapshot.sent for snapshot in snapshots) == 160
    assert report.workers == 4
    begun = [member.started.start_unix_s for member in collector.crew if member.started]
    assert len(begun) == 4
    assert max(begun) - min(begun) < 0.1, "due time 0 is the same for all"


async def test_a_killed_pod_marks_the_run_and_stops_the_others(tmp_path: Path) -> None:
    collector = Collector(TOKEN, 2, start_in_s=0.8)
    began = time.monotonic()
    with Server(Answers()) as server:
        async with collector.listening("127.0.0.1", 0) as address:
            with LocalJob(job_of(2, address), tmp_path) as local:
                async with LoadSession(steady(100, 60, url=server.url), crew=collector.crew) as session:
                    seen = 0
                    async for snapshot in session.snapshots():
                        seen += snapshot.completed
                        if seen > 20 and local.pods[1].poll() is None:
                            os.kill(local.pods[1].pid, signal.SIGKILL)
                codes = [await asyncio.to_thread(pod.wait, 20) for pod in local.pods]

    closing = session.report.closing
    assert time.monotonic() - began < 20
    assert codes == [0, -signal.SIGKILL]
    assert closing.trust.level is TrustLevel.INVALID
    assert "a worker died" in closing.trust.reasons
    assert session.report.sent >= 20, "what it had handed in before counts"


async def test_a_pod_drains_when_the_kubelet_says_goodbye(tmp_path: Path) -> None:
    collector = Collector(TOKEN, 1, start_in_s=0.8)
    with Server(Answers()) as server:
        async with collector.listening("127.0.0.1", 0) as address:
            with LocalJob(job_of(1, address), tmp_path) as local:
                async with LoadSession(steady(100, 60, url=server.url), crew=collector.crew) as session:
                    async for _ in session.snapshots():
                        local.pods[0].terminate()
                assert await asyncio.to_thread(local.pods[0].wait, 20) == 0

    assert session.report.closing.interrupted
    assert session.report.closing.trust.level is not TrustLevel.INVALID


async def test_a_plan_that_a_worker_refuses_is_told(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="link-local"):
        await ran(steady(url="http://169.254.169.254/"), 1, tmp_path)


def with_url(plan: Plan, url: str) -> Plan:
    return replace(plan, targets=(Target(url=url),))
