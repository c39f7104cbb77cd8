"""Snapshots that tests start from."""

from typing import Any

from loadgen.core.breaker import BreakerState
from loadgen.core.histogram import bucket_of
from loadgen.core.ledger import Cell, Stratum
from loadgen.core.outcome import UNSENT, Outcome
from loadgen.core.snapshot import Delay, Snapshot
from loadgen.core.trust import Trust


def cell(
    outcome: Outcome = Outcome.OK, *millis: int, arm: str = "stable", version: str = "v1", status: int = 200
) -> Cell:
    """A cell of requests that took so many milliseconds each; those never sent are only counted."""
    buckets = sorted(bucket_of(value * 1_000_000) for value in millis)
    latency = [] if outcome in UNSENT else [(bucket, buckets.count(bucket)) for bucket in dict.fromkeys(buckets)]
    return Cell(arm=arm, version=version, outcome=outcome, status=status, count=len(millis), latency=latency)


def stratum(index: int, *cells: Cell) -> Stratum:
    return Stratum(index=index, cells=cells)


def snapshot(*strata: Stratum, **changes: Any) -> Snapshot:
    fields: dict[str, Any] = {
        "start_unix_s": 1000.0,
        "as_of_s": 0.1,
        "window_s": 0.1,
        "closed_until": 0,
        "start_delay": Delay(),
        "recent": {},
        "pairs": (),
        "in_flight": 0,
        "connections": 1,
        "sent": 1,
        "completed": 1,
        "dropped": 0,
        "withheld": 0,
        "retried": 0,
        "bytes_received": 100,
        "asked_per_s": 10.0,
        "achieved_per_s": 10.0,
        "lag_s_max": 0.0001,
        "cpu_share": 0.1,
        "trust": Trust(),
        "breaker": BreakerState.CLOSED,
        "is_evidence": True,
    }
    return Snapshot(strata=strata, **{**fields, **changes})
