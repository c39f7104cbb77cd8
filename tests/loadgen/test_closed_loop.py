"""The closed loop over real sockets: as many calls as asked for, split as fortio splits them."""

import threading
from typing import Any

import pytest

from loadgen.core.outcome import Outcome
from loadgen.core.plan import Target
from loadgen.engine import Engine
from tests.loadgen.core.plans import TWO_ARMS, closed, steady
from tests.loadgen.runs import run
from tests.loadgen.servers import Answers, Server, read_request


@pytest.mark.parametrize(("requests", "connections", "split"), [(20, 3, [6, 6, 8]), (6, 3, [2, 2, 2]), (5, 1, [5])])
def test_an_even_split_gives_the_first_connection_the_rest(requests: int, connections: int, split: list[int]) -> None:
    answers = Answers()
    with Server(answers) as server:
        found = run(closed(requests, url=server.url, connections=connections, even_split=True))
    assert sorted(answers.calls) == split
    assert found.outcomes == {Outcome.OK: requests}


def test_more_connections_than_requests_is_no_harm() -> None:
    with Server(Answers()) as server:
        assert run(closed(2, url=server.url, connections=8)).outcomes == {Outcome.OK: 2}


@pytest.mark.parametrize("fields", [{"trace": False}, {"trace": True}, {"trace": False, "arms": TWO_ARMS}])
def test_it_goes_on_until_its_time_is_over_and_counts_what_the_server_counted(fields: dict[str, Any]) -> None:
    answers = Answers()
    with Server(answers) as server:
        found = run(steady(1, 0.3, url=server.url, closed=True, connections=4, stratum_s=0.1, **fields))
    assert found.outcomes[Outcome.OK] == found.report.sent == len(answers.asked) > 50
    assert found.report.duration_s == pytest.approx(0.3, abs=0.2)
    assert {point.at_s for point in found.report.points} >= {0.0, 0.1, 0.2}


def test_the_slowest_requests_can_be_looked_up() -> None:
    with Server(Answers()) as server:
        found = run(closed(30, url=server.url, connections=2))
    assert len(found.report.closing.slowest) == 10
    assert all(len(slow.trace_id) == 32 for slow in found.report.closing.slowest)


def test_targets_take_turns_by_weight() -> None:
    one, other = Answers(), Answers()
    with Server(one) as first, Server(other) as second:
        targets = (Target(url=first.url), Target(url=second.url))
        found = run(closed(200, targets=targets, connections=2))
    assert found.outcomes == {Outcome.OK: 200}
    assert len(one.asked) + len(other.asked) == 200
    assert len(one.asked) > 20 < len(other.asked)


def test_a_stop_ends_it() -> None:
    def stop(engine: Engine, _: Any) -> None:
        engine.stop()
        engine.stop()
        engine.set_rate(5)

    with Server(Answers()) as server:
        found = run(steady(1, 60, url=server.url, closed=True, connections=2), during=stop)
    assert found.report.duration_s < 2
    assert found.report.closing.interrupted
    assert set(found.outcomes) == {Outcome.OK}


def test_a_target_that_is_down_is_not_hammered() -> None:
    found = run(steady(1, 1.5, url="http://127.0.0.1:1/", closed=True, connections=2, breaker=True))
    assert [change.state for change in found.report.closing.breaker] == ["open"]
    assert found.snapshots[-1].sent == 0


def test_its_rate_is_whatever_it_is() -> None:
    with Server(Answers()) as server:
        found = run(closed(5, url=server.url))
    assert {snapshot.asked_per_s for snapshot in found.snapshots} == {0.0}


def test_a_server_that_is_slow_slows_it_down() -> None:
    pause = threading.Event()

    def talk(connection: Any) -> None:
        while True:
            read_request(connection)
            pause.wait(0.02)
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with Server(talk) as server:
        found = run(steady(1, 0.3, url=server.url, closed=True, connections=2))
    assert found.report.sent <= 2 * 0.3 / 0.02 + 4
    assert found.report.services == ()
