"""The loop: order of its steps, what it does when the world fails, and what a restart finds."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from rollout.board import Board
from rollout.core.absorption import new_state
from rollout.core.observation import MetricsView, OrderKind
from rollout.core.phase import Cause, Phase, State
from rollout.core.spec import RolloutSpec
from rollout.ports import Conflict, Refused, Rollout, Unavailable
from rollout.reconciler import LOOK_TIMEOUT_S, Reconciler
from rollout.telemetry import Metrics
from tests.fakes import FakeWorld, down, failing
from tests.rollout.core.worlds import NOW, short_spec

SPEC = short_spec(steps=[{"weight": 50, "hold": "10s"}, {"weight": 100, "hold": "10s"}])


async def started(fake: FakeWorld, spec: RolloutSpec = SPEC) -> Rollout:
    rollout = Rollout(id="r-1", spec=spec, created=NOW, actor="alice")
    return await fake.world.store.create(rollout, new_state(spec, NOW))


def reconciler(fake: FakeWorld, rollout: Rollout, board: Board | None = None) -> Reconciler:
    return Reconciler(rollout=rollout, world=fake.world, board=board or Board(), metrics=Metrics(CollectorRegistry()))


async def run(fake: FakeWorld, spec: RolloutSpec = SPEC) -> State:
    rollout = fake.store.known.get("r-1") or await started(fake, spec)
    async with asyncio.timeout(10):
        return await reconciler(fake, rollout).run()


def causes(fake: FakeWorld) -> list[Cause | None]:
    return [entry.state.cause for entry in fake.store.entries["r-1"][1:]]


@pytest.mark.asyncio
async def test_a_good_canary_goes_all_the_way() -> None:
    fake = FakeWorld()

    state = await run(fake)

    assert state.phase is Phase.SUCCEEDED
    assert fake.mesh.canary_percent == 100
    assert causes(fake) == [
        Cause.PREFLIGHT_PASSED,
        Cause.TRAFFIC_ARRIVED,
        Cause.STEP_PASSED,
        Cause.TRAFFIC_ARRIVED,
        Cause.LAST_STEP_PASSED,
        Cause.TRAFFIC_MOVED,
    ]
    assert fake.load.started_at is None  # nothing is left running


@pytest.mark.asyncio
async def test_a_bad_canary_comes_back_and_leaves_no_trace() -> None:
    fake = FakeWorld()
    before = fake.mesh.document
    fake.load.failing = 0.2

    state = await run(fake)

    assert state.phase is Phase.ROLLED_BACK
    assert state.decided is Cause.CHECK_FAILED
    assert before is not None
    assert fake.mesh.document == before | {"metadata": before["metadata"] | {"resourceVersion": "9"}}


@pytest.mark.asyncio
async def test_the_journal_is_written_before_anything_is_done() -> None:
    fake = FakeWorld()
    write = fake.mesh.write

    async def logged(document: object) -> None:
        fake.store.log.append("wrote")
        await write(document)  # type: ignore[arg-type]

    fake.mesh.write = logged  # type: ignore[method-assign]
    await run(fake)

    assert fake.store.log[:2] == ["saved Progressing 0", "wrote"]
    assert all(
        before != "wrote" or after != "wrote" for before, after in zip(fake.store.log, fake.store.log[1:], strict=False)
    )


@pytest.mark.asyncio
async def test_if_the_journal_cannot_be_written_nothing_is_done() -> None:
    fake = FakeWorld()
    fake.store.faults["append"] = failing(Unavailable("disk full"))

    with pytest.raises(BaseExceptionGroup) as caught:
        await run(fake)

    assert caught.group_contains(Unavailable, match="disk full")
    assert not fake.mesh.writes


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [Conflict("409"), Unavailable("503"), Refused("422")])
async def test_a_write_that_fails_is_planned_anew(error: Exception) -> None:
    fake = FakeWorld()
    fake.mesh.faults["write"] = failing(error, error, None, error)

    assert (await run(fake)).phase is Phase.SUCCEEDED


@pytest.mark.asyncio
async def test_a_refusal_reaches_people() -> None:
    fake, board = FakeWorld(), Board()
    rollout = await started(fake)
    fake.mesh.faults["write"] = iter([Refused("bad regex")] * 10**6)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(reconciler(fake, rollout, board).run())
        async with asyncio.timeout(5):
            while (live := board.get("r-1")) is None or "write" not in live.seen.trouble:
                await asyncio.sleep(0)
        task.cancel()

    assert live.outlook.waiting_for == "VirtualService reviews cannot be written: bad regex"


@pytest.mark.asyncio
@pytest.mark.parametrize("port", ["read", "observe", "endpoints"])
async def test_a_port_that_fails_for_a_while_delays_and_does_not_decide(port: str) -> None:
    fake = FakeWorld()
    fake.mesh.faults[port] = down(30)

    assert (await run(fake)).phase is Phase.SUCCEEDED


@pytest.mark.asyncio
async def test_a_port_that_hangs_is_blind_for_the_pass_and_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollout.reconciler.LOOK_TIMEOUT_S", 0.01)
    fake = FakeWorld()
    fake.load.failing = 1.0
    observe = fake.mesh.observe
    hung = 0

    async def hangs(spec: RolloutSpec) -> object:
        nonlocal hung
        hung += 1
        if hung > 3:
            await asyncio.sleep(60)
        return await observe(spec)

    fake.mesh.observe = hangs  # type: ignore[method-assign,assignment]

    assert (await run(fake)).phase is Phase.ROLLED_BACK
    assert LOOK_TIMEOUT_S == 1.0


@pytest.mark.asyncio
async def test_a_restart_goes_on_from_the_journal() -> None:
    fake = FakeWorld()
    rollout = await started(fake)
    first = reconciler(fake, rollout)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(first.run())
        while len(fake.store.entries["r-1"]) < 4:
            await asyncio.sleep(0)
        task.cancel()  # as abrupt as a kill: nothing is saved on the way out
    fake.load.started_at = None  # the worker died with its parent

    state = await run(fake)

    assert state.phase is Phase.SUCCEEDED
    assert causes(fake).count(Cause.PREFLIGHT_PASSED) == 1
    assert fake.load.starts == 2


@pytest.mark.asyncio
async def test_orders_reach_the_core_and_are_remembered_as_taken() -> None:
    fake = FakeWorld()
    rollout = await started(fake)
    await fake.world.store.add_order("r-1", NOW, kind=OrderKind.ABORT, actor="bob", reason="", gate=None)

    state = await reconciler(fake, rollout).run()

    assert state.decided is Cause.ABORT_REQUESTED
    assert state.detail == "bob"
    assert state.order == 1


@pytest.mark.asyncio
async def test_evidence_is_checkpointed_between_transitions() -> None:
    fake = FakeWorld()
    saved: list[State] = []
    checkpoint = fake.store.checkpoint

    async def noted(rollout_id: str, state: State) -> None:
        saved.append(state)
        await checkpoint(rollout_id, state)

    fake.store.checkpoint = noted  # type: ignore[method-assign]
    await run(fake)

    assert saved
    assert all(state.phase is Phase.PROGRESSING for state in saved)


@pytest.mark.asyncio
async def test_prometheus_is_asked_beside_the_loop() -> None:
    fake = FakeWorld()
    spec = short_spec(
        steps=[{"weight": 100, "hold": "10s"}],
        checks=[{"name": "q", "source": "prometheus", "query": "x", "max": 3}],
        load=None,
    )
    fake.metrics.answer = MetricsView(values={"q": (NOW + 10_000, 1.0)})

    state = await run(fake, spec)

    assert state.phase is Phase.SUCCEEDED
    assert fake.metrics.asked > 3


@pytest.mark.asyncio
async def test_every_verdict_in_the_journal_is_the_one_that_judging_again_gives() -> None:
    from rollout.edges.api.explanations import explanation

    fake = FakeWorld()
    fake.load.failing = 0.2
    await run(fake)

    rollout = fake.store.known["r-1"]
    entries = [entry for entry in fake.store.entries["r-1"] if entry.judgement]
    assert len(entries) >= 4
    for entry in entries:
        assert explanation(rollout, entry).verdict == entry.judgement["verdict"].name.lower()
