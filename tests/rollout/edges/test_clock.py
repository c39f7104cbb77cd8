"""Real time."""

import asyncio

import pytest

from rollout.edges.clock import RealClock


@pytest.mark.asyncio
async def test_a_sleep_ends_at_its_deadline() -> None:
    clock = RealClock()
    begun = clock.now()

    await clock.sleep_until(begun + 0.02, asyncio.Event())

    assert clock.now() >= begun + 0.02


@pytest.mark.asyncio
async def test_a_sleeper_can_be_woken_and_heeds_it_once() -> None:
    clock, woken = RealClock(), asyncio.Event()
    woken.set()

    async with asyncio.timeout(5):
        await clock.sleep_until(clock.now() + 60, woken)

    assert not woken.is_set()


@pytest.mark.asyncio
async def test_a_deadline_in_the_past_is_no_sleep() -> None:
    clock = RealClock()

    async with asyncio.timeout(5):
        await clock.sleep_until(clock.now() - 60, asyncio.Event())
    assert clock.now() > 1.7e9  # seconds since the epoch
