"""Real time: seconds since the epoch that never jump while the process lives, and a sleep that can be cut short."""

import asyncio
import time

from rollout.ports import Wake


class RealClock:
    """Reads the wall clock once and counts on with the monotonic one.

    Setting the machine's clock changes nothing but the labels; across a restart the wall clock bridges the gap.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()  # noqa: TID251 - this is the door

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._offset + time.monotonic()  # noqa: TID251 - this is the door

    async def sleep_until(self, deadline: float, woken: Wake) -> None:
        """Sleep until *deadline* or until *woken* is set; a set wake-up is heeded once."""
        try:
            async with asyncio.timeout(max(0.0, deadline - self.now())):
                await woken.wait()
        except TimeoutError:
            pass
        woken.clear()
