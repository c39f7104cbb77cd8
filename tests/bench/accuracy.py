"""How punctual we are, by somebody else's clock, and what we say of a server that stood still."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from loadgen.core.histogram import Histogram
from loadgen.core.plan import Pace, Plan, Stage, Target
from loadgen.core.snapshot import Assignment, Snapshot, decode
from tests.bench.clients import ran, started
from tests.bench.server import Server, pinned

STALL_S = 0.3


def steady(url: str, per_s: float, seconds: float, pace: Pace = Pace.TIMER) -> Plan:
    """One rate; the breaker is off, for a stall is what we want to see."""
    stages = (Stage(from_per_s=per_s, to_per_s=per_s, duration_s=seconds),)
    return Plan(targets=(Target(url=url),), stages=stages, trace=False, breaker=False, pace=pace)


@contextlib.contextmanager
def witness() -> Iterator[tuple[str, Callable[[], list[int]]]]:
    """Serve; give the URL, and what ends it and gives the arrivals."""
    line = pinned([sys.executable, "-m", "tests.bench.witness"], 0)
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline())

    def end() -> list[int]:
        output, _ = process.communicate(timeout=30)
        arrivals: list[int] = json.loads(output)
        return arrivals

    try:
        yield f"http://127.0.0.1:{port}/", end
    finally:
        process.kill()
        process.wait()


def punctuality(per_s: int, seconds: int, pace: Pace = Pace.TIMER) -> dict[str, float]:
    """Send at a rate; compare the arrivals with the times they should have had, in microseconds."""
    with witness() as (url, end):
        report = ran(steady(url, per_s, seconds, pace))
        arrivals = sorted(end())
    late = [(at - arrivals[0]) / 1e3 - place * 1e6 / per_s for place, at in enumerate(arrivals)]
    middle = sorted(late)[len(late) // 2]
    errors = sorted(abs(value - middle) for value in late[len(late) // 10 : -len(late) // 10])
    delays = Histogram(dict(report.start_delay))
    p50, p99 = (1e6 * (value or 0) for value in delays.quantiles_s((0.5, 0.99)))
    took_s = (arrivals[-1] - arrivals[0]) / 1e9
    return {
        "asked_per_s": per_s,
        "achieved_per_s": (len(arrivals) - 1) / took_s,
        "arrivals": len(arrivals),
        "sent": report.sent,
        "arrival_error_p50_us": errors[len(errors) // 2],
        "arrival_error_p99_us": errors[len(errors) * 99 // 100],
        "start_delay_p50_us": p50,
        "start_delay_p99_us": p99,
        "cpu_share": report.closing.cpu_s / seconds,
    }


def stalled(server: Server, per_s: int = 2000, seconds: int = 6) -> dict[str, float]:
    """Stop the server for 300 ms: the share f = 0.05 of all waits U(0, 300 ms), so p99 = 240 ms and p99.9 = 294 ms."""

    def stall(_: int) -> None:
        time.sleep(seconds / 2)
        server.stall(STALL_S)

    report = ran(steady(server.url, per_s, seconds), stall)
    share = STALL_S / seconds
    p99, p999 = (1e3 * (value or 0) for value in report.response().quantiles_s((0.99, 0.999)))
    service = report.service().quantile_s(0.99)
    return {
        "p99_ms": p99,
        "p999_ms": p999,
        "expected_p99_ms": 1e3 * STALL_S * (1 - 0.01 / share),
        "expected_p999_ms": 1e3 * STALL_S * (1 - 0.001 / share),
        "p99_from_the_actual_send_ms": 1e3 * (service or 0),
    }


def stopped(server: Server, per_s: int = 1000, seconds: int = 3) -> dict[str, object]:
    """Stop ourselves for a second: we must say that we are not to be believed."""

    def stop(pid: int) -> None:
        time.sleep(1)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(1)
        os.kill(pid, signal.SIGCONT)

    report = ran(steady(server.url, per_s, seconds), stop)
    return {"trust": report.closing.trust.level.value, "sent": report.sent, "asked": per_s * seconds}


def memory(server: Server, requests: int) -> dict[str, float]:
    """Watch a worker's resident memory while it makes so many requests, as fast as it goes."""
    plan = Plan(targets=(Target(url=server.url),), closed=True, requests=requests, trace=False)
    process = started(Assignment(plan=plan))
    assert process.stdout is not None
    seen: list[tuple[int, float]] = []
    done = 0
    for line in process.stdout:
        message = decode(line)
        if isinstance(message, Snapshot):
            done += message.completed
            seen.append((done, resident_mb(process.pid)))
    process.communicate(timeout=10)
    early = next(size for count, size in seen if count >= requests / 10)
    return {
        "requests": done,
        "mb_after_a_tenth": early,
        "mb_at_the_end": seen[-1][1],
        "mb_max": max(mb for _, mb in seen),
    }


def resident_mb(pid: int) -> float:
    """Ask the kernel; 0 when the process has just ended."""
    with contextlib.suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return 0.0
