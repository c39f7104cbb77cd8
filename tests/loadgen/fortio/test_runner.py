"""fortio's calls over real sockets: how many, on which connections, when."""

import threading
import time
from typing import Any

import pytest

from loadgen.fortio.options import options_of
from loadgen.fortio.runner import AbortedError, Runner, Shape, shape_of
from tests.loadgen.servers import OK, Answers, Server, read_request

BAD = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
TEAPOT = b"HTTP/1.1 418 I'm a teapot\r\ncontent-length: 0\r\n\r\n"


def ran(url: str, *flags: str) -> Runner:
    options = options_of([*flags, url])
    runner = Runner(options, shape_of(options))
    runner.run()
    return runner


def codes(runner: Runner) -> dict[int, int]:
    found: dict[int, int] = {}
    for thread in runner.threads:
        for code, count in thread.codes.items():
            found[code] = found.get(code, 0) + count
    return found


def shape(*flags: str) -> Shape:
    return shape_of(options_of([*flags, "http://x/"]))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("-c 3 -qps 0 -n 20", Shape(threads=3, calls=(8, 6, 6), qps=0, duration_s=0)),
        ("-c 2 -qps 0 -t 3s", Shape(threads=2, calls=(0, 0), qps=0, duration_s=3)),
        ("-c 4 -qps 8", Shape(threads=4, calls=(10,) * 4, qps=8, duration_s=5)),
        ("-c 4 -qps 8 -n 10", Shape(threads=4, calls=(4, 2, 2, 2), qps=8, duration_s=0)),
        ("-c 10 -qps 8 -n 6", Shape(threads=3, calls=(2, 2, 2), qps=8, duration_s=0)),
        ("-c 4 -qps 0.1 -t 1s", Shape(threads=1, calls=(2,), qps=0.1, duration_s=1)),
        ("-c 2 -n 20 -t 10s -calc-qps", Shape(threads=2, calls=(10, 10), qps=2, duration_s=0)),
        ("-c 2 -qps 5 -t 0s", Shape(threads=2, calls=(0, 0), qps=5, duration_s=0)),
    ],
)
def test_calls_are_spread_as_fortio_spreads_them(flags: str, expected: Shape) -> None:
    assert shape(*flags.split()) == expected


def test_a_rate_to_be_worked_out_needs_both() -> None:
    with pytest.raises(ValueError, match="-calc-qps"):
        shape("-calc-qps", "-t", "5s")


def test_the_tutorials_load_makes_exactly_its_calls_on_exactly_its_connections() -> None:
    answers = Answers()
    with Server(answers) as server:
        runner = ran(server.url, "-c", "3", "-qps", "0", "-n", "20")
    assert sorted(answers.calls) == [6, 6, 8]
    assert codes(runner) == {200: 20}
    assert [len(thread.connects) for thread in runner.threads] == [1, 1, 1]
    assert {len(answers.asked), sum(thread.calls for thread in runner.threads)} == {20}
    assert {thread.sizes[0] - thread.header_sizes[0] for thread in runner.threads} == {5}


def test_after_every_bad_response_a_new_connection_is_opened() -> None:
    """What makes the tutorial's circuit breaker trip as it does."""
    with Server(Answers(OK, BAD, OK, BAD, TEAPOT, OK)) as server:
        runner = ran(server.url, "-c", "1", "-qps", "0", "-n", "6")
    (thread,) = runner.threads
    assert codes(runner) == {200: 3, 503: 2, 418: 1}
    assert len(thread.connects) == 3
    assert [good for _, good in thread.latencies] == [True, False, True, False, True, True]
    assert thread.header_sizes.count(0) == 2
    assert thread.warnings[0] == (503, 0, "HTTP/1.1 503 Service Unavailable")


def test_whatever_goes_wrong_below_http_is_minus_one() -> None:
    assert codes(ran("http://127.0.0.1:1/", "-c", "2", "-qps", "0", "-n", "4")) == {-1: 4}


def test_one_dead_idle_connection_is_tried_again_without_a_word() -> None:
    def once_each(connection: Any) -> None:
        read_request(connection)
        connection.sendall(OK)

    with Server(once_each) as server:
        runner = ran(server.url, "-c", "1", "-qps", "0", "-n", "5")
    assert codes(runner) == {200: 5}
    assert len(runner.threads[0].connects) == 5


def test_a_warm_up_that_fails_ends_the_run_before_it_begins() -> None:
    with Server(Answers(BAD)) as server:
        with pytest.raises(AbortedError, match="Aborting because of error 503 for http"):
            ran(server.url, "-c", "2", "-qps", "0", "-t", "1s")
        patient = ran(server.url, "-c", "2", "-qps", "0", "-t", "50ms", "-allow-initial-errors", "-sequential-warmup")
    assert patient.warmed == 2
    assert set(codes(patient)) == {503}


def test_a_paced_run_makes_its_calls_at_its_rate() -> None:
    answers = Answers()
    with Server(answers) as server:
        runner = ran(server.url, "-c", "2", "-qps", "40", "-t", "500ms")
    assert codes(runner) == {200: 20}
    assert len(answers.asked) == 22  # and a warm-up for each connection
    assert 0.45 <= runner.duration_ns / 1e9 <= 1.0
    assert all(len(thread.sleeps) == 9 for thread in runner.threads)


@pytest.mark.parametrize("flags", [("-uniform",), ("-jitter",), ("-connection-reuse", "2:3")])
def test_the_pace_may_be_loosened_and_connections_may_be_short(flags: tuple[str, ...]) -> None:
    with Server(Answers()) as server:
        runner = ran(server.url, "-c", "2", "-qps", "100", "-n", "20", *flags)
    assert codes(runner) == {200: 20}
    assert (server.accepted > 4) is ("-connection-reuse" in flags)


@pytest.mark.parametrize("flag", [(), ("-nocatchup",)])
def test_a_thread_that_is_late_catches_up_unless_told_not_to(flag: tuple[str, ...]) -> None:
    times: list[int] = []

    def slow_once(connection: Any) -> None:
        while True:
            read_request(connection)
            times.append(1)
            if len(times) == 1:
                time.sleep(0.2)
            connection.sendall(OK)

    with Server(slow_once) as server:
        runner = ran(server.url, "-c", "1", "-qps", "50", "-n", "20", *flag)
    assert (sum(codes(runner).values()) == 20) is (not flag)
    assert any(sleep < 0 for sleep in runner.threads[0].sleeps) is (not flag)


def test_a_code_may_end_the_run() -> None:
    with Server(Answers(OK, OK, BAD)) as server:
        runner = ran(server.url, "-c", "1", "-qps", "0", "-n", "50", "-abort-on", "503")
    assert codes(runner) == {200: 2, 503: 1}


def test_a_run_can_be_stopped() -> None:
    with Server(Answers()) as server:
        options = options_of(["-c", "1", "-qps", "5", "-t", "0s", server.url])
        runner = Runner(options, shape_of(options))
        threading.Timer(0.3, runner.stopped.set).start()
        runner.run()
    assert 1 <= codes(runner)[200] <= 4


def test_beyond_this_machine_the_limits_hold() -> None:
    from loadgen.core.limits import NotAllowedError

    options = options_of(["-qps", "9000", "http://10.1.2.3/"])
    with pytest.raises(NotAllowedError, match="rate"):
        Runner(options, shape_of(options))
