"""Endless work beside a block of code."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


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
