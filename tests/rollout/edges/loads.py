"""A load test that a test plays by hand: snapshots come when they are fed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, Self

import pytest

import rollout.edges.load
from loadgen.core.breaker import BreakerState
from loadgen.core.histogram import bucket_of
from loadgen.core.ledger import Cell, Stratum
from loadgen.core.outcome import Outcome
from loadgen.core.plan import Plan
from loadgen.core.snapshot import Delay, Snapshot
from loadgen.core.trust import Trust

_QUIET = Snapshot(
    start_unix_s=0.0,
    as_of_s=0.0,
    window_s=0.1,
    strata=(),
    closed_until=0,
    start_delay=Delay(),
    recent={},
    pairs=(),
    in_flight=0,
    connections=1,
    sent=0,
    completed=0,
    dropped=0,
    withheld=0,
    retried=0,
    bytes_received=0,
    asked_per_s=50.0,
    achieved_per_s=50.0,
    lag_s_max=0.0,
    cpu_share=0.1,
    trust=Trust(),
    breaker=BreakerState.CLOSED,
    is_evidence=True,
)


def snapshot(as_of_s: float, **changes: Any) -> Snapshot:
    """A snapshot of a generator that is well."""
    return replace(_QUIET, as_of_s=as_of_s, **changes)


def cell(
    version: str, count: int, outcome: Outcome = Outcome.OK, *, arm: str = "canary", latency_s: float = 0.01
) -> Cell:
    """Requests of one arm that were answered by a version."""
    latency = [(bucket_of(round(latency_s * 1e9)), count)]
    return Cell(arm=arm, version=version, outcome=outcome, status=200, count=count, latency=latency)


def stratum(index: int, *cells: Cell) -> Stratum:
    """What ended of one half second."""
    return Stratum(index=index, cells=cells)


class FakeSession:
    """Takes the place of loadgen's LoadSession."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.is_open = False
        self._fed: asyncio.Queue[Snapshot | Exception | None] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self.is_open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.is_open = False

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """What is fed, until None or an error is."""
        while (found := await self._fed.get()) is not None:
            if isinstance(found, Exception):
                raise found
            yield found

    async def feed(self, *snapshots: Snapshot | Exception | None) -> None:
        """Let these come, and let others take them in."""
        for found in snapshots:
            self._fed.put_nowait(found)
        for _ in range(10):
            await asyncio.sleep(0)


class Sessions:
    """Every session that was made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[FakeSession] = []
        self.script: Callable[[FakeSession], None] = lambda session: session._fed.put_nowait(snapshot(0.1))
        """What a new session is fed at once."""
        monkeypatch.setattr(rollout.edges.load, "LoadSession", self._make)

    def _make(self, plan: Plan) -> FakeSession:
        session = FakeSession(plan)
        self.made.append(session)
        self.script(session)
        return session

    @property
    def last(self) -> FakeSession:
        """The newest."""
        return self.made[-1]
