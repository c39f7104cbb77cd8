"""A worker as its parent sees it: lines in, lines out, an exit code, and never an orphan."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from loadgen.core.merge import added_strata
from loadgen.core.plan import Plan
from loadgen.core.snapshot import Assignment, Command, Failed, Finished, Message, Snapshot, Started, decode, encode
from loadgen.worker import Exit
from tests.loadgen.core.plans import closed, steady
from tests.loadgen.servers import Answers, Server

Process = subprocess.Popen[bytes]


@contextlib.contextmanager
def worker(first_line: bytes) -> Iterator[Process]:
    process = subprocess.Popen(
        [sys.executable, "-m", "loadgen", "worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        tell(process, first_line)
        yield process
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()
        process.wait()


def tell(process: Process, line: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def said(process: Process) -> list[Message]:
    assert process.stdout is not None
    return [decode(line) for line in process.stdout]


def assigned(plan: Plan, **fields: Any) -> bytes:
    return encode(Assignment(plan=plan, **fields))


def test_it_says_when_it_started_what_it_saw_and_how_it_ended() -> None:
    with Server(Answers()) as server, worker(assigned(steady(200, 0.3, url=server.url))) as process:
        messages = said(process)
        assert process.wait(timeout=5) == Exit.OK
    started, *snapshots, finished = messages
    assert isinstance(started, Started)
    assert started.pid == process.pid
    assert abs(started.start_unix_s - time.time()) < 10
    assert isinstance(finished, Finished)
    assert finished.report.sent == 60
    assert sum(one.sent for one in snapshots if isinstance(one, Snapshot)) == 60


@pytest.mark.parametrize(
    ("line", "kind", "word"),
    [
        (b"nonsense\n", "plan", "not JSON"),
        (b"{}\n", "plan", "plan"),
        (assigned(steady(url="http://169.254.169.254/")), "plan", "never loaded"),
        (assigned(steady(url="http://8.8.8.8/")), "plan", "--i-own-this"),
        (assigned(steady(9999, url="http://10.0.0.1/")), "plan", "rate"),
        (assigned(steady(url="http://no-such-host.invalid/")), "world", "no-such-host.invalid"),
    ],
)
def test_what_it_will_not_do_it_refuses_with_a_reason(line: bytes, kind: str, word: str) -> None:
    with worker(line) as process:
        (message,) = said(process)
        assert process.wait(timeout=5) == Exit.REFUSED
    assert isinstance(message, Failed)
    assert message.kind == kind
    assert word in message.message


def test_it_dies_with_its_parent() -> None:
    with Server(Answers()) as server, worker(assigned(steady(50, 60, url=server.url))) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        process.stdin.close()
        begin = time.monotonic()
        assert process.wait(timeout=5) == Exit.ORPHANED
        assert time.monotonic() - begin < 1


@pytest.mark.parametrize("how", ["command", "signal", "early command"])
def test_a_stop_ends_it_with_its_report(how: str) -> None:
    plan = assigned(steady(50, 60, url="http://x/", connections=2, warm_connections=0))
    with Server(Answers()) as server:
        line = plan.replace(b"http://x/", server.url.encode())
        stop = encode(Command(command="stop"))
        with worker(line + stop if how == "early command" else line) as process:
            assert process.stdout is not None
            process.stdout.readline()
            if how == "command":
                tell(process, b"{}\n" + stop)
            elif how == "signal":
                process.send_signal(signal.SIGTERM)
            *_, finished = said(process)
            assert process.wait(timeout=5) == Exit.OK
    assert isinstance(finished, Finished)
    assert finished.report.closing.interrupted
    assert finished.report.duration_s < 5


def test_it_leaves_ctrl_c_to_its_parent() -> None:
    with Server(Answers()) as server, worker(assigned(steady(50, 0.3, url=server.url))) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert isinstance(said(process)[-1], Finished)


def test_a_command_changes_the_rate() -> None:
    with Server(Answers()) as server, worker(assigned(steady(1, 0.6, url=server.url))) as process:
        tell(process, encode(Command(command="rate", per_s=500.0)))
        finished = said(process)[-1]
    assert isinstance(finished, Finished)
    assert finished.report.sent > 100


def test_a_reader_that_pauses_loses_nothing_and_the_schedule_is_kept() -> None:
    """The pipe is full after some snapshots; those after it are added up until it is read again."""
    plan = steady(1000, 1.2, url="http://127.0.0.1:1/", breaker=False, snapshot_s=0.01, stratum_s=0.01, connections=2)
    read_end, write_end = os.pipe()
    with contextlib.suppress(OSError):
        import fcntl

        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
    process = subprocess.Popen([sys.executable, "-m", "loadgen", "worker"], stdin=subprocess.PIPE, stdout=write_end)
    os.close(write_end)
    try:
        tell(process, assigned(plan))
        time.sleep(1.0)
        with os.fdopen(read_end, "rb") as output:
            messages = [decode(line) for line in output]
    finally:
        process.kill()
        process.communicate()
    snapshots = [message for message in messages if isinstance(message, Snapshot)]
    finished = messages[-1]
    assert isinstance(finished, Finished)
    assert finished.report.sent == 1200
    counted = added_strata(stratum for snapshot in snapshots for stratum in snapshot.strata)
    assert sum(cell.count for stratum in counted for cell in stratum.cells) == 1200
    assert max(snapshot.window_s for snapshot in snapshots) > 0.1
    assert finished.report.duration_s < 1.6


def test_workers_share_a_plan_without_a_gap() -> None:
    answers = Answers()
    with Server(answers) as server:
        for index in range(3):
            with worker(assigned(closed(20, url=server.url, connections=4), index=index, of=3)) as process:
                assert isinstance(said(process)[-1], Finished)
    assert len(answers.asked) == 20


def test_standard_input_may_be_a_file(tmp_path: Any) -> None:
    with Server(Answers()) as server:
        file = tmp_path / "plan.json"
        file.write_bytes(assigned(closed(5, url=server.url)))
        with file.open("rb") as stdin:
            done = subprocess.run(
                [sys.executable, "-m", "loadgen", "worker"], stdin=stdin, capture_output=True, check=True, timeout=10
            )
    assert json.loads(done.stdout.splitlines()[-1])["type"] == "finished"
