"""Child processes: ready when they say so, gone when they must be, with their last words on record."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from rollout.child import READY_LINE_BYTES_MAX, Child, ChildFailed, free_ports

SHELL = shutil.which("sh") or "/bin/sh"
Start = Callable[..., Awaitable[Child]]
DEAF = 'trap "" TERM; echo ready; while :; do sleep 0.05; done'


@pytest_asyncio.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts shell scripts, and ends what still runs."""
    started: list[Child] = []

    async def start(script: str, **environment: str) -> Child:
        command = [SHELL, "-c", script]
        child = await Child.start(command, tmp_path / "child.log", name="worker", environment=environment)
        started.append(child)
        return child

    yield start
    for child in started:
        await child.stop(grace_s=0.0)


@pytest.mark.asyncio
async def test_the_ready_line_is_its_first_line_and_its_stderr_goes_to_the_log(start: Start) -> None:
    child = await start('echo trouble >&2; echo "$GREETING"; echo more; exec sleep 30', GREETING="here I am")

    assert await child.ready_line(5) == "here I am"
    assert await child.ready_line(5) == "more"
    assert child.log.read_text() == "trouble\n"


@pytest.mark.asyncio
async def test_it_has_our_environment_no_stdin_and_a_session_of_its_own(start: Start) -> None:
    child = await start('read -r line || echo "$HOME $$"; exec sleep 30')

    home, _, pid = (await child.ready_line(5)).rpartition(" ")

    assert home == os.environ.get("HOME", "")
    assert int(pid) == child.pid
    assert os.getsid(child.pid) == child.pid  # so a terminal's Ctrl-C does not reach it


@pytest.mark.asyncio
async def test_one_that_ends_early_says_how_and_with_which_words(start: Start) -> None:
    child = await start("for n in 1 2 3 4 5 6; do echo line $n >&2; done; exit 3")

    with pytest.raises(ChildFailed) as caught:
        await child.ready_line(5)

    assert str(caught.value).startswith("worker ended with 3; its log ends:\n  line 2\n")
    assert str(caught.value).endswith("line 6")
    assert child.exit_code == 3


@pytest.mark.asyncio
async def test_one_that_stays_silent_is_not_ready(start: Start, tmp_path: Path) -> None:
    child = await start("exec sleep 30")

    with pytest.raises(ChildFailed, match=r"worker was not ready within 0\.05 s \(its log is empty: .*child\.log\)"):
        await child.ready_line(0.05)
    assert child.exit_code is None


@pytest.mark.asyncio
async def test_one_that_chatters_without_a_line_is_not_ready(start: Start) -> None:
    child = await start(f"head -c {3 * READY_LINE_BYTES_MAX} /dev/zero; exec sleep 30")

    with pytest.raises(ChildFailed, match="worker .* no line"):
        await child.ready_line(5)


@pytest.mark.asyncio
async def test_it_is_stopped_politely(start: Start) -> None:
    child = await start("trap 'echo bye >&2; exit 7' TERM; echo ready; while :; do sleep 0.01; done")
    await child.ready_line(5)

    await child.stop()

    assert child.exit_code == 7
    assert "bye" in child.last_words()


@pytest.mark.asyncio
async def test_one_that_will_not_listen_is_stopped_by_force(start: Start) -> None:
    child = await start(DEAF)
    await child.ready_line(5)

    await child.stop(grace_s=0.1)

    assert child.exit_code == -signal.SIGKILL


@pytest.mark.asyncio
async def test_one_whose_pipe_is_full_can_be_stopped_and_waited_for(start: Start) -> None:
    full = await start("head -c 1000000 /dev/zero; exec sleep 30")
    done = await start("head -c 1000000 /dev/zero")

    assert await done.wait() == 0  # what it prints is thrown away
    async with asyncio.timeout(2):
        await full.stop(grace_s=60)
    assert full.exit_code == -signal.SIGTERM


@pytest.mark.asyncio
async def test_one_whose_own_children_hold_the_pipe_can_be_stopped(start: Start) -> None:
    child = await start("sleep 60 & echo ready; wait")
    await child.ready_line(5)

    try:
        async with asyncio.timeout(2):
            await child.stop(grace_s=60)
    finally:
        os.killpg(child.pid, signal.SIGKILL)

    assert child.exit_code == -signal.SIGTERM


@pytest.mark.asyncio
async def test_stopping_or_signalling_one_that_has_ended_is_nothing(start: Start) -> None:
    child = await start("exit 0")
    assert await child.wait() == 0

    child.signal(signal.SIGKILL)
    await child.stop()

    assert child.exit_code == 0


@pytest.mark.asyncio
async def test_a_program_that_is_not_there_ends_at_once_and_is_named(tmp_path: Path) -> None:
    child = await Child.start(["/no/such/program"], tmp_path / "log", name="worker")

    with pytest.raises(ChildFailed, match="/no/such/program|No such file"):
        await child.ready_line(5)


PARENT = """
import asyncio, sys
from pathlib import Path
from rollout.child import Child

async def main():
    child = await Child.start([sys.argv[1], "-c", "echo ready; sleep 60"], Path(sys.argv[2]), name="orphan")
    await child.ready_line(10)
    print(child.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal at a parent's death is Linux's")
def test_it_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, SHELL, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        orphan = int(parent.stdout.readline())
        assert is_alive(orphan)
        parent.kill()

    for _ in range(500):
        if not is_alive(orphan):
            break
        time.sleep(0.01)
    assert not is_alive(orphan)


def is_alive(pid: int) -> bool:
    """Whether it runs; one that has ended and was not yet buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def test_free_ports_are_different_and_free() -> None:
    ports = free_ports(5)

    assert len(set(ports)) == 5
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()
    assert free_ports(0) == []


@pytest.mark.asyncio
async def test_a_cancelled_wait_leaves_the_child_running(start: Start) -> None:
    child = await start("echo ready; exec sleep 30")
    await child.ready_line(5)
    waiting = asyncio.create_task(child.wait())
    await asyncio.sleep(0)

    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert child.exit_code is None
