"""Structured concurrency in two words: endless work *beside* a block of code, and several things *together*."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run *work* while the block runs, and cancel it at the end.

    If *work* fails, the block is cancelled and an ExceptionGroup comes out; what the block itself raises comes out as
    it is, so that callers can catch it by its type.
    """
    raised: Exception | None = None
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again below
            raised = error
        finally:
            for task in tasks:
                task.cancel()
    if raised is not None:
        raise raised


async def together(*work: Coroutine[Any, Any, T]) -> list[T]:
    """Do *work* at the same time and return the results in order; the first failure comes out as it is."""
    failure: BaseException | None = None
    tasks: list[asyncio.Task[T]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks += [group.create_task(each) for each in work]
    except ExceptionGroup as failures:
        failure = failures.exceptions[0]
    if failure is not None:
        raise failure
    return [task.result() for task in tasks]
