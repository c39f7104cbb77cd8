import os
from collections.abc import Iterator

import pytest

from loadgen.transport.clock import now_ns
from loadgen.transport.poller import READ, WRITE, EpollPoller, Poller, SelectPoller, best_poller

MS = 1_000_000


@pytest.fixture(params=[EpollPoller, SelectPoller])
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    made: Poller = request.param()
    yield made
    made.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def waited_ns(poller: Poller) -> int:
    begin = now_ns()
    poller.poll()
    return now_ns() - begin


def test_it_wakes_when_it_is_time_and_not_before(poller: Poller) -> None:
    due = now_ns() + 30 * MS
    poller.wake_at(due)
    poller.poll()
    assert due <= now_ns() < due + 170 * MS


def test_a_time_that_has_passed_does_not_wait(poller: Poller) -> None:
    poller.wake_at(now_ns() - MS)
    assert waited_ns(poller) < 20 * MS
    poller.wake_at(0)
    assert waited_ns(poller) < 20 * MS


def test_only_the_last_time_counts(poller: Poller) -> None:
    poller.wake_at(now_ns() + MS)
    poller.poll()
    later = now_ns() + 30 * MS
    poller.wake_at(later)
    poller.wake_at(later)
    assert waited_ns(poller) >= 25 * MS


def test_a_descriptor_that_is_ready_is_told(poller: Poller, pipe: tuple[int, int]) -> None:
    read_end, write_end = pipe
    poller.register(read_end, READ)
    poller.register(write_end, WRITE)
    poller.wake_at(now_ns() + 1000 * MS)
    assert [fd for fd, _ in poller.poll()] == [write_end]
    os.write(write_end, b"x")
    poller.unregister(write_end)
    assert [fd for fd, _ in poller.poll_nowait()] == [read_end]
    os.read(read_end, 1)
    assert poller.poll_nowait() == []


def test_a_descriptor_may_be_watched_for_something_else(poller: Poller, pipe: tuple[int, int]) -> None:
    _, write_end = pipe
    poller.register(write_end, READ)
    assert poller.poll_nowait() == []
    poller.modify(write_end, READ | WRITE)
    assert [fd for fd, _ in poller.poll_nowait()] == [write_end]


def test_on_linux_the_precise_one_is_the_best() -> None:
    poller = best_poller()
    assert isinstance(poller, EpollPoller)
    poller.close()
