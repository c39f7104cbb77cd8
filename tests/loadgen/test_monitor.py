"""The sweep over a real run: snapshots that add up, and a generator that knows when it was the problem."""

import time
from typing import Any

import pytest

from loadgen.core.breaker import BreakerState
from loadgen.core.ledger import Cell, Stratum
from loadgen.core.merge import along
from loadgen.core.outcome import UNSENT, Outcome
from loadgen.core.plan import Arm
from loadgen.core.trust import TrustLevel
from loadgen.engine import Engine
from loadgen.monitor import answers_of, cells_of, delay_of, median_s
from tests.loadgen.core.plans import TWO_ARMS, steady
from tests.loadgen.runs import run
from tests.loadgen.servers import Answers, Server, swallows


def test_snapshots_come_ten_times_a_second_and_add_up_to_the_report() -> None:
    with Server(Answers()) as server:
        found = run(steady(300, 1.0, url=server.url, arms=TWO_ARMS, stratum_s=0.25))
    report, snapshots = found.report, found.snapshots
    assert 8 <= len(snapshots) <= 13
    assert sum(snapshot.sent for snapshot in snapshots) == report.sent == 300
    assert sum(snapshot.completed for snapshot in snapshots) == report.completed == 300
    assert sum(snapshot.bytes_received for snapshot in snapshots) == report.bytes_received
    whole = snapshots[0]
    for snapshot in snapshots[1:]:
        whole = along(whole, snapshot)
    counted = sum(cell.count for cell in cells_of(whole.strata) if cell.outcome not in UNSENT)
    assert counted == 300
    assert [stratum.index for stratum in whole.strata] == [0, 1, 2, 3]
    assert {point.at_s for point in report.points} == {0.0, 0.25, 0.5, 0.75}


def test_a_closed_stratum_stays_closed() -> None:
    closed_until, seen = 0, set()
    with Server(Answers()) as server:
        found = run(steady(200, 0.6, url=server.url, stratum_s=0.1, snapshot_s=0.05))
    for snapshot in found.snapshots:
        assert all(stratum.index >= closed_until for stratum in snapshot.strata)
        assert snapshot.closed_until >= closed_until
        closed_until = snapshot.closed_until
        seen |= {stratum.index for stratum in snapshot.strata}
    assert seen == set(range(6))


def test_a_reader_that_is_never_ready_loses_nothing_and_slows_nobody() -> None:
    with Server(Answers()) as server:
        found = run(steady(200, 0.5, url=server.url), is_ready=lambda: False)
    assert found.snapshots == []
    assert found.outcomes == {Outcome.OK: 100}
    assert found.report.duration_s == pytest.approx(0.5, abs=0.2)


def test_a_generator_that_was_stopped_says_so() -> None:
    """Half the run without us: whoever was due then was sent late by nobody's fault but ours."""
    pauses = [0.3]

    def pause(_: Engine, __: Any) -> None:
        if pauses:
            time.sleep(pauses.pop())  # what a stopped process is to its own clock

    with Server(Answers()) as server:
        found = run(steady(200, 0.6, url=server.url), during=pause)
    assert found.report.closing.trust.level is TrustLevel.INVALID
    assert any("late by more than 100 ms" in reason for reason in found.report.closing.trust.reasons)
    assert [snapshot.is_evidence for snapshot in found.snapshots].count(False) >= 1
    assert found.report.response().quantile_s(0.9) >= 0.1  # type: ignore[operator]
    assert max(snapshot.start_delay.max_s for snapshot in found.snapshots) >= 0.2


def test_a_healthy_run_says_how_late_it_was_and_what_it_cost() -> None:
    with Server(Answers()) as server:
        found = run(steady(200, 0.4, url=server.url))
    for snapshot in found.snapshots:
        assert 0 <= snapshot.start_delay.p50_s <= snapshot.start_delay.p99_s <= snapshot.start_delay.max_s
        assert snapshot.asked_per_s in (200.0, 0.0)
    assert found.report.closing.cpu_s > 0
    assert found.report.closing.connect


def test_the_median_is_that_of_the_good_ones_of_the_arm_that_fares_best() -> None:
    assert median_s({"a": [(5, False), (900_000, True)], "b": [(7, False), (9, False)]}) == 5e-6
    assert median_s({"a": [(5, True)]}) == 0.0


def test_no_start_has_no_delay() -> None:
    assert delay_of([]).max_s == 0.0


def test_what_was_never_sent_is_no_answer_and_a_bad_status_is_one() -> None:
    def cell(arm: str, outcome: Outcome, count: int) -> Cell:
        return Cell(arm=arm, version="", outcome=outcome, status=0, count=count, latency=[])

    cells = (
        cell("stable", Outcome.OK, 9),
        cell("stable", Outcome.HTTP_5XX, 1),
        cell("canary", Outcome.OK, 1),
        cell("canary", Outcome.TIMEOUT, 3),
        cell("canary", Outcome.WITHHELD, 50),
    )
    assert answers_of((Stratum(index=0, cells=cells),)) == {"stable": (10, 0), "canary": (4, 3)}
    assert answers_of(()) == {}


def test_one_dead_arm_does_not_open_the_breaker_even_at_a_low_rate() -> None:
    with Server(swallows) as dead, Server(Answers()) as server:
        arms = (Arm(name="stable"), Arm(name="canary", connect=f"127.0.0.1:{dead.port}"))
        found = run(steady(60, 0.8, url=server.url, arms=arms, timeout_s=0.05, snapshot_s=0.01, breaker=True))
        assert found.report.closing.breaker == ()
        everybody = (Arm(name="stable"), Arm(name="canary"))
        changes = run(steady(60, 0.8, url=dead.url, arms=everybody, timeout_s=0.05, snapshot_s=0.01, breaker=True))
    assert [change.state for change in changes.report.closing.breaker] == [BreakerState.OPEN]
