"""The clocks: the only door to them in loadgen.

`now_ns` is CLOCK_MONOTONIC, the clock that the timers use and that every process on this machine shares, so workers can
start together and a witness can compare notes. Nothing is measured with the wall clock; it only dates a run.
"""

import time
from pathlib import Path

now_ns = time.monotonic_ns
cpu_ns = time.process_time_ns

FAR_NS = 1 << 62  # a due time that never comes
THROTTLE_FILE = Path("/sys/fs/cgroup/cpu.stat")  # cgroup v2; absent elsewhere


def wall_s() -> float:
    """Give the unix time."""
    return time.time_ns() / 1e9


def throttled() -> int:
    """Say how often the cgroup's CPU quota has stopped this group since it exists."""
    try:
        text = THROTTLE_FILE.read_text()
    except OSError:
        return 0
    fields = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
    return int(fields.get("nr_throttled", "0"))
