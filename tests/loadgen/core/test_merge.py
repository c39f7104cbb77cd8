from loadgen.core.breaker import BreakerState
from loadgen.core.histogram import Histogram
from loadgen.core.ledger import Service
from loadgen.core.merge import STRATA_MAX, across, added_pairs, added_services, added_strata, along, counted
from loadgen.core.outcome import Outcome
from loadgen.core.pairs import PairSum
from loadgen.core.report import Totals
from loadgen.core.snapshot import Delay
from loadgen.core.trust import Trust, TrustLevel
from tests.loadgen.core.snapshots import cell, snapshot, stratum


def test_the_same_stretch_of_two_workers_adds_up() -> None:
    one = snapshot(
        stratum(0, cell(Outcome.OK, 1, 2)), stratum(1, cell(Outcome.OK, 3)),
        as_of_s=0.1, closed_until=1, in_flight=2, connections=3, sent=3, completed=3, asked_per_s=30.0,
        achieved_per_s=30.0, start_delay=Delay(p50_s=0.1, p99_s=0.2, max_s=0.3), recent={"stable": [(5, False)]},
    )  # fmt: skip
    other = snapshot(
        stratum(0, cell(Outcome.OK, 2), cell(Outcome.TIMEOUT, 900, status=0)),
        as_of_s=0.12, closed_until=2, in_flight=1, connections=1, sent=2, completed=2, asked_per_s=20.0,
        achieved_per_s=20.0, start_delay=Delay(p50_s=0.05, p99_s=0.4, max_s=0.5), recent={"stable": [(9, True)]},
        trust=Trust(level=TrustLevel.DEGRADED, reasons=("late",)), breaker=BreakerState.OPEN, is_evidence=False,
    )  # fmt: skip
    both = across((one, other))
    assert both.strata == (
        stratum(0, cell(Outcome.OK, 1, 2, 2), cell(Outcome.TIMEOUT, 900, status=0)),
        stratum(1, cell(Outcome.OK, 3)),
    )
    assert (both.as_of_s, both.closed_until, both.in_flight, both.connections) == (0.12, 1, 3, 4)
    assert (both.sent, both.completed, both.asked_per_s, both.achieved_per_s) == (5, 5, 50.0, 50.0)
    assert both.start_delay == Delay(p50_s=0.1, p99_s=0.4, max_s=0.5)
    assert both.recent == {"stable": [(5, False), (9, True)]}
    assert both.breaker is BreakerState.OPEN
    assert (both.trust.level, both.is_evidence) == (TrustLevel.DEGRADED, False)


def test_two_stretches_of_one_worker_add_up_and_gauges_say_what_they_said_last() -> None:
    first = snapshot(
        stratum(0, cell(Outcome.OK, 1)), window_s=0.1, achieved_per_s=10.0, in_flight=9, cpu_share=0.5,
        recent={"stable": [(1, False)] * 4000},
    )  # fmt: skip
    then = snapshot(
        stratum(0, cell(Outcome.OK, 2)), window_s=0.3, achieved_per_s=30.0, in_flight=1, as_of_s=0.4,
        recent={"stable": [(2, False)] * 4000},
    )  # fmt: skip
    both = along(first, then)
    assert both.strata == (stratum(0, cell(Outcome.OK, 1, 2)),)
    assert (both.window_s, both.achieved_per_s, both.in_flight, both.as_of_s) == (0.4, 25.0, 1, 0.4)
    assert both.cpu_share == 0.5
    assert len(both.recent["stable"]) == 4096
    assert both.recent["stable"][-1] == (2, False)
    assert both.trust.level is TrustLevel.OK


def test_a_reader_that_never_reads_costs_bounded_memory_and_is_told() -> None:
    kept = snapshot(*(stratum(index, cell(Outcome.OK, 1)) for index in range(STRATA_MAX)))
    both = along(kept, snapshot(stratum(STRATA_MAX, cell(Outcome.OK, 1))))
    assert len(both.strata) == STRATA_MAX
    assert both.strata[-1].index == STRATA_MAX
    assert both.trust.level is TrustLevel.DEGRADED


def test_requests_that_were_never_sent_stay_countable() -> None:
    parts = [stratum(0, cell(Outcome.DROPPED, 0, 0, status=0)), stratum(0, cell(Outcome.DROPPED, 0, status=0))]
    ((only,),) = (one.cells for one in added_strata(parts))
    assert (only.count, only.latency) == (3, [])


def test_a_run_without_a_report_is_counted_from_its_snapshots() -> None:
    totals = Totals(start_unix_s=0.0, duration_s=0.0)
    for at_s in (0.1, 0.2):
        totals = counted(totals, snapshot(as_of_s=at_s, sent=3, dropped=1, withheld=2, retried=1, bytes_received=7))
    assert totals == Totals(
        start_unix_s=0.0, duration_s=0.2, sent=6, dropped=2, withheld=4, retried=2, bytes_received=14
    )


def test_service_times_and_pairs_add_up_by_name() -> None:
    one, two = (
        Service(arm="a", version="v1", latency=[(5, 1)]),
        Service(arm="a", version="v1", latency=[(5, 2), (6, 1)]),
    )
    assert added_services([one, two]) == (Service(arm="a", version="v1", latency=[(5, 3), (6, 1)]),)
    assert added_pairs([PairSum(arm="b", count=1), PairSum(arm="a"), PairSum(arm="b", count=2)]) == (
        PairSum(arm="a"),
        PairSum(arm="b", count=3),
    )


def test_three_parts_merge_to_the_same_whatever_the_order() -> None:
    parts = [snapshot(stratum(0, cell(Outcome.OK, n, n + 1))) for n in range(3)]
    forth, back = across(tuple(parts)), across(tuple(reversed(parts)))
    assert forth.strata == back.strata
    histogram = Histogram()
    histogram.add(forth.strata[0].cells[0].latency)
    assert histogram.count == 6
