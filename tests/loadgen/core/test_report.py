import pytest

from loadgen.core.breaker import BreakerChange, BreakerState
from loadgen.core.histogram import Histogram
from loadgen.core.ledger import Service
from loadgen.core.outcome import Outcome
from loadgen.core.pairs import PairSum
from loadgen.core.plan import Plan
from loadgen.core.report import (
    POINTS_MAX,
    SLOWEST_MAX,
    Accumulator,
    Closing,
    Report,
    Slow,
    Totals,
    merged_closing,
    point_of,
)
from loadgen.core.trust import Trust, TrustLevel
from tests.loadgen.core.plans import steady
from tests.loadgen.core.snapshots import cell, stratum

TOTALS = Totals(start_unix_s=0.0, duration_s=2.0, sent=6, dropped=1)


def report_of(books: Accumulator, totals: Totals = TOTALS) -> Report:
    return books.report(totals, Closing())


def books(plan: Plan | None = None) -> Accumulator:
    return Accumulator(plan or steady())


def test_totals_add_up_over_strata_and_keep_what_was_never_sent_apart() -> None:
    book = books()
    book.add([stratum(0, cell(Outcome.OK, 1, 2), cell(Outcome.DROPPED, 0, version=""))], (), 0)
    book.add([stratum(1, cell(Outcome.OK, 3), cell(Outcome.HTTP_5XX, 9, version="v3", status=500))], (), 1)
    report = report_of(book)
    assert [(one.version, one.outcome, one.count) for one in report.cells] == [
        ("v1", Outcome.OK, 3),
        ("v3", Outcome.HTTP_5XX, 1),
        ("", Outcome.DROPPED, 1),
    ]
    assert (report.completed, report.failed, report.error_share) == (4, 1, 0.25)
    assert report.response().count == 4
    assert report.response(version="v3").count == 1
    assert report.response(arm="canary").count == 0


def test_a_run_without_a_request_has_no_errors() -> None:
    assert report_of(books()).error_share == 0.0


def test_points_sum_up_closed_strata_only_and_each_once() -> None:
    book = books()
    book.add([stratum(0, cell(Outcome.OK, 10, 20)), stratum(1, cell(Outcome.OK, 5))], (), 0)
    book.add([stratum(0, cell(Outcome.TIMEOUT, 3000, status=0))], (), 1)
    assert [point.at_s for point in book._points] == [0.0]
    first, second = report_of(book).points
    assert (first.count, first.failed, second.at_s, second.count) == (3, 1, 1.0, 1)
    assert first.p50_s == pytest.approx(0.020, rel=0.001)
    assert first.max_s == pytest.approx(3.0, rel=0.001)


def test_requests_due_while_warming_up_are_not_reported() -> None:
    book = books(steady(warmup_s=1.5))
    book.add([stratum(index, cell(Outcome.OK, 1)) for index in range(4)], (), 4)
    report = report_of(book)
    assert [point.at_s for point in report.points] == [2.0, 3.0]
    assert report.completed == 2


def test_the_series_is_bounded_and_the_totals_go_on() -> None:
    book = books()
    book._points += [point_of(0.0, "a", "v", {Outcome.OK: [Histogram({1: 1})]})] * (POINTS_MAX - 1)
    book.add([stratum(0, cell(Outcome.OK, 1)), stratum(1, cell(Outcome.OK, 1))], (), 2)
    report = report_of(book)
    assert len(report.points) == POINTS_MAX
    assert report.completed == 2


def test_pairs_add_up() -> None:
    book = books()
    book.add((), [PairSum(arm="canary", count=1)], 0)
    book.add((), [PairSum(arm="canary", count=2)], 0)
    assert report_of(book).pairs == (PairSum(arm="canary", count=3),)


def test_service_times_are_the_whole_runs() -> None:
    totals = Totals(
        start_unix_s=0.0,
        duration_s=1.0,
        services=(Service(arm="a", version="v1", latency=[(5, 1)]), Service(arm="b", version="v1", latency=[(5, 2)])),
    )
    assert report_of(books(), totals).service().sparse() == [(5, 3)]


def slow(response_s: float) -> Slow:
    return Slow(response_s=response_s, trace_id="", arm="a", due_s=0.0)


def test_closings_add_up_and_what_the_parent_says_counts_too() -> None:
    one = Closing(
        cpu_s=1.0,
        connect=[(5, 1)],
        sockets=(1, 2),
        connect_by_place=([(5, 1)],),
        addresses={"127.0.0.1:80": 2},
        slowest=tuple(slow(n) for n in range(SLOWEST_MAX)),
        breaker=(BreakerChange(at_s=3.0, state=BreakerState.OPEN, reason="x"),),
    )
    other = Closing(
        cpu_s=0.5,
        connect=[(5, 2)],
        sockets=(4,),
        connect_by_place=([],),
        addresses={"127.0.0.1:80": 1, "[::1]:80": 1},
        slowest=(slow(99.0),),
        breaker=(BreakerChange(at_s=1.0, state=BreakerState.OPEN, reason="y"),),
        interrupted=True,
    )
    dead = Trust(level=TrustLevel.INVALID, reasons=("a worker died",))
    both = merged_closing((one, other), (dead,))
    assert (both.cpu_s, both.connect, both.sockets) == (1.5, [(5, 3)], (1, 2, 4))
    assert both.addresses == {"127.0.0.1:80": 3, "[::1]:80": 1}
    assert [item.response_s for item in both.slowest] == [99.0, *range(SLOWEST_MAX - 1, 0, -1)]
    assert [change.at_s for change in both.breaker] == [1.0, 3.0]
    assert (both.trust.level, both.interrupted) == (TrustLevel.INVALID, True)
    assert both.connect_by_place == ([(5, 1)], [])
