"""The board: the latest of each rollout, and news for whoever waits."""

import asyncio
from collections import Counter

import pytest

from rollout.board import Board, Live
from rollout.core.absorption import judgement_of
from rollout.core.outlook import outlook_of
from rollout.ports import Rollout
from tests.rollout.core.worlds import NOW, seen, short_spec, state_of

SPEC = short_spec()


def live(name: str = "r-1") -> Live:
    state = state_of(SPEC)
    judgement = judgement_of(SPEC, state)
    return Live(
        rollout=Rollout(id=name, spec=SPEC, created=NOW, actor="a"),
        state=state,
        outlook=outlook_of(SPEC, state, seen(50), judgement, NOW),
        judgement=judgement,
        seen=seen(50),
        at=NOW,
    )


def test_the_latest_counts_and_what_ended_is_forgotten() -> None:
    board = Board()
    board.publish(live())
    latest = live()
    board.publish(latest)

    assert board.get("r-1") is latest
    assert board.everything() == [latest]
    board.forget("r-1")
    board.forget("r-1")
    assert board.get("r-1") is None


@pytest.mark.asyncio
async def test_a_slow_reader_gets_many_changes_as_one() -> None:
    board, counts = Board(), Counter[int]()

    async def read() -> None:
        async for _ in board.news():
            counts.update([len(board.everything())])

    async with asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(read())
        await asyncio.sleep(0)
        for name in ("a", "b", "c"):
            board.publish(live(name))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        reader.cancel()

    assert counts == {3: 1}
