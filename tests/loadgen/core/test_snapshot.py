import json

import pytest

from loadgen.core.histogram import Histogram
from loadgen.core.outcome import Outcome
from loadgen.core.report import Accumulator, Closing, Totals
from loadgen.core.snapshot import (
    Assignment,
    Command,
    Failed,
    Finished,
    Message,
    Started,
    decode,
    decode_assignment,
    decode_command,
    encode,
)
from tests.loadgen.core.plans import steady
from tests.loadgen.core.snapshots import cell, snapshot, stratum

REPORT = Accumulator(steady()).report(Totals(start_unix_s=5.0, duration_s=1.0), Closing())


@pytest.mark.parametrize(
    "message",
    [
        Started(start_unix_s=1.5, pid=7),
        snapshot(stratum(3, cell(Outcome.OK, 1, 2)), recent={"stable": [(10, True)]}),
        Finished(report=REPORT),
        Failed(kind="plan", message="no"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_is_one_line_and_comes_back_as_it_went(message: Message) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode(line) == message


def test_what_a_worker_is_told_comes_back_as_it_went() -> None:
    assignment = Assignment(plan=steady(), index=1, of=3, start_monotonic_ns=99)
    assert decode_assignment(encode(assignment)) == assignment
    assert decode_command(encode(Command(command="rate", per_s=50.0))) == Command(command="rate", per_s=50.0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "expected an object, got an array"),
        (b"{}", "unknown message None"),
        (b'{"type": "shout"}', "unknown message 'shout'"),
        (b'{"type": "started", "pid": 1}', "start_unix_s"),
        (b'{"type": "failed", "kind": "x", "message": 1}', "message: expected a string"),
    ],
)
def test_a_line_that_is_no_message_is_refused(line: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(line)


def test_shares_and_commands_are_checked() -> None:
    with pytest.raises(ValueError, match="index < of"):
        Assignment(plan=steady(), index=2, of=2)
    with pytest.raises(ValueError, match="expected stop or rate"):
        Command(command="fly")
    with pytest.raises(ValueError, match="per_s"):
        Command(command="rate", per_s=-1.0)


def test_a_tally_adds_up_by_arm_and_version_whatever_the_stratum() -> None:
    tallies = snapshot(
        stratum(0, cell(Outcome.OK, 1, 2), cell(Outcome.TIMEOUT, 9, 9), cell(Outcome.DROPPED, 0, version="")),
        stratum(1, cell(Outcome.OK, 3), cell(Outcome.TIMEOUT, 9), cell(Outcome.OK, 5, arm="canary", version="v3")),
    ).tallies()
    assert [(tally.arm, tally.version, tally.completed, tally.failed) for tally in tallies] == [
        ("canary", "v3", 1, 0),
        ("stable", "v1", 6, 3),
    ]
    assert tallies[1].failures == {Outcome.TIMEOUT: 3}
    assert isinstance(tallies[1].latency, Histogram)
    assert tallies[1].latency.count == 6


def test_a_line_has_no_spaces_to_spare() -> None:
    assert b": " not in encode(Started(start_unix_s=1.5, pid=7))
    assert json.loads(encode(Started(start_unix_s=1.5, pid=7)))["type"] == "started"
