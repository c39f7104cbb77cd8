"""What every rollout is doing right now: written by the reconcilers, read by the API, the live view and the metrics.

Nothing here is worth saving: the journal has what was decided, the board only what is being waited for.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from rollout.core.decision import Outlook
from rollout.core.judge import Judgement
from rollout.core.observation import Observation
from rollout.core.phase import State
from rollout.ports import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """One rollout after its latest decision."""

    rollout: Rollout
    state: State
    outlook: Outlook
    judgement: Judgement
    seen: Observation
    at: float


class Board:
    """The latest Live of each rollout, and a way to wait for news."""

    def __init__(self) -> None:
        self._live: dict[str, Live] = {}
        self._readers: set[asyncio.Event] = set()

    def publish(self, live: Live) -> None:
        """Replace what is known of the rollout and wake every reader."""
        self._live[live.rollout.id] = live
        for reader in self._readers:
            reader.set()

    def forget(self, rollout_id: str) -> None:
        """The rollout has ended; its journal speaks for it."""
        self._live.pop(rollout_id, None)

    def get(self, rollout_id: str) -> Live | None:
        """The latest, if the rollout is being driven by this process."""
        return self._live.get(rollout_id)

    def everything(self) -> list[Live]:
        """All that are being driven."""
        return list(self._live.values())

    async def news(self) -> AsyncIterator[None]:
        """Yield once per change, several changes in quick succession as one: a slow reader misses nothing it needs."""
        event = asyncio.Event()
        self._readers.add(event)
        try:
            while True:
                await event.wait()
                event.clear()
                yield
        finally:
            self._readers.discard(event)
