"""The server that everybody is measured against: one nginx worker on a core of its own, which counts for itself."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CONFIGURATION = """
worker_processes 1; daemon off; pid {place}/nginx.pid; error_log {place}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; sendfile on; open_file_cache max=100;
  client_body_temp_path {place}/b; proxy_temp_path {place}/p; fastcgi_temp_path {place}/f;
  uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;
  server {{
    listen 127.0.0.1:{port}; root {place};
    location = / {{ add_header x-rollout-version v1; return 200 "{body}"; }}
    location = /changing {{ add_header x-request-id $request_id; return 200 "{body}"; }}
    location = /status {{ stub_status; }}
  }}
}}
"""
BODY = "0123456789" * 10
START_S = 5.0
REAL_TIME = "BENCH_REAL_TIME"  # set: real-time priority, an idle core on a machine that is not (needs root)


@dataclass(frozen=True, slots=True)
class Server:
    """Where it is."""

    url: str
    workers: tuple[int, ...]

    def requests(self) -> int:
        """How many requests it has answered, without this one."""
        page = urllib.request.urlopen(f"{self.url}status", timeout=5).read().decode()
        return int(page.splitlines()[2].split()[2]) - 1

    def cpu_s(self) -> float:
        """How much CPU its workers have used."""
        ticks = os.sysconf("SC_CLK_TCK")
        used = 0
        for pid in self.workers:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used += int(fields[11]) + int(fields[12])
        return used / ticks

    def stall(self, seconds: float) -> None:
        """Stop it for a while."""
        for pid in self.workers:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        for pid in self.workers:
            os.kill(pid, signal.SIGCONT)


def pinned(command: list[str], core: int) -> list[str]:
    """Keep a command on one core, where that can be done and there is more than one; before all others if asked to."""
    first = ["chrt", "-f", "1"] if os.environ.get(REAL_TIME) else []
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2 or shutil.which("taskset") is None:
        return [*first, *command]
    return [*first, "taskset", "-c", str(cores[core]), *command]


@contextlib.contextmanager
def nginx(place: Path) -> Iterator[Server]:
    """Serve 100 bytes, heads that change every time, and files of 10 and 100 kB."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place.mkdir(parents=True, exist_ok=True)
    for name, size in (("10k", 10_000), ("100k", 100_000)):
        (place / name).write_bytes(b"x" * size)
    file = place / "nginx.conf"
    file.write_text(CONFIGURATION.format(place=place.resolve(), port=port, body=BODY))
    process = subprocess.Popen(
        pinned(["nginx", "-c", str(file.resolve())], 0), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(port)
        yield Server(f"http://127.0.0.1:{port}/", children_of(process.pid))
    finally:
        process.terminate()
        process.wait(timeout=10)


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise TimeoutError("nginx does not listen")


def children_of(pid: int) -> tuple[int, ...]:
    """Give the worker processes."""
    return tuple(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
