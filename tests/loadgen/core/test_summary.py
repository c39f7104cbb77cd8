import pytest

from loadgen.core.histogram import bucket_of
from loadgen.core.outcome import Outcome
from loadgen.core.summary import summary_of
from tests.loadgen.core.plans import closed
from tests.loadgen.core.reports import report
from tests.loadgen.core.snapshots import cell

MS = 1_000_000


def test_a_run_is_summed_up_by_version_and_as_a_whole() -> None:
    summary = summary_of(
        report(
            cell(Outcome.OK, *range(1, 101)),
            cell(Outcome.HTTP_5XX, 500, version="v3", status=503),
            cell(Outcome.OK, 5, version="v3"),
            cell(Outcome.DROPPED, 0, 0, version="", status=0),
            sent=102,
            dropped=2,
        )
    )
    everything, (v1, v3) = summary.everything, summary.versions
    assert (everything.count, everything.failed, everything.error_share) == (102, 1, 1 / 102)
    assert everything.quantiles_s["p50"] == pytest.approx(0.050, rel=0.03)
    assert everything.max_s == pytest.approx(0.5, rel=0.001)
    assert (v1.name, v1.count, v3.name, v3.count, v3.failed) == ("v1", 100, "v3", 2, 1)
    assert v1.p99 is not None
    assert v1.p99.value == pytest.approx(0.099, rel=0.001)
    assert summary.outcomes == {"dropped": 2, "503": 1}
    assert summary.achieved_per_s == 10.2


def test_failures_are_named_by_status_or_by_what_happened() -> None:
    summary = summary_of(
        report(
            cell(Outcome.BODY, 1, status=200),
            cell(Outcome.TIMEOUT, 3000, 3000, status=0),
            cell(Outcome.PROXY_5XX, 1, 1, 1, status=503),
        )
    )
    assert list(summary.outcomes.items()) == [("503", 3), ("timeout", 2), ("body", 1)]


def test_a_start_is_on_time_within_five_milliseconds() -> None:
    delays = [(bucket_of(MS), 98), (bucket_of(20 * MS), 2)]
    summary = summary_of(report(cell(Outcome.OK, 1), start_delay=delays))
    assert summary.on_time_share == 0.98
    assert summary.start_delay_max_s == pytest.approx(0.02, rel=0.001)


def test_a_run_that_did_nothing_says_nothing() -> None:
    summary = summary_of(report(plan=closed()))
    assert (summary.everything.count, summary.everything.error_share, summary.everything.p99) == (0, 0.0, None)
    assert (summary.everything.quantiles_s, summary.versions, summary.on_time_share) == ({}, (), None)


def test_the_rate_of_a_count_is_that_of_the_time_it_took() -> None:
    assert summary_of(report(cell(Outcome.OK, 1, 2), plan=closed(), duration_s=4.0)).achieved_per_s == 0.5
