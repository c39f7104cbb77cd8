"""Work beside a block, and several things together: nothing outlives its owner, every failure comes out as it is."""

import asyncio

import pytest

from rollout.beside import beside, together

pytestmark = pytest.mark.asyncio


class Trouble(Exception):
    """What callers catch by its type."""


async def endless(ended: list[str], name: str = "work") -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append(name)


async def fail(message: str, after: int = 0) -> None:
    for _ in range(after):
        await asyncio.sleep(0)
    raise Trouble(message)


async def test_work_runs_while_the_block_runs_and_ends_with_it() -> None:
    ended: list[str] = []

    async with beside(endless(ended, "a"), endless(ended, "b")):
        await asyncio.sleep(0)
        assert ended == []

    assert sorted(ended) == ["a", "b"]


async def test_what_the_block_raises_comes_out_as_it_is_and_the_work_ends() -> None:
    ended: list[str] = []

    async def block() -> None:
        async with beside(endless(ended)):
            await asyncio.sleep(0)
            raise Trouble("block")

    with pytest.raises(Trouble, match="block"):
        await block()
    assert ended == ["work"]


async def test_work_that_fails_cancels_the_block_and_comes_out_in_a_group() -> None:
    ended: list[str] = []

    async def block() -> None:
        async with beside(fail("work"), endless(ended, "other")):
            await endless(ended, "block")

    with pytest.raises(ExceptionGroup) as caught:
        await block()
    assert [str(error) for error in caught.value.exceptions] == ["work"]
    assert sorted(ended) == ["block", "other"]


async def test_work_that_ends_by_itself_does_not_end_the_block() -> None:
    async def short() -> None:
        await asyncio.sleep(0)

    reached = False
    async with beside(short()):
        for _ in range(5):
            await asyncio.sleep(0)
        reached = True

    assert reached


async def test_cancelling_the_block_ends_the_work_and_stays_a_cancellation() -> None:
    ended: list[str] = []
    inside = asyncio.Event()

    async def block() -> None:
        async with beside(endless(ended)):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(block())
    await inside.wait()
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["work"]


async def test_together_gives_the_results_in_the_order_of_the_work() -> None:
    running: list[int] = []

    async def work(number: int, after: int) -> int:
        running.append(number)
        while after not in running:
            await asyncio.sleep(0)
        return number

    found = await together(work(1, after=2), work(2, after=2))  # the first ends only once the second has begun

    assert found == [1, 2]
    assert await together() == []


async def test_the_first_failure_comes_out_as_it_is_and_the_others_end() -> None:
    ended: list[str] = []

    with pytest.raises(Trouble, match="first"):
        await together(endless(ended), fail("first"), fail("second", after=3))

    assert ended == ["work"]
