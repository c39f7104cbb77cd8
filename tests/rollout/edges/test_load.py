"""Synthetic load: which requests count for whom, when a stratum is evidence, and what a broken run may break."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from loadgen.core.breaker import BreakerState
from loadgen.core.histogram import bucket_of, upper_edge_s
from loadgen.core.outcome import Outcome
from loadgen.core.plan import Plan
from loadgen.core.trust import Trust as GeneratorTrust
from loadgen.core.trust import TrustLevel
from loadgen.session import RefusedError
from rollout.core.breaker import Arm
from rollout.core.evidence import Counts
from rollout.core.observation import Trust
from rollout.core.routes.target import VERSION_HEADER
from rollout.core.spec import RolloutSpec
from rollout.edges.load import OUTCOMES_MAX, STRATA_MAX, LoadRuns, plan_of, qualified
from rollout.ports import Refused, Unavailable
from tests.fakes import FakeClock
from tests.rollout.core.worlds import NOW, spec
from tests.rollout.edges.loads import Sessions, cell, snapshot, stratum

SPEC = spec()
LATENCY = {upper_edge_s(bucket_of(10_000_000)): 1}


def planned(connect: str = "", **load: Any) -> Plan:
    whole = {"url": "http://reviews:9080/reviews/0", "rate": "50/s", "split": "50/50", "timeout": "1s"} | load
    of = spec(load=whole)
    assert of.plan.load is not None
    return plan_of(of.plan.load, of, connect)


class Bench:
    """Runs over hand-played sessions."""

    def __init__(self, runs: LoadRuns, sessions: Sessions, clock: FakeClock) -> None:
        self.runs, self.sessions, self.clock = runs, sessions, clock
        self.wake = asyncio.Event()

    async def start(self, rollout_id: str = "r1", of: RolloutSpec = SPEC) -> None:
        """Start a load; its first snapshot comes at 0.1 s, so due time 0 was at NOW - 0.1."""
        await self.runs.start(rollout_id, of, self.wake)
        self.wake.clear()

    def counts(self) -> list[tuple[int, int, int, int]]:
        """Of each stratum: requests and failures of stable, then of the canary."""
        return [
            (found.stable.requests, found.stable.failures, found.canary.requests, found.canary.failures)
            for found in self.runs.view("r1", 0.0).strata
        ]


@pytest_asyncio.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    clock, sessions = FakeClock(), Sessions(monkeypatch)
    async with LoadRuns(clock) as runs:
        yield Bench(runs, sessions, clock)


def test_the_plan_asks_for_either_version_by_header_at_the_plans_rate() -> None:
    plan = planned("127.0.0.1:15002", split="80/20", headers={"end-user": "probe"}, method="HEAD")

    assert {arm.name: (arm.headers, round(arm.share, 3)) for arm in plan.arms} == {
        "stable": (((VERSION_HEADER, "v1"),), 0.8),
        "canary": (((VERSION_HEADER, "v3"),), 0.2),
    }
    [target] = plan.targets
    assert (target.url, target.method) == ("http://reviews.bookinfo:9080/reviews/0", "HEAD")
    assert (target.headers, target.connect) == ((("end-user", "probe"),), "127.0.0.1:15002")
    assert (plan.rate_max_per_s, plan.timeout_s, plan.version.key) == (50.0, 1.0, VERSION_HEADER)
    assert plan.connections >= 50 * 1.0  # a canary that hangs must not hold the load of stable back


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://reviews:9080/reviews/0?a=b", "http://reviews.bookinfo:9080/reviews/0?a=b"),
        ("https://reviews/x", "https://reviews.bookinfo/x"),
        ("http://reviews.prod:9080/", "http://reviews.prod:9080/"),
        ("http://10.0.0.1:80/", "http://10.0.0.1:80/"),
        ("http://[::1]:80/", "http://[::1]:80/"),
        ("http://localhost:80/", "http://localhost:80/"),
    ],
)
def test_a_short_name_means_the_plans_namespace(url: str, expected: str) -> None:
    assert qualified(url, "bookinfo") == expected


@pytest.mark.asyncio
async def test_a_load_that_nobody_started_is_not_running(bench: Bench) -> None:
    assert not bench.runs.view("r1", 0.0).running
    bench.runs.stop_nowait("r1")


@pytest.mark.asyncio
async def test_a_stratum_is_handed_over_once_closed_in_our_own_time(bench: Bench) -> None:
    await bench.start()

    await bench.sessions.last.feed(snapshot(0.7, strata=(stratum(0, cell("v1", 3, arm="stable")),), closed_until=0))
    assert bench.runs.view("r1", 0.0).strata == ()
    await bench.sessions.last.feed(snapshot(1.2, strata=(stratum(0, cell("v3", 1)),), closed_until=1))

    view = bench.runs.view("r1", 0.0)
    [found] = view.strata
    assert (found.start, found.end) == (NOW - 0.1, NOW + 0.4)
    assert (found.stable.requests, found.canary) == (3, Counts(requests=1, latency=LATENCY))
    assert (view.running, view.as_of) == (True, NOW - 0.1 + 1.2)


@pytest.mark.asyncio
async def test_strata_are_kept_until_they_are_taken_and_then_forgotten(bench: Bench) -> None:
    await bench.start()
    await bench.sessions.last.feed(snapshot(2.0, closed_until=3))  # three without a request: known to be empty

    starts = [found.start for found in bench.runs.view("r1", 0.0).strata]
    assert starts == [NOW - 0.1, NOW + 0.4, NOW + 0.9]
    assert [found.start for found in bench.runs.view("r1", starts[1]).strata] == starts[1:]
    assert [found.start for found in bench.runs.view("r1", 0.0).strata] == starts[1:]

    await bench.sessions.last.feed(snapshot(9000.0, closed_until=17_000))
    assert len(bench.runs.view("r1", 0.0).strata) == STRATA_MAX


@pytest.mark.asyncio
async def test_who_answered_decides_whose_request_it_was(bench: Bench) -> None:
    await bench.start()
    cells = (
        cell("v1", 5),  # asked for the canary, stable answered
        cell("v3", 7, arm="stable"),
        cell("", 1, Outcome.TIMEOUT),  # nobody said who it was: the one that was asked for
        cell("", 2, Outcome.PROXY_5XX, arm="stable"),
        cell("v2", 100),
        cell("(other)", 100, Outcome.HTTP_5XX, arm="stable"),
    )

    await bench.sessions.last.feed(snapshot(1.2, strata=(stratum(0, *cells),), closed_until=1))

    assert bench.counts() == [(7, 2, 8, 1)]


@pytest.mark.asyncio
async def test_what_the_generator_itself_failed_at_counts_for_nobody(bench: Bench) -> None:
    await bench.start()
    ours = (Outcome.CLIENT, Outcome.DROPPED, Outcome.WITHHELD, Outcome.UNFINISHED, Outcome.DNS)
    theirs = (Outcome.CONNECT, Outcome.RESET, Outcome.HTTP_5XX, Outcome.TIMEOUT)
    cells = [cell("", 1, outcome) for outcome in (*ours, *theirs)]

    await bench.sessions.last.feed(snapshot(1.2, strata=(stratum(0, *cells),), closed_until=1))

    assert bench.counts() == [(0, 0, len(theirs), len(theirs))]


@pytest.mark.asyncio
async def test_strata_in_which_the_generator_did_not_believe_itself_are_no_evidence(bench: Bench) -> None:
    await bench.start()
    four = tuple(stratum(index, cell("v3", index + 1)) for index in range(4))

    await bench.sessions.last.feed(
        snapshot(1.05, window_s=0.1, is_evidence=False),  # 0.95 to 1.05: strata 1 and 2
        snapshot(2.5, strata=four, closed_until=4),
    )

    assert [found.canary.requests for found in bench.runs.view("r1", 0.0).strata] == [1, 4]


@pytest.mark.asyncio
async def test_doubts_and_the_loads_own_breaker_are_told(bench: Bench) -> None:
    await bench.start()
    assert bench.runs.view("r1", 0.0).trust is Trust.OK
    doubt = GeneratorTrust(level=TrustLevel.INVALID, reasons=("late", "starved"))

    await bench.sessions.last.feed(snapshot(0.2, trust=doubt, breaker=BreakerState.OPEN, is_evidence=False))

    view = bench.runs.view("r1", 0.0)
    assert (view.trust, view.why, view.breaker_closed) == (Trust.INVALID, "late; starved", False)


@pytest.mark.asyncio
async def test_single_outcomes_are_handed_over_once_and_a_failing_canary_wakes_the_loop(bench: Bench) -> None:
    await bench.start()
    bench.clock.time = NOW + 5

    await bench.sessions.last.feed(snapshot(0.2, recent={"stable": [(900, True)], "canary": [(1500, False)]}))
    assert not bench.wake.is_set()
    await bench.sessions.last.feed(snapshot(0.3, recent={"canary": [(2000, False), (2500, True)]}))

    assert bench.wake.is_set()
    outcomes = bench.runs.view("r1", 0.0).outcomes
    assert [(found.arm, found.latency_s, found.failed) for found in outcomes] == [
        (Arm.STABLE, 0.0009, True),
        (Arm.CANARY, 0.0015, False),
        (Arm.CANARY, 0.002, False),
        (Arm.CANARY, 0.0025, True),
    ]
    assert {found.at_s for found in outcomes} == {NOW + 5}
    assert bench.runs.view("r1", 0.0).outcomes == ()


@pytest.mark.asyncio
async def test_calls_of_a_generator_that_is_not_believed_blow_no_fuse(bench: Bench) -> None:
    await bench.start()
    starved = GeneratorTrust(level=TrustLevel.INVALID, reasons=("stopped for 3 s",))
    await bench.sessions.last.feed(snapshot(0.2, trust=starved, is_evidence=False, recent={"canary": [(9, True)] * 10}))
    assert bench.runs.view("r1", 0.0).outcomes == ()

    await bench.sessions.last.feed(snapshot(0.3, recent={"canary": [(9, True)]}))
    assert len(bench.runs.view("r1", 0.0).outcomes) == 1


@pytest.mark.asyncio
async def test_outcomes_that_nobody_takes_do_not_fill_the_memory(bench: Bench) -> None:
    await bench.start()
    await bench.sessions.last.feed(snapshot(0.2, recent={"stable": [(1, False)] * OUTCOMES_MAX, "canary": [(2, True)]}))

    outcomes = bench.runs.view("r1", 0.0).outcomes
    assert (len(outcomes), outcomes[-1].failed) == (OUTCOMES_MAX, True)


@pytest.mark.asyncio
async def test_a_second_start_is_the_same_run_and_another_rollout_has_its_own(bench: Bench) -> None:
    await bench.start()
    await bench.start()
    await bench.start("r2")

    assert len(bench.sessions.made) == 2


@pytest.mark.asyncio
async def test_a_run_that_ended_wakes_the_loop_and_can_be_started_again(bench: Bench) -> None:
    await bench.start()

    await bench.sessions.last.feed(None)

    assert bench.wake.is_set()
    assert not bench.runs.view("r1", 0.0).running
    await bench.start()
    assert len(bench.sessions.made) == 2
    assert bench.runs.view("r1", 0.0).running


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RefusedError("no such host"), "load: no such host"),
        (ConnectionRefusedError(), "load: ConnectionRefusedError"),
        (ZeroDivisionError("a bug"), "load: ZeroDivisionError: a bug"),
    ],
)
async def test_a_run_that_cannot_start_is_unavailable_and_forgotten(bench: Bench, error: Exception, says: str) -> None:
    bench.sessions.script = lambda session: session._fed.put_nowait(error)

    with pytest.raises(Unavailable, match=f"^{says}$"):
        await bench.start()
    await asyncio.sleep(0)
    assert not bench.runs.view("r1", 0.0).running


@pytest.mark.asyncio
async def test_a_crash_of_one_run_stops_neither_the_others_nor_the_daemon(bench: Bench) -> None:
    await bench.start("r1")
    await bench.start("r2")

    await bench.sessions.made[0].feed(ZeroDivisionError("a bug"))

    assert [bench.runs.view(name, 0.0).running for name in ("r1", "r2")] == [False, True]
    assert bench.wake.is_set()


@pytest.mark.asyncio
async def test_a_plan_that_loadgen_would_not_run_is_refused_without_a_run(bench: Bench) -> None:
    whole = {"url": "http://reviews:9080/", "rate": "50/s", "split": "50/50", "timeout": "1s"}

    with pytest.raises(Refused, match="load: .*header"):
        await bench.start(of=spec(load={**whole, "headers": {"bad name": "x"}}))

    assert bench.sessions.made == []


@pytest.mark.asyncio
async def test_load_that_has_no_way_into_the_mesh_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> tuple[str, int]:
        raise Unavailable("no Envoy runs")

    sessions = Sessions(monkeypatch)
    async with LoadRuns(FakeClock(), nowhere) as runs:
        with pytest.raises(Unavailable, match="no Envoy runs"):
            await runs.start("r1", SPEC, asyncio.Event())
    assert sessions.made == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("address", "connect"), [(("127.0.0.1", 80), "127.0.0.1:80"), (("::1", 80), "[::1]:80")], ids=["ipv4", "ipv6"]
)
async def test_load_enters_at_the_door_it_is_given(
    monkeypatch: pytest.MonkeyPatch, address: tuple[str, int], connect: str
) -> None:
    sessions = Sessions(monkeypatch)
    async with LoadRuns(FakeClock(), lambda: address) as runs:
        await runs.start("r1", SPEC, asyncio.Event())

    assert sessions.last.plan.targets[0].connect == connect


@pytest.mark.asyncio
async def test_a_stopped_run_is_gone_at_once_and_its_session_is_closed(bench: Bench) -> None:
    await bench.start()
    first = bench.sessions.last

    bench.runs.stop_nowait("r1")
    assert not bench.runs.view("r1", 0.0).running
    await bench.start()  # before the first one has had a turn to end
    await first.feed()

    assert (first.is_open, bench.sessions.last.is_open) == (False, True)
    assert bench.runs.view("r1", 0.0).running


@pytest.mark.asyncio
async def test_leaving_ends_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(monkeypatch)
    async with LoadRuns(FakeClock()) as runs:
        await runs.start("r1", SPEC, asyncio.Event())
        await runs.start("r2", SPEC, asyncio.Event())

    assert [session.is_open for session in sessions.made] == [False, False]
