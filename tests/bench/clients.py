"""Everybody who is measured: the command, and how to read what it counted. Who is not installed is left out."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from loadgen.core.plan import Plan, Stage, Target
from loadgen.core.report import Report
from loadgen.core.snapshot import Assignment, Finished, decode, encode
from tests.bench.server import pinned

CLIENT_CORE = 1


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


def command(words: str, pattern: str) -> Client:
    """Make a client of a command line; the pattern finds the number of good responses, more than once if need be."""

    def measure(url: str, connections: int, seconds: int) -> Measured:
        line = words.format(url=url, c=connections, s=seconds).split()
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


def ourselves(url: str, connections: int, seconds: int) -> Measured:
    """One worker, closed loop, with its whole account; the CPU is that of the load, start-up is told apart."""
    report = ran(
        Plan(
            targets=(Target(url=url),),
            stages=(Stage(from_per_s=1, to_per_s=1, duration_s=seconds),),
            closed=True,
            connections=connections,
            trace=False,
        )
    )
    return Measured(report.completed - report.failed, report.closing.cpu_s)


def ran(plan: Plan, during: Callable[[], None] | None = None) -> Report:
    """Run a plan in one pinned worker."""
    process = subprocess.Popen(
        pinned([sys.executable, "-m", "loadgen", "worker"], CLIENT_CORE), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        process.stdin.write(encode(Assignment(plan=plan)))
        process.stdin.flush()
        started = decode(process.stdout.readline())
        if during is not None:
            during()
        *_, last = (decode(line) for line in process.stdout)
    process.wait(timeout=10)
    assert isinstance(last, Finished), f"{started} but no report"
    return last.report


PEERS = {
    "wrk": ("wrk -t1 -c{c} -d{s}s {url}", r"(\d+) requests in"),
    "h2load": ("h2load --h1 -t1 -c{c} -D {s} {url}", r"(\d+) succeeded"),
    "ab": ("ab -q -k -t {s} -n 100000000 -c {c} {url}", r"Complete requests:\s+(\d+)"),
    "hey": ("hey -z {s}s -c {c} -cpus 1 {url}", r"\[200\]\s+(\d+) responses"),
    "fortio": ("fortio load -c {c} -qps 0 -t {s}s -loglevel Error {url}", r"Code 200 : (\d+)"),
    "oha": ("oha --no-tui -z {s}s -c {c} {url}", r"\[200\] (\d+) responses"),
    "autocannon": ("autocannon -n -c {c} -d {s} -j {url}", r'"2xx":(\d+)'),
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
