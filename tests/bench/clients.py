"""Everybody who is measured: the command, and how to read what it counted. Who is not installed is left out."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loadgen.cli.options import CLOSED_SNAPSHOT_S
from loadgen.core.plan import Plan, Stage, Target
from loadgen.core.report import Report
from loadgen.core.snapshot import Assignment, Finished, decode, encode
from tests.bench.server import pinned

CLIENT_CORE = 1
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one client."""

    requests: int
    cpu_s: float  # user and system, of the whole process tree

    @property
    def per_cpu_s(self) -> float:
        """Requests per CPU-second."""
        return self.requests / self.cpu_s if self.cpu_s else 0.0


Client = Callable[[str, int, int], Measured]  # URL, connections, seconds
Worker = subprocess.Popen[bytes]


def command(words: str, pattern: str) -> Client:
    """Make a client of a command line; the pattern finds the number of good responses, more than once if need be."""

    def measure(url: str, connections: int, seconds: int) -> Measured:
        line = words.format(url=url, c=connections, s=seconds, here=HERE).split()
        process = subprocess.Popen(
            pinned(line, CLIENT_CORE), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        output = process.stdout.read()
        process.stdout.close()
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
        found = re.findall(pattern, output)
        return Measured(sum(int(number) for number in found), used.ru_utime + used.ru_stime)

    return measure


def closed_plan(url: str, connections: int, seconds: int) -> Plan:
    """As fast as it goes, with the whole account, as `loadgen run --closed` does it."""
    return Plan(
        targets=(Target(url=url),),
        stages=(Stage(from_per_s=1, to_per_s=1, duration_s=seconds),),
        closed=True,
        connections=connections,
        trace=False,
        snapshot_s=CLOSED_SNAPSHOT_S,
    )


def ourselves(url: str, connections: int, seconds: int) -> Measured:
    """One worker, closed loop, with its whole account; the CPU is that of the load, start-up is told apart."""
    report = ran(closed_plan(url, connections, seconds))
    return Measured(report.completed - report.failed, report.closing.cpu_s)


def two_of_us(url: str, connections: int, seconds: int) -> Measured:
    """Two workers that share one core: what more processes than cores would cost."""
    plan = closed_plan(url, connections, seconds)
    processes = [started(Assignment(plan=plan, index=index, of=2)) for index in range(2)]
    reports = [ended(process) for process in processes]
    done = sum(report.completed - report.failed for report in reports)
    return Measured(done, sum(report.closing.cpu_s for report in reports))


def started(assignment: Assignment) -> Worker:
    """Start a pinned worker on its assignment."""
    line = pinned([sys.executable, "-m", "loadgen", "worker"], CLIENT_CORE)
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(encode(assignment))
    process.stdin.flush()
    return process


def ended(process: Worker) -> Report:
    """Read a worker's snapshots to the end, and give its report."""
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        *_, last = (decode(line) for line in process.stdout)
    process.wait(timeout=10)
    assert isinstance(last, Finished), f"no report but {last}"
    return last.report


def ran(plan: Plan, during: Callable[[int], None] | None = None) -> Report:
    """Run a plan in one pinned worker; *during* is given its process id when the clock runs."""
    process = started(Assignment(plan=plan))
    assert process.stdout is not None
    process.stdout.readline()
    if during is not None:
        during(process.pid)
    return ended(process)


PEERS = {
    "wrk": ("wrk -t1 -c{c} -d{s}s {url}", r"(\d+) requests in"),
    "h2load": ("h2load --h1 -t1 -c{c} -D {s} {url}", r"(\d+) succeeded"),
    "ab": ("ab -q -k -t {s} -n 100000000 -c {c} {url}", r"Complete requests:\s+(\d+)"),
    "hey": ("hey -z {s}s -c {c} -cpus 1 {url}", r"\[200\]\s+(\d+) responses"),
    "fortio": ("fortio load -c {c} -qps 0 -t {s}s -loglevel Error {url}", r"Code 200 : (\d+)"),
    "oha": ("oha --no-tui -z {s}s -c {c} {url}", r"\[200\] (\d+) responses"),
    "autocannon": ("autocannon -n -c {c} -d {s} -j {url}", r'"2xx":(\d+)'),
    "k6": ("k6 run -q --no-usage-report --vus {c} --duration {s}s -e URL={url} {here}/k6.js", r"http_reqs[.: ]+(\d+)"),
    "vegeta": ("sh {here}/vegeta.sh {url} {c} {s}", r"200:(\d+)"),
    "locust": (
        "locust -f {here}/locustfile.py --headless --only-summary -u {c} -r 100 -t {s}s -H {url}",
        r"Aggregated +(\d+)",
    ),
}


def clients() -> dict[str, Client]:
    """Give those that are here, ourselves first."""
    found: dict[str, Client] = {"loadgen": ourselves}
    found |= {name: command(*words) for name, words in PEERS.items() if shutil.which(name)}
    return found | {"aiohttp": aiohttp_client}


def aiohttp_client(url: str, connections: int, seconds: int) -> Measured:
    """Python's usual client, as fast as it goes; it tells its own count and CPU."""
    line = [sys.executable, "-m", "tests.bench.aiohttp_client", url, str(connections), str(seconds)]
    done = subprocess.run(pinned(line, CLIENT_CORE), capture_output=True, check=True, text=True)
    told = json.loads(done.stdout)
    return Measured(told["requests"], told["cpu_s"])
