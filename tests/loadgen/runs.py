"""A plan run by an engine in this very process: no child, no pipe, so that a test may look inside."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from loadgen.core.outcome import Outcome
from loadgen.core.plan import Plan
from loadgen.core.report import Report
from loadgen.core.snapshot import Assignment, Snapshot
from loadgen.engine import Engine
from loadgen.monitor import Monitor
from loadgen.transport.clock import now_ns
from loadgen.worker import build


@dataclass(frozen=True, slots=True)
class Run:
    """What came of it."""

    report: Report
    snapshots: list[Snapshot]
    engine: Engine

    @property
    def outcomes(self) -> Counter[Outcome]:
        """How many requests ended in each outcome."""
        counts: Counter[Outcome] = Counter()
        for cell in self.report.cells:
            counts[cell.outcome] += cell.count
        return counts

    @property
    def versions(self) -> Counter[tuple[str, str]]:
        """How many requests of each arm got which version."""
        counts: Counter[tuple[str, str]] = Counter()
        for cell in self.report.cells:
            counts[cell.arm, cell.version] += cell.count
        return counts


def run(
    plan: Plan,
    *,
    during: Callable[[Engine, Snapshot], None] | None = None,
    is_ready: Callable[[], bool] = lambda: True,
) -> Run:
    """Run a plan to its end; *during* is called with every snapshot."""
    engine = build(Assignment(plan=plan))
    snapshots: list[Snapshot] = []

    def put(snapshot: Snapshot) -> None:
        snapshots.append(snapshot)
        if during is not None:
            during(engine, snapshot)

    monitor = Monitor(engine, is_ready, put)
    try:
        engine.warm_up()
        engine.prepare()
        monitor.begin()
        engine.run()
        at = now_ns()
        engine.finish()
        monitor.look(at)
        return Run(monitor.report(at, interrupted=engine.is_stopping), snapshots, engine)
    finally:
        engine.poller.close()
