"""Wishes: checked against what is so, recorded, and refused with a reason."""

from dataclasses import replace
from typing import Any

import pytest

from rollout.board import Board
from rollout.control import Control, NotFound, NotNow, StartRequest
from rollout.core.observation import OrderKind
from rollout.core.phase import Cause, Phase, State
from rollout.core.plan_rules import PlanError, parse_plan
from rollout.core.spec import OnFail
from rollout.ports import Conflict, JournalEntry, Rollout, Unavailable
from tests.fakes import FakeWorld, failing
from tests.rollout.core.documents import plan_document, virtual_service
from tests.rollout.core.worlds import NOW, short_spec, state_of

SPEC = short_spec()


class Desk:
    """A Control over fakes, and what it set in motion."""

    def __init__(self) -> None:
        self.fake = FakeWorld()
        self.launched: list[Rollout] = []
        self.woken: list[str] = []
        plan = parse_plan(plan_document())
        self.control = Control(
            self.fake.world,
            Board(),
            {("bookinfo", "reviews"): plan},
            launch=self.launched.append,
            wake=self.woken.append,
        )

    async def running(self, **changes: Any) -> Rollout:
        """A rollout in a given state."""
        rollout = await self.control.start(StartRequest(service="reviews", canary="v3"))
        self.put(rollout, state_of(rollout.spec, **changes))
        return rollout

    def put(self, rollout: Rollout, state: State) -> None:
        entries = self.fake.store.entries[rollout.id]
        entries.append(JournalEntry(number=len(entries), at=NOW, state=state, judged=state, judgement={}))


@pytest.mark.asyncio
async def test_a_start_finds_the_plan_the_namespace_and_the_stable_version() -> None:
    desk = Desk()

    rollout = await desk.control.start(StartRequest(service="reviews", canary="v3", actor="alice", via="cli"))

    assert desk.launched == [rollout]
    assert (rollout.spec.namespace, rollout.spec.stable, rollout.spec.canary) == ("bookinfo", "v1", "v3")
    assert (rollout.actor, rollout.via, rollout.id[:2]) == ("alice", "cli", "r-")
    assert len(rollout.spec.steps) == 7


@pytest.mark.asyncio
async def test_a_plan_of_the_request_wins_and_weights_win_over_it() -> None:
    desk = Desk()
    document = plan_document()
    document["spec"]["steps"] = [{"weight": 100, "hold": "5s"}]

    own, _ = await desk.control.prepare(StartRequest(service="reviews", canary="v3", plan=document))
    weighed, _ = await desk.control.prepare(
        StartRequest(service="reviews", canary="v3", plan=document, weights=(10, 100), hold="2s")
    )

    assert [str(step) for step in own.steps] == ["weight 100%"]
    assert [(str(step), step.hold) for step in weighed.steps] == [("weight 10%", 2), ("weight 100%", 2)]
    with pytest.raises(PlanError, match="weights must rise"):
        await desk.control.prepare(StartRequest(service="reviews", canary="v3", weights=(50, 5)))


@pytest.mark.asyncio
async def test_a_service_without_a_plan_gets_the_default_one() -> None:
    desk = Desk()

    spec, _ = await desk.control.prepare(StartRequest(service="reviews", canary="v3", namespace="bookinfo"))
    assert len(spec.steps) == 7
    with pytest.raises(NotNow, match="no http route to ratings"):
        await desk.control.prepare(StartRequest(service="ratings", canary="v2"))


@pytest.mark.asyncio
async def test_one_service_in_two_namespaces_has_to_be_told_apart() -> None:
    desk = Desk()
    other = plan_document()
    other["metadata"]["namespace"] = "staging"
    plans = {("bookinfo", "reviews"): parse_plan(plan_document()), ("staging", "reviews"): parse_plan(other)}
    desk.control.plans = plans

    with pytest.raises(NotFound, match=r"several namespaces \(bookinfo, staging\)"):
        await desk.control.prepare(StartRequest(service="reviews", canary="v3"))
    await desk.control.prepare(StartRequest(service="reviews", canary="v3", namespace="staging"))


def split(**weights: int) -> dict[str, Any]:
    document = virtual_service()
    document["spec"]["http"][0]["route"] = [
        {"destination": {"host": "reviews", "subset": subset}, "weight": weight} for subset, weight in weights.items()
    ]
    return document


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("document", "error", "says"),
    [
        (None, NotFound, "there is no VirtualService reviews in namespace bookinfo"),
        (split(v3=100), NotNow, "reviews serves v3 already"),
        (split(v1=50, v3=50), NotNow, "sends 50% to v1, 50% to v3: a rollout starts from one version"),
    ],
)
async def test_a_start_from_an_impossible_place_says_what_is_so(
    document: dict[str, Any] | None, error: type[Exception], says: str
) -> None:
    desk = Desk()
    desk.fake.mesh.document = document

    with pytest.raises(error, match=says):
        await desk.control.start(StartRequest(service="reviews", canary="v3"))
    assert not desk.launched


@pytest.mark.asyncio
async def test_a_missing_subset_or_dead_canary_refuses_the_start() -> None:
    desk = Desk()
    desk.fake.mesh.ready["v3"] = 0
    with pytest.raises(NotNow, match="v3 of reviews has no ready endpoint"):
        await desk.control.start(StartRequest(service="reviews", canary="v3"))
    with pytest.raises(NotNow, match="no DestinationRule defines subset v9"):
        await desk.control.start(StartRequest(service="reviews", canary="v9"))
    with pytest.raises(NotNow, match="from and to are both v1"):
        await desk.control.start(StartRequest(service="reviews", canary="v1", stable="v1"))


@pytest.mark.asyncio
async def test_a_second_start_is_a_conflict_and_the_same_key_the_same_rollout() -> None:
    desk = Desk()
    first = await desk.control.start(StartRequest(service="reviews", canary="v3", key="k"))

    with pytest.raises(Conflict, match=first.id):
        await desk.control.start(StartRequest(service="reviews", canary="v3"))
    again = await desk.control.start(StartRequest(service="reviews", canary="v3", key="k"))

    assert again == first
    assert desk.launched == [first]


@pytest.mark.asyncio
async def test_a_world_that_does_not_answer_starts_nothing() -> None:
    desk = Desk()
    desk.fake.mesh.faults["read"] = failing(Unavailable("503"))

    with pytest.raises(Unavailable):
        await desk.control.start(StartRequest(service="reviews", canary="v3"))


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", list(OrderKind))
async def test_an_order_that_fits_is_recorded_and_wakes_the_loop(kind: OrderKind) -> None:
    desk = Desk()
    phase = Phase.PAUSED if kind is OrderKind.RESUME else Phase.PROGRESSING
    rollout = await desk.running(phase=phase, step=4)

    order = await desk.control.order(rollout, kind, actor="bob", reason="why")

    assert order is not None
    assert desk.fake.store.wishes[rollout.id] == [order]
    assert desk.woken == [rollout.id]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (OrderKind.ABORT, {"phase": Phase.ROLLING_BACK}),
        (OrderKind.ABORT, {"phase": Phase.ROLLED_BACK}),
        (OrderKind.PAUSE, {"phase": Phase.PAUSED}),
        (OrderKind.RESUME, {}),
        (OrderKind.PROMOTE, {"phase": Phase.SUCCEEDED}),
        (OrderKind.PROMOTE_FULL, {"step": 7}),
    ],
)
async def test_what_is_so_already_needs_no_order(kind: OrderKind, changes: dict[str, Any]) -> None:
    desk = Desk()
    rollout = await desk.running(**changes)

    assert await desk.control.order(rollout, kind, actor="bob") is None
    assert not desk.woken


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "changes", "says"),
    [
        (OrderKind.PAUSE, {"phase": Phase.SUCCEEDED}, "is Succeeded: it takes no more orders"),
        (OrderKind.RESUME, {"phase": Phase.ROLLING_BACK}, "is RollingBack: it takes no more orders"),
        (OrderKind.ABORT, {"phase": Phase.SUCCEEDED}, "is Succeeded"),
        (OrderKind.APPROVE, {}, "waits at no gate"),
        (OrderKind.PROMOTE, {"phase": Phase.PENDING}, "still in its preflight"),
        (OrderKind.PAUSE, {"step": 7}, "has passed its last step"),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused_with_the_reason(
    kind: OrderKind, changes: dict[str, Any], says: str
) -> None:
    desk = Desk()
    rollout = await desk.running(**changes)

    with pytest.raises(NotNow, match=says):
        await desk.control.order(rollout, kind, actor="bob")
    assert not desk.fake.store.wishes


@pytest.mark.asyncio
async def test_a_gate_is_approved_by_its_own_name_only() -> None:
    desk = Desk()
    rollout = await desk.running(step=4)

    with pytest.raises(NotNow, match="waits at gate sre-signoff, not at other"):
        await desk.control.order(rollout, OrderKind.APPROVE, actor="bob", gate="other")
    assert await desk.control.order(rollout, OrderKind.APPROVE, actor="bob", gate="sre-signoff")


@pytest.mark.asyncio
async def test_retry_starts_the_same_again_once_the_first_is_over() -> None:
    desk = Desk()
    rollout = await desk.running()
    with pytest.raises(NotNow, match="nothing to retry"):
        await desk.control.retry(rollout, actor="bob")

    desk.put(rollout, state_of(rollout.spec, phase=Phase.ROLLED_BACK, decided=Cause.CHECK_FAILED))
    again = await desk.control.retry(rollout, actor="bob")

    assert again.spec == rollout.spec
    assert again.reason == f"retry of {rollout.id}"


@pytest.mark.asyncio
async def test_undo_goes_back_to_what_was_before_the_last_promotion() -> None:
    desk = Desk()
    with pytest.raises(NotFound, match="nothing to undo"):
        await desk.control.undo("bookinfo", "reviews", to=None, actor="bob")

    rollout = await desk.running()
    desk.put(rollout, state_of(rollout.spec, phase=Phase.SUCCEEDED))
    desk.fake.mesh.document = split(v1=0, v3=100)
    back = await desk.control.undo("bookinfo", "reviews", to=None, actor="bob")

    assert (back.spec.stable, back.spec.canary) == ("v3", "v1")
    assert back.spec.plan.on_fail is OnFail.PAUSE
    with pytest.raises(NotNow, match="serves v3 already"):
        await desk.control.undo("bookinfo", "reviews", to="v3", actor="bob")


@pytest.mark.asyncio
async def test_retry_and_undo_look_before_they_leap() -> None:
    desk = Desk()
    rollout = await desk.running()
    desk.put(rollout, state_of(rollout.spec, phase=Phase.ROLLED_BACK))
    desk.fake.mesh.ready["v3"] = 0

    with pytest.raises(NotNow, match="no ready endpoint"):
        await desk.control.retry(rollout, actor="bob")


@pytest.mark.asyncio
async def test_a_rollout_is_found_by_id_or_by_its_service() -> None:
    desk = Desk()
    rollout = await desk.running()

    assert await desk.control.find(rollout.id) == rollout
    assert await desk.control.find("reviews") == rollout
    assert await desk.control.find("reviews", "bookinfo") == rollout
    with pytest.raises(NotFound, match="no rollout 'ratings'"):
        await desk.control.find("ratings")
    assert replace(rollout) == rollout
