"""The books: written per request, read as deltas, added up exactly across time and workers, and sent as JSON lines."""

import dataclasses
import json
from enum import StrEnum
from typing import Any

import pytest

from loadgen.core import merge as merging
from loadgen.core.breaker import BreakerChange, BreakerState
from loadgen.core.codec import from_json, to_json
from loadgen.core.histogram import Histogram, bucket_of
from loadgen.core.ledger import OTHER, VERSIONS_MAX, Cell, Ledger, Service, Stratum
from loadgen.core.merge import across, added_services, along
from loadgen.core.outcome import Outcome
from loadgen.core.pairs import PairSum
from loadgen.core.plan import Plan, Stage, Target
from loadgen.core.report import Accumulator, Closing, Slow, Totals, merged_closing
from loadgen.core.snapshot import (
    Assignment,
    Command,
    Delay,
    Failed,
    Finished,
    Snapshot,
    Started,
    decode,
    decode_assignment,
    decode_command,
    encode,
)
from loadgen.core.trust import Trust, TrustLevel

MS = 1_000_000
PLAN = Plan(
    targets=(Target(url="http://a/", body=b"\x00\xff"),), stages=(Stage(from_per_s=1, to_per_s=1, duration_s=9),)
)


def cell(count: int = 1, ms: int = 10, **changes: Any) -> Cell:
    fields: dict[str, Any] = {"arm": "stable", "version": "v1", "outcome": Outcome.OK, "status": 200} | changes
    return Cell(**fields, count=count, latency=[(bucket_of(ms * MS), count)])


def snapshot(**changes: Any) -> Snapshot:
    base = Snapshot(
        start_unix_s=1000.0, as_of_s=1.0, window_s=0.1, strata=(), closed_until=1, start_delay=Delay(), recent={},
        pairs=(), in_flight=1, connections=2, sent=10, completed=9, dropped=0, withheld=0, retried=0,
        bytes_received=100, asked_per_s=100.0, achieved_per_s=90.0, lag_s_max=0.001, cpu_share=0.1, trust=Trust(),
        breaker=BreakerState.CLOSED, is_evidence=True,
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


def written() -> Ledger:
    ledger = Ledger(("stable", "canary"), recent=8)
    ok = ledger.group("v1", Outcome.OK, 200)
    bad = ledger.group("v3", Outcome.HTTP_5XX, 500)
    dropped = ledger.group("", Outcome.DROPPED, 0)
    ledger.record(ledger.row(0, 0), ok, 10 * MS, 8 * MS)
    ledger.record(ledger.row(1, 0), bad, 20 * MS, 20 * MS)
    ledger.record(ledger.row(1, 1), dropped, 0, 0)
    return ledger


def test_what_was_written_is_handed_over_once() -> None:
    ledger = written()
    first, second = ledger.take()

    assert [(one.arm, one.version, one.outcome, one.count) for one in first.cells] == [
        ("stable", "v1", Outcome.OK, 1),
        ("canary", "v3", Outcome.HTTP_5XX, 1),
    ]
    assert second.cells[0].latency == []  # never sent
    assert ledger.take() == ()


def test_a_row_that_is_written_again_is_the_same_row() -> None:
    ledger = written()

    assert ledger.row(0, 0) is ledger.row(0, 0) is not ledger.row(0, 0, "other")


def test_closed_rows_are_forgotten_and_service_times_stay() -> None:
    ledger = written()
    ledger.closed_until = 1
    ledger.take()

    assert {stratum for _, stratum, _ in ledger._rows} == {1}
    assert ledger.services() == (Service(arm="stable", version="v1", latency=[(bucket_of(8 * MS), 1)]),)


def test_the_last_outcomes_come_in_order_and_once() -> None:
    ledger = written()

    assert ledger.take_recent() == {"stable": [(10_000, False)], "canary": [(20_000, True)]}
    assert ledger.take_recent() == {}
    assert ledger.failed(ledger.group("v3", Outcome.HTTP_5XX, 500))


def test_start_delays_are_handed_over_and_kept_for_the_end() -> None:
    ledger = written()
    ledger.start_delay[5] = 3

    assert ledger.take_start_delay() == [(5, 3)]
    assert ledger.take_start_delay() == []
    assert ledger.start_delays == {5: 3}


def test_versions_without_number_share_one_name() -> None:
    ledger = Ledger(("all",), recent=0)
    numbers = {ledger.group(f"v{number}", Outcome.OK, 200) for number in range(VERSIONS_MAX + 20)}

    assert len(numbers) == VERSIONS_MAX + 1
    assert ledger.group("v999", Outcome.OK, 200) == ledger.group(OTHER, Outcome.OK, 200)


def test_workers_are_added_up_across() -> None:
    one = snapshot(
        strata=(Stratum(index=0, cells=(cell(3), cell(1, outcome=Outcome.TIMEOUT))),), recent={"a": [(1, False)]}
    )
    other = snapshot(
        strata=(Stratum(index=0, cells=(cell(2, ms=20),)),), closed_until=0, as_of_s=1.1, recent={"a": [(2, True)]},
        breaker=BreakerState.OPEN, is_evidence=False, start_delay=Delay(p50_s=1, p99_s=2, max_s=3),
        pairs=(PairSum(arm="b", count=1),), trust=Trust(level=TrustLevel.INVALID, reasons=("late",)),
    )  # fmt: skip
    both = across((one, other))

    assert both.strata[0].cells[0].count == 5
    assert both.strata[0].cells[0].latency == [(bucket_of(10 * MS), 3), (bucket_of(20 * MS), 2)]
    assert (both.closed_until, both.as_of_s, both.sent, both.in_flight, both.asked_per_s) == (0, 1.1, 20, 2, 200)
    assert (both.breaker, both.is_evidence, both.trust.level) == (BreakerState.OPEN, False, TrustLevel.INVALID)
    assert (both.recent, both.start_delay.max_s, both.pairs[0].count) == ({"a": [(1, False), (2, True)]}, 3, 1)


def test_moments_are_added_up_along() -> None:
    first = snapshot(achieved_per_s=100.0, pairs=(PairSum(arm="b", count=1),))
    then = snapshot(achieved_per_s=50.0, as_of_s=1.3, window_s=0.3, in_flight=7, pairs=(PairSum(arm="b", count=2),))
    both = along(first, then)

    assert both.window_s == pytest.approx(0.4)
    assert (both.in_flight, both.sent) == (7, 20)
    assert both.achieved_per_s == pytest.approx(62.5)
    assert both.pairs[0].count == 3


def test_a_reader_who_does_not_read_loses_old_strata_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "STRATA_MAX", 2)
    strata = tuple(Stratum(index=index, cells=(cell(),)) for index in range(3))
    both = along(snapshot(strata=strata[:2]), snapshot(strata=strata[2:]))

    assert [stratum.index for stratum in both.strata] == [1, 2]
    assert both.trust.level is TrustLevel.DEGRADED


def test_tallies_group_by_arm_and_version() -> None:
    cells = (cell(3), cell(2, outcome=Outcome.HTTP_5XX, status=500), Cell(**vars_of(cell()), count=9, latency=[]))
    [tally] = snapshot(strata=(Stratum(index=0, cells=cells),)).tallies()

    assert (tally.completed, tally.failed, tally.failures) == (5, 2, {Outcome.HTTP_5XX: 2})
    assert tally.latency.count == 5


def vars_of(one: Cell) -> dict[str, Any]:
    return {"arm": one.arm, "version": one.version, "outcome": Outcome.DROPPED, "status": 0}


def report_of(*strata: Stratum, plan: Plan = PLAN) -> Any:
    books = Accumulator(plan)
    books.add(strata, (PairSum(arm="b", count=1),), closed_until=1)
    books.add((), (PairSum(arm="b", count=2),), closed_until=1)
    services = (Service(arm="stable", version="v1", latency=[(5, 2)]),)
    return books.report(Totals(start_unix_s=1.0, duration_s=2.0, services=services), Closing())


def test_a_report_keeps_totals_and_a_point_per_stratum_and_version() -> None:
    unsent = Cell(arm="stable", version="", outcome=Outcome.DROPPED, status=0, count=4, latency=[])
    report = report_of(
        Stratum(index=0, cells=(cell(3), unsent)),
        Stratum(index=1, cells=(cell(1, outcome=Outcome.TIMEOUT, status=0, ms=1000, version="v3"),)),
    )

    assert (report.completed, report.failed, report.error_share) == (4, 1, 0.25)
    assert [(point.at_s, point.version, point.count, point.failed) for point in report.points] == [
        (0, "v1", 3, 0),
        (1, "v3", 1, 1),
    ]
    assert report.points[1].p99_s == pytest.approx(1.0, rel=0.01)
    assert (report.response().count, report.response(version="v3").count, report.response(arm="x").count) == (4, 1, 0)
    assert (report.service().count, report.pairs[0].count) == (2, 3)
    assert report_of().error_share == 0.0


def test_the_warm_up_is_not_reported() -> None:
    plan = dataclasses.replace(PLAN, warmup_s=1.5)
    report = report_of(*(Stratum(index=index, cells=(cell(),)) for index in range(4)), plan=plan)

    assert report.completed == 2


def test_points_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadgen.core.report.POINTS_MAX", 1)

    assert len(report_of(*(Stratum(index=index, cells=(cell(),)) for index in range(4))).points) == 1


def test_closings_of_workers_are_added_up() -> None:
    slow = Slow(response_s=1.0, trace_id="a", arm="x", due_s=0.0)
    change = BreakerChange(at_s=2.0, state=BreakerState.OPEN, reason="r")
    closing = Closing(
        connect=[(5, 1)], sockets=(3,), connect_by_place=([(5, 1)],), addresses={"a": 1}, slowest=(slow,),
        breaker=(change,), cpu_s=0.5,
    )  # fmt: skip
    both = merged_closing((closing, dataclasses.replace(closing, interrupted=True)), (Trust(level=TrustLevel.INVALID),))

    assert (both.addresses, both.sockets, both.cpu_s, both.interrupted) == ({"a": 2}, (3, 3), 1.0, True)
    assert (both.connect, len(both.slowest), both.trust.level) == ([(5, 2)], 2, TrustLevel.INVALID)
    assert added_services([Service(arm="a", version="", latency=[(1, 1)])] * 2)[0].latency == [(1, 2)]


MESSAGES = [
    Started(start_unix_s=1.5, pid=7),
    snapshot(strata=(Stratum(index=0, cells=(cell(),)),), recent={"a": [(1, True)]}),
    Finished(report=report_of(Stratum(index=0, cells=(cell(),)))),
    Failed(kind="plan", message="no"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_comes_back_as_it_was(message: Any) -> None:
    line = encode(message)

    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(encode(decode(line))) == json.loads(line)


def test_assignments_and_commands_come_back_as_they_were() -> None:
    assignment = Assignment(plan=PLAN, index=1, of=2)

    assert decode_assignment(encode(assignment)) == assignment
    assert decode_command(encode(Command(command="rate", per_s=5.0))) == Command(command="rate", per_s=5.0)


class Colour(StrEnum):
    RED = "red"


@dataclasses.dataclass(frozen=True)
class Leaf:
    name: str = ""
    data: bytes = b""
    colour: Colour = Colour.RED
    pair: tuple[int, str] = (1, "a")
    maybe: float | None = None
    is_on: bool = False
    counts: dict[str, list[tuple[int, bool]]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name == "bad":
            raise ValueError("name is bad")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "Leaf: expected an object, got an array"),
        ({"nmae": ""}, "nmae: unknown key, expected one of colour"),
        ({"name": 5}, "name: expected a string, got a number"),
        ({"name": None}, "name: expected a string, got null"),
        ({"is_on": 1}, "is_on: expected a boolean"),
        ({"data": "!"}, "data: expected base64"),
        ({"data": 1}, "data: expected base64, got a number"),
        ({"colour": "blue"}, "colour: expected one of red, got 'blue'"),
        ({"pair": [1]}, "pair: expected 2 items, got 1"),
        ({"pair": {}}, "pair: expected an array, got an object"),
        ({"maybe": "x"}, "maybe: expected a number, got a string"),
        ({"counts": []}, "counts: expected an object"),
        ({"counts": {"a": [[1, "x"]]}}, r"counts.a\[0\]\[1\]: expected a boolean"),
        ({"name": "bad"}, "name is bad"),
    ],
)
def test_wrong_json_is_named_by_its_path(document: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(Leaf, document)


def test_whole_numbers_are_good_floats_and_everything_goes_there_and_back() -> None:
    leaf = Leaf(name="x", data=b"\x00", pair=(2, "b"), maybe=1.0, is_on=True, counts={"a": [(1, True)]})

    assert from_json(Leaf, to_json(leaf)) == leaf
    assert from_json(Leaf, {"maybe": 3}).maybe == 3.0
    assert from_json(Leaf, {"maybe": None}).maybe is None
    with pytest.raises(ValueError, match=r"^plan\.targets\[0\]\.url: "):
        decode_assignment(b'{"plan": {"targets": [{"url": 5}]}}')
    with pytest.raises(ValueError, match=r"^plan\.targets\[0\]: url: "):
        decode_assignment(b'{"plan": {"targets": [{"url": ""}]}}')


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"nonsense", "not JSON"),
        (b"[]", "expected an object"),
        (b'{"type": "odd"}', "unknown message 'odd'"),
        (b'{"type": "started"}', "missing"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_line_that_is_no_message_is_refused(line: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(line)


def test_a_command_or_share_that_means_nothing_is_refused() -> None:
    for command, per_s in (("dance", 0.0), ("rate", -1.0)):
        with pytest.raises(ValueError, match="command|per_s"):
            Command(command=command, per_s=per_s)
    with pytest.raises(ValueError, match="index < of"):
        Assignment(plan=PLAN, index=2, of=2)


def test_an_empty_histogram_is_an_empty_list() -> None:
    assert Histogram().sparse() == []
