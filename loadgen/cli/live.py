"""What a run says while it runs: on a terminal a few lines drawn over and over, elsewhere a line now and then."""

import sys
from collections import deque
from typing import TextIO

from loadgen.core.histogram import Histogram
from loadgen.core.plan import Plan
from loadgen.core.snapshot import Snapshot, Tally, tallies_of
from loadgen.core.units import told_s

WINDOW = 10  # snapshots: what is shown is the last second
BAR = 34
VERSIONS_SHOWN = 4
TERMINAL_EVERY_S = 0.25
PLAIN_EVERY_S = 10.0
LATE_S = 0.005


class Live:
    """Draws snapshots."""

    def __init__(self, plan: Plan, out: TextIO | None = None) -> None:
        self._plan, self._out = plan, out or sys.stderr
        self._is_terminal = self._out.isatty()
        self._window: deque[Snapshot] = deque(maxlen=WINDOW)
        self._drawn = 0
        self._next_s = 0.0 if self._is_terminal else PLAIN_EVERY_S
        self._sent = 0
        self._late = 0

    def begin(self) -> None:
        """Say what is going to happen."""
        self._out.write(f" {headline(self._plan)}\n")

    def update(self, snapshot: Snapshot) -> None:
        """Take a snapshot; draw when it is time."""
        self._window.append(snapshot)
        self._sent += snapshot.sent
        self._late += snapshot.start_delay.max_s > LATE_S
        if snapshot.as_of_s < self._next_s:
            return
        self._next_s = snapshot.as_of_s + (TERMINAL_EVERY_S if self._is_terminal else PLAIN_EVERY_S)
        self._draw([self.progress(), *self.versions()])

    def progress(self) -> str:
        """Write how far the run is and how it goes."""
        last = self._window[-1]
        window_s = sum(snapshot.window_s for snapshot in self._window)
        completed = sum(snapshot.completed for snapshot in self._window)
        failed = sum(tally.failed for tally in self._tallies())
        rate = sum(snapshot.sent for snapshot in self._window) / window_s
        parts = [
            f"{rate:.1f}/s" + ("" if self._plan.closed else f" (target {last.asked_per_s:.0f})"),
            f"in-flight {last.in_flight}",
            f"late windows {self._late}",
            f"errors {100 * failed / completed if completed else 0:.1f}%",
        ]
        return f" {clock(last.as_of_s)} {bar(self._done(last.as_of_s))}  {'  '.join(parts)}"

    def versions(self) -> list[str]:
        """Write a line for each version that answered in the last second."""
        window_s = sum(snapshot.window_s for snapshot in self._window)
        lines = []
        for tally in self._tallies()[:VERSIONS_SHOWN]:
            p50, p95, p99 = (told_s(value) for value in tally.latency.quantiles_s((0.5, 0.95, 0.99)))
            name = tally.version or tally.arm
            lines.append(f"   {name:<8} {tally.completed / window_s:>8.1f}/s  p50 {p50}  p95 {p95}  p99 {p99}")
        return lines

    def _tallies(self) -> list[Tally]:
        """Group the last second by version, whatever the arm."""
        cells = (cell for snapshot in self._window for stratum in snapshot.strata for cell in stratum.cells)
        found: dict[str, Tally] = {}
        for tally in tallies_of(cells):
            before = found.get(tally.version)
            found[tally.version] = tally if before is None else together(before, tally)
        return list(found.values())

    def _done(self, as_of_s: float) -> float:
        if self._plan.requests:
            return min(1.0, self._sent / self._plan.requests)
        return min(1.0, as_of_s / self._plan.duration_s)

    def _draw(self, lines: list[str]) -> None:
        if not self._is_terminal:
            self._out.write("\n".join(lines) + "\n")
        else:
            up = f"\x1b[{self._drawn}F" if self._drawn else ""
            self._out.write(up + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J")
            self._drawn = len(lines)
        self._out.flush()

    def end(self) -> None:
        """Leave nothing half drawn behind."""
        if self._is_terminal and self._drawn:
            self._out.write(f"\x1b[{self._drawn}F\x1b[J")
            self._out.flush()


def together(one: Tally, other: Tally) -> Tally:
    """Add two arms that the same version answered."""
    latency = Histogram(dict(one.latency.counts))
    latency.add(other.latency.counts.items())
    failures = {
        key: one.failures.get(key, 0) + other.failures.get(key, 0) for key in {**one.failures, **other.failures}
    }
    return Tally(
        arm=one.arm,
        version=one.version,
        completed=one.completed + other.completed,
        failures=failures,
        latency=latency,
    )


def headline(plan: Plan) -> str:
    """Say in one line what a plan asks for."""
    model = "closed model" if plan.closed else "open model"
    rates = [] if plan.closed else [f"{plan.rate_max_per_s:g}/s"]
    length = f"{plan.requests:,} requests" if plan.requests else f"{plan.duration_s:g}s"
    protocol = f"HTTP/2 × {plan.streams}" if plan.http2 else "HTTP/1.1 keep-alive"
    return " · ".join([model, *rates, length, protocol, f"{plan.connections} conns max"])


def clock(elapsed_s: float) -> str:
    """Write minutes and seconds."""
    minutes, seconds = divmod(int(elapsed_s), 60)
    return f"{minutes}:{seconds:02d}"


def bar(done: float) -> str:
    """Draw how much is done."""
    full = int(done * BAR)
    return f"[{'=' * full}{'>' if full < BAR else ''}{'-' * (BAR - full - 1)}] {100 * done:3.0f}%"
