"""How punctual we are, by somebody else's clock, and what we say of a server that stood still."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from loadgen.core.histogram import Histogram
from loadgen.core.plan import Plan, Stage, Target
from tests.bench.clients import ran
from tests.bench.server import Server, pinned

STALL_S = 0.3


def steady(url: str, per_s: float, seconds: float) -> Plan:
    """One rate; the breaker is off, for a stall is what we want to see."""
    stages = (Stage(from_per_s=per_s, to_per_s=per_s, duration_s=seconds),)
    return Plan(targets=(Target(url=url),), stages=stages, trace=False, breaker=False)


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


def punctuality(per_s: int, seconds: int) -> dict[str, float]:
    """Send at a rate; compare the arrivals with the times they should have had, in microseconds."""
    with witness() as (url, end):
        report = ran(steady(url, per_s, seconds))
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

    def stall() -> None:
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
