"""The open loop over real sockets: what is due is sent or counted, and measured from when it was due."""

import math
import threading
from collections.abc import Callable
from typing import Any

import pytest

from loadgen.core.breaker import BreakerState
from loadgen.core.outcome import Outcome
from loadgen.core.pairs import NOISE
from loadgen.core.plan import Arm, Arrivals, Late, Pace, Plan, Stage, Target
from loadgen.core.snapshot import Snapshot
from loadgen.core.trust import TrustLevel
from loadgen.engine import Engine
from tests.loadgen.core.plans import TWO_ARMS, steady
from tests.loadgen.runs import Run, run
from tests.loadgen.servers import OK, Answers, Server, read_request, received


class Gate:
    """Answers while it is open."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()

    def __call__(self, connection: Any) -> None:
        while True:
            read_request(connection)
            self.open.wait(5)
            connection.sendall(OK)

    def stall(self, after_s: float, for_s: float) -> Callable[[Engine, Snapshot], None]:
        """Shut it once, at a time of the run."""
        stalls = [for_s]

        def during(_: Engine, snapshot: Snapshot) -> None:
            if snapshot.as_of_s >= after_s and stalls:
                self.open.clear()
                threading.Timer(stalls.pop(), self.open.set).start()

        return during


@pytest.mark.parametrize("pace", list(Pace))
@pytest.mark.parametrize("arrivals", list(Arrivals))
def test_every_request_that_is_due_is_sent_at_any_pace(pace: Pace, arrivals: Arrivals) -> None:
    answers = Answers()
    with Server(answers) as server:
        found = run(steady(300, 0.3, url=server.url, pace=pace, arrivals=arrivals, connections=8))
    assert found.outcomes[Outcome.OK] == found.report.sent == len(answers.asked)
    assert found.report.sent == pytest.approx(90, abs=0 if arrivals is Arrivals.CONSTANT else 35)
    assert found.report.duration_s == pytest.approx(0.3, abs=0.2)


def test_stages_follow_each_other() -> None:
    stages = (Stage(from_per_s=0, to_per_s=400, duration_s=0.2), Stage(from_per_s=100, to_per_s=100, duration_s=0.2))
    with Server(Answers()) as server:
        found = run(Plan(targets=(Target(url=server.url),), stages=stages))
    assert found.outcomes == {Outcome.OK: 60}


def test_a_number_of_requests_ends_the_run_early() -> None:
    with Server(Answers()) as server:
        found = run(steady(100, 60, url=server.url, requests=10))
    assert found.outcomes == {Outcome.OK: 10}
    assert found.report.duration_s < 2


def test_a_stall_is_seen_by_everybody_who_arrived_in_it() -> None:
    """Arrivals in a stall of T wait U(0, T); when they are the share f of all, p99 = T (1 - 0.01 / f)."""
    gate = Gate()
    with Server(gate) as server:
        found = run(steady(200, 1.5, url=server.url, connections=4), during=gate.stall(0.6, 0.3))
    response, service = found.report.response(), found.report.service()
    expected_s = 0.3 * (1 - 0.01 / (0.3 / 1.5))
    assert found.outcomes == {Outcome.OK: 300}
    assert response.quantile_s(0.99) == pytest.approx(expected_s, rel=0.12)
    assert service.quantile_s(0.95) < 0.1  # type: ignore[operator]  # from the actual send the stall hardly exists


def test_when_everything_is_busy_late_requests_may_be_dropped_and_are_counted() -> None:
    gate = Gate()
    with Server(gate) as server:
        found = run(steady(100, 0.6, url=server.url, connections=2, late=Late.SKIP), during=gate.stall(0.2, 0.3))
    assert found.report.dropped == found.outcomes[Outcome.DROPPED] > 15
    assert found.outcomes[Outcome.OK] + found.report.dropped == 60
    assert found.report.closing.trust.level is not TrustLevel.OK


def test_a_request_that_waits_too_long_for_a_connection_is_dropped() -> None:
    gate = Gate()
    gate.open.clear()
    with Server(gate) as server:
        found = run(steady(100, 0.3, url=server.url, connections=1, timeout_s=0.1))
        gate.open.set()
    assert found.outcomes[Outcome.TIMEOUT] >= 2
    assert found.outcomes[Outcome.TIMEOUT] + found.outcomes[Outcome.DROPPED] == 30
    assert found.report.response().min_s() >= 0.099  # type: ignore[operator]


def test_what_is_in_flight_at_the_end_lasted_at_least_its_age() -> None:
    gate = Gate()
    gate.open.clear()

    def stop(engine: Engine, _: Any) -> None:
        engine.stop()

    with Server(gate) as server:
        found = run(steady(100, 60, url=server.url, connections=2, timeout_s=30.0, requests=1000), during=stop)
        gate.open.set()
    assert found.outcomes[Outcome.UNFINISHED] == 2
    assert found.outcomes[Outcome.DROPPED] >= 1
    assert found.report.response().min_s() >= 0.9  # type: ignore[operator]
    assert found.report.duration_s < 3
    assert found.report.closing.interrupted


def test_arms_are_split_exactly_and_targets_by_weight() -> None:
    with Server(Answers()) as one, Server(Answers()) as other:
        targets = (Target(url=one.url, weight=3), Target(url=other.url))
        found = run(steady(400, 0.5, targets=targets, arms=TWO_ARMS))
        assert found.versions == {("stable", "v1"): 150, ("canary", "v1"): 50}
    assert found.report.closing.addresses.keys() == {f"127.0.0.1:{server.port}" for server in (one, other)}


# ---- pairs


def paired(**fields: Any) -> Run:
    def talk(connection: Any) -> None:
        pause = threading.Event()
        while True:
            request = read_request(connection)
            if b"x-rollout-version: v3" in request:
                pause.wait(0.01)
            connection.sendall(OK)

    with Server(talk) as server:
        return run(steady(100, 0.5, url=server.url, arms=TWO_ARMS, pairing=True, **fields))


def test_a_pair_is_due_at_one_time_and_the_slower_arm_is_seen_in_the_ratio() -> None:
    found = paired()
    (pairs,) = found.report.pairs
    assert (pairs.arm, pairs.count, pairs.broken) == ("canary", 50, 0)
    assert pairs.slower > 45
    assert math.exp(pairs.log_ratio / pairs.count) > 3
    assert found.report.sent == 100


def test_a_share_of_the_pairs_shows_the_noise() -> None:
    found = paired(noise_share=0.4)
    noise, canary = sorted(found.report.pairs, key=lambda pair: pair.arm != NOISE)
    assert noise.arm == NOISE
    assert noise.count + canary.count == 50
    assert 10 <= noise.count <= 30
    assert abs(noise.log_ratio / noise.count) < math.log(2.5)


def test_a_pair_of_which_one_side_was_never_sent_is_broken() -> None:
    gate = Gate()
    with Server(gate) as server:
        found = run(
            steady(50, 0.4, url=server.url, arms=TWO_ARMS, pairing=True, connections=2, late=Late.SKIP),
            during=gate.stall(0.1, 0.2),
        )
    (pairs,) = found.report.pairs
    assert pairs.broken > 3
    assert pairs.broken + pairs.count == 20


# ---- changing the rate


def changed(per_s: float, *, at_s: float, plan: Plan, times: int = 1) -> Run:
    left = [times]

    def change(engine: Engine, snapshot: Any) -> None:
        if snapshot.as_of_s >= at_s and left[0]:
            left[0] -= 1
            engine.set_rate(per_s)

    return run(plan, during=change)


def test_a_new_rate_counts_from_now_on() -> None:
    with Server(Answers()) as server:
        found = changed(400, at_s=0.25, plan=steady(20, 0.8, url=server.url))
    assert found.report.sent == pytest.approx(0.3 * 20 + 0.5 * 400, rel=0.15)
    assert found.snapshots[-2].asked_per_s == 400


def test_setting_the_rate_again_and_again_changes_nothing() -> None:
    with Server(Answers()) as server:
        found = changed(10, at_s=0.0, plan=steady(10, 1.0, url=server.url, snapshot_s=0.02), times=50)
    assert found.report.sent in (9, 10, 11)


def test_a_pause_is_a_rate_of_nothing() -> None:
    with Server(Answers()) as server:
        found = changed(0, at_s=0.15, plan=steady(100, 0.6, url=server.url))
    assert found.report.sent == pytest.approx(20, abs=8)
    assert found.report.duration_s == pytest.approx(0.6, abs=0.2)


def test_a_new_rate_keeps_the_number_of_requests() -> None:
    with Server(Answers()) as server:
        found = changed(500, at_s=0.1, plan=steady(50, 60, url=server.url, requests=40))
    assert found.report.sent == 40


def test_after_the_end_there_is_no_new_rate() -> None:
    plan = steady(50, 60, requests=3, targets=(Target(url="http://127.0.0.1:1/"),), breaker=False)
    found = changed(500, at_s=0.0, plan=plan, times=3)
    assert found.report.sent == 3


# ---- the load breaker


def test_a_target_that_refuses_is_left_alone() -> None:
    found = run(steady(200, 2.0, url="http://127.0.0.1:1/", breaker=True))
    assert found.outcomes[Outcome.CONNECT] < 240
    assert found.outcomes[Outcome.CONNECT] + found.outcomes[Outcome.WITHHELD] == 400
    assert found.report.withheld == found.outcomes[Outcome.WITHHELD]
    assert not found.snapshots[-1].is_evidence
    assert "got no answer" in found.report.closing.breaker[0].reason


def test_a_target_that_asks_to_wait_is_left_alone() -> None:
    busy = b"HTTP/1.1 503 Busy\r\nretry-after: 20\r\ncontent-length: 0\r\n\r\n"
    with Server(Answers(OK, OK, busy)) as server:
        found = run(steady(50, 2.0, url=server.url, breaker=True))
    assert found.outcomes[Outcome.WITHHELD] > 0
    assert "asked to wait 20 s; waiting 20.0 s" in found.report.closing.breaker[0].reason


def test_a_target_that_is_well_again_gets_its_load_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadgen.core.breaker.WAIT_S", 0.3)

    class Sick:
        def __init__(self) -> None:
            self.is_sick = True

        def __call__(self, connection: Any) -> None:
            while True:
                received(connection)
                if self.is_sick:
                    raise EOFError
                connection.sendall(OK)

    sick = Sick()

    def heal(_: Engine, snapshot: Snapshot) -> None:
        sick.is_sick = sick.is_sick and snapshot.breaker is BreakerState.CLOSED

    with Server(sick) as server:
        found = run(steady(200, 1.5, url=server.url, breaker=True), during=heal)
    assert [change.state for change in found.report.closing.breaker] == ["open", "half_open", "closed"]
    assert found.outcomes[Outcome.OK] >= 10


def test_an_arm_may_connect_elsewhere() -> None:
    answers, others = Answers(), Answers()
    with Server(answers) as one, Server(others) as other:
        arms = (Arm(name="a"), Arm(name="b", connect=f"127.0.0.1:{other.port}"))
        run(steady(100, 0.2, url=one.url, arms=arms))
    assert (len(answers.asked), len(others.asked)) == (10, 10)
