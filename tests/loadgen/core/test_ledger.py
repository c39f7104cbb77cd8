from loadgen.core.histogram import bucket_of
from loadgen.core.ledger import OTHER, VERSIONS_MAX, Ledger, Times, bump
from loadgen.core.outcome import Outcome

MS = 1_000_000


def ledger() -> Ledger:
    return Ledger(("stable", "canary"), recent=3)


def test_a_look_gives_what_was_written_since_the_last_one() -> None:
    book = ledger()
    good = book.group("v1", Outcome.OK, 200)
    bad = book.group("", Outcome.TIMEOUT, 0)
    book.record(book.row(0, 4), good, 5 * MS, 4 * MS)
    book.record(book.row(0, 4), good, 5 * MS, 4 * MS)
    book.record(book.row(1, 5), bad, 3000 * MS, 3000 * MS)
    first, second = book.take()
    assert (first.index, second.index) == (4, 5)
    (cell,) = first.cells
    assert (cell.arm, cell.version, cell.outcome, cell.status, cell.count) == ("stable", "v1", Outcome.OK, 200, 2)
    assert cell.latency == [(bucket_of(5 * MS), 2)]
    assert second.cells[0].arm == "canary"
    assert book.take() == ()


def test_the_same_group_has_the_same_number() -> None:
    book = ledger()
    assert book.group("v1", Outcome.OK, 200) == book.group("v1", Outcome.OK, 200)
    assert book.group("v1", Outcome.OK, 200) != book.group("v1", Outcome.OK, 201)
    assert book.failed(book.group("", Outcome.RESET, 0))
    assert not book.failed(book.group("v1", Outcome.OK, 200))


def test_requests_that_were_never_sent_have_no_latency() -> None:
    book = ledger()
    book.record(book.row(0, 0), book.group("", Outcome.DROPPED, 0), 7 * MS, 7 * MS)
    (stratum,) = book.take()
    assert (stratum.cells[0].count, stratum.cells[0].latency) == (1, [])
    assert book.take_recent() == {}


def test_rows_of_closed_strata_are_forgotten_and_open_ones_kept() -> None:
    book = ledger()
    old, young = book.row(0, 1), book.row(0, 2)
    book.closed_until = 2
    book.take()
    assert book.row(0, 2) is young
    assert book.row(0, 1) is not old


def test_targets_have_rows_of_their_own() -> None:
    book = ledger()
    assert book.row(0, 1, "a") is not book.row(0, 1, "b")
    assert book.row(0, 1, "a") is book.row(0, 1, "a")


def test_a_target_cannot_fill_the_memory_with_versions() -> None:
    book = ledger()
    for number in range(2 * VERSIONS_MAX):
        group = book.group(f"v{number}", Outcome.OK, 200)
        book.record(book.row(0, 0), group, MS, MS)
    versions = {cell.version for stratum in book.take() for cell in stratum.cells}
    assert len(versions) == VERSIONS_MAX + 1
    assert OTHER in versions


def test_service_times_add_up_over_outcomes_and_are_absent_where_they_equal_the_response() -> None:
    book = ledger()
    for outcome in (Outcome.OK, Outcome.HTTP_5XX):
        book.record(book.row(0, 0), book.group("v1", outcome, 200), 9 * MS, 4 * MS)
    book.record(book.row(0, 0), book.group("v1", Outcome.OK, 200), 9 * MS, 9 * MS)
    (service,) = book.services()
    assert (service.arm, service.version, service.latency) == ("stable", "v1", [(bucket_of(4 * MS), 2)])


def test_the_last_outcomes_are_kept_in_order_and_handed_over_once() -> None:
    book = ledger()
    good, bad = book.group("v1", Outcome.OK, 200), book.group("", Outcome.RESET, 0)
    for millis, group in ((1, good), (2, bad), (3, good), (4, good)):
        book.record(book.row(1, 0), group, millis * MS, MS)
    assert book.take_recent() == {"canary": [(2000, True), (3000, False), (4000, False)]}
    assert book.take_recent() == {}


def test_start_delays_are_handed_over_and_kept_for_the_report() -> None:
    book = ledger()
    bump(book.start_delay, 5)
    assert book.take_start_delay() == [(5, 1)]
    bump(book.start_delay, 5)
    bump(book.start_delay, 7)
    assert book.take_start_delay() == [(5, 1), (7, 1)]
    assert book.start_delays == {5: 2, 7: 1}


def test_a_group_that_is_new_begins_empty() -> None:
    assert Times()[3] == {}
    assert ledger().row(0, 0)[3] == {}
