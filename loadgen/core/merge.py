"""Snapshots added up exactly: several workers as one, or several moments as one when the reader was slow."""

from collections.abc import Iterable
from dataclasses import replace

from loadgen.core.breaker import BreakerState
from loadgen.core.histogram import Histogram
from loadgen.core.ledger import Cell, Service, Stratum
from loadgen.core.outcome import Outcome
from loadgen.core.pairs import PairSum
from loadgen.core.report import Totals
from loadgen.core.snapshot import Delay, Snapshot
from loadgen.core.trust import Trust, TrustLevel, combined

SEVERITY = (BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN)
STRATA_MAX = 600  # ten minutes of strata for a reader that does not read; older ones then miss from the live stream
LOST = Trust(level=TrustLevel.DEGRADED, reasons=("the reader of snapshots was too slow: old strata were left out",))


def across(snapshots: tuple[Snapshot, ...]) -> Snapshot:
    """Add the same stretch of several workers up."""
    return replace(
        _added(snapshots),
        as_of_s=max(snapshot.as_of_s for snapshot in snapshots),
        window_s=max(snapshot.window_s for snapshot in snapshots),
        closed_until=min(snapshot.closed_until for snapshot in snapshots),
        in_flight=sum(snapshot.in_flight for snapshot in snapshots),
        connections=sum(snapshot.connections for snapshot in snapshots),
        asked_per_s=sum(snapshot.asked_per_s for snapshot in snapshots),
        achieved_per_s=sum(snapshot.achieved_per_s for snapshot in snapshots),
        breaker=max((snapshot.breaker for snapshot in snapshots), key=SEVERITY.index),
    )


def along(first: Snapshot, then: Snapshot) -> Snapshot:
    """Add two stretches of one worker up, one after the other; a gauge says what it said last."""
    added = _added((first, then))
    window_s = first.window_s + then.window_s
    achieved = (first.achieved_per_s * first.window_s + then.achieved_per_s * then.window_s) / window_s
    recent = {arm: outcomes[-4096:] for arm, outcomes in added.recent.items()}
    if len(added.strata) > STRATA_MAX:
        added = replace(added, strata=added.strata[-STRATA_MAX:], trust=combined((added.trust, LOST)))
    return replace(added, window_s=window_s, achieved_per_s=achieved, recent=recent)


def _added(snapshots: tuple[Snapshot, ...]) -> Snapshot:
    """Add up what simply adds up; every gauge is the last one's."""
    recent: dict[str, list[tuple[int, bool]]] = {}
    for snapshot in snapshots:
        for arm, outcomes in snapshot.recent.items():
            recent.setdefault(arm, []).extend(outcomes)
    return replace(
        snapshots[-1],
        start_unix_s=min(snapshot.start_unix_s for snapshot in snapshots),
        strata=added_strata(stratum for snapshot in snapshots for stratum in snapshot.strata),
        start_delay=worst_delay(tuple(snapshot.start_delay for snapshot in snapshots)),
        recent=recent,
        pairs=added_pairs(pair for snapshot in snapshots for pair in snapshot.pairs),
        sent=sum(snapshot.sent for snapshot in snapshots),
        completed=sum(snapshot.completed for snapshot in snapshots),
        dropped=sum(snapshot.dropped for snapshot in snapshots),
        withheld=sum(snapshot.withheld for snapshot in snapshots),
        retried=sum(snapshot.retried for snapshot in snapshots),
        bytes_received=sum(snapshot.bytes_received for snapshot in snapshots),
        lag_s_max=max(snapshot.lag_s_max for snapshot in snapshots),
        cpu_share=max(snapshot.cpu_share for snapshot in snapshots),
        trust=combined(tuple(snapshot.trust for snapshot in snapshots)),
        is_evidence=all(snapshot.is_evidence for snapshot in snapshots),
    )


def counted(totals: Totals, snapshot: Snapshot) -> Totals:
    """Add a snapshot's counters to a run's: what is known of a run whose worker could not sum it up."""
    return replace(
        totals,
        duration_s=max(totals.duration_s, snapshot.as_of_s),
        sent=totals.sent + snapshot.sent,
        dropped=totals.dropped + snapshot.dropped,
        withheld=totals.withheld + snapshot.withheld,
        retried=totals.retried + snapshot.retried,
        bytes_received=totals.bytes_received + snapshot.bytes_received,
    )


def added_strata(strata: Iterable[Stratum]) -> tuple[Stratum, ...]:
    """Add strata up by index, and in each the cells by group."""
    found: dict[int, dict[tuple[str, str, Outcome, int], Histogram]] = {}
    unsent: dict[tuple[int, str, str, Outcome, int], int] = {}
    for stratum in strata:
        groups = found.setdefault(stratum.index, {})
        for cell in stratum.cells:
            key = (cell.arm, cell.version, cell.outcome, cell.status)
            groups.setdefault(key, Histogram()).add(cell.latency)
            unsent[(stratum.index, *key)] = unsent.get((stratum.index, *key), 0) + cell.count
    return tuple(
        Stratum(
            index=index,
            cells=tuple(
                Cell(
                    arm=key[0],
                    version=key[1],
                    outcome=key[2],
                    status=key[3],
                    count=unsent[(index, *key)],
                    latency=times.sparse(),
                )
                for key, times in groups.items()
            ),
        )
        for index, groups in sorted(found.items())
    )


def worst_delay(delays: tuple[Delay, ...]) -> Delay:
    """Give the worst of each number: quantiles do not add up, and the exact ones are in the report."""
    return Delay(
        p50_s=max(delay.p50_s for delay in delays),
        p99_s=max(delay.p99_s for delay in delays),
        max_s=max(delay.max_s for delay in delays),
    )


def added_services(services: Iterable[Service]) -> tuple[Service, ...]:
    """Add service times up by arm and version."""
    found: dict[tuple[str, str], Histogram] = {}
    for service in services:
        found.setdefault((service.arm, service.version), Histogram()).add(service.latency)
    return tuple(
        Service(arm=arm, version=version, latency=times.sparse()) for (arm, version), times in sorted(found.items())
    )


def added_pairs(pairs: Iterable[PairSum]) -> tuple[PairSum, ...]:
    """Add pairs up by arm."""
    found: dict[str, PairSum] = {}
    for pair in pairs:
        found[pair.arm] = found[pair.arm].plus(pair) if pair.arm in found else pair
    return tuple(found[arm] for arm in sorted(found))
