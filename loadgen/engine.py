"""The engine: one worker's run of a plan. What both loops share: endpoints, rows, drawing arms, stopping.

One thread, one poll set, and nothing but the poll ever waits. `open_loop.py` follows a schedule, `closed_loop.py` sends
as soon as the last response is complete. Ten times a second a sweep (`monitor.py`) looks after time-outs, the load
breaker and our own trustworthiness, and takes a snapshot.
"""

import gc
from collections.abc import Callable
from typing import Protocol

from loadgen.core import arms as draw
from loadgen.core.breaker import LoadBreaker
from loadgen.core.ledger import Ledger, Row
from loadgen.core.limits import check_amount
from loadgen.core.outcome import Outcome
from loadgen.core.pairs import NOISE
from loadgen.core.plan import VersionSource
from loadgen.core.snapshot import Assignment
from loadgen.transport.address import AddressBook, Endpoint, endpoint_of
from loadgen.transport.channel import Channel, Desk, Pool, Tag
from loadgen.transport.clock import FAR_NS, now_ns
from loadgen.transport.poller import Poller

MASK = draw.CYCLE - 1
STOP_DRAIN_NS = 900_000_000  # after a stop everything is closed within a second
WARM_NS = 1_000_000_000  # how long connections may take to open before the clock starts without them
START_NS = 1_000_000  # from now to due time 0


class Transport(Protocol):
    """Makes channels, and what they send."""

    varies: bool  # whether each request's bytes differ

    def make(self, desk: Desk, pool: Pool) -> list[Channel]:
        """Open one connection: a channel for each request that it carries at a time."""

    def request(self, arm: int, target: int, index: int) -> object:
        """Give what a channel is fired with."""


class Engine:
    """What both loops share."""

    def __init__(self, assignment: Assignment, transport: Transport, poller: Poller) -> None:
        plan = self.plan = assignment.plan
        self.share = assignment
        self.poller = poller
        self.transport = transport
        noise_arm = [NOISE] if plan.noise_share else []
        self.ledger = Ledger((*(arm.name for arm in plan.arms), *noise_arm), plan.recent)
        self.desk = Desk(plan, self.ledger, poller)
        self.breaker = LoadBreaker(plan.seed) if plan.breaker else None
        self.pools: dict[Endpoint, Pool] = {}
        self.routes = self._find_routes()
        self.draws = draw.draw_arms(plan.arms, plan.seed)
        self.targets = draw.draw_targets(plan.targets, plan.seed)
        self.stratum_ns = round(plan.stratum_s * 1e9)
        self.page_end = 0
        self.rows: list[Row] = []
        self.next_due = FAR_NS
        self.start_ns = self.end_ns = self.sweep_at = 0
        self.dropped = self.withheld = 0
        self.lag_ns_max = 0
        self.is_stopping = False
        self.is_ending = False  # worth asking whether the run is over
        self.drained_by = FAR_NS
        self.sweep: Callable[[int], None] = self._no_sweep

    def _no_sweep(self, at_ns: int) -> None:
        """Be replaced by the monitor's."""
        self.sweep_at = at_ns + WARM_NS

    def _find_routes(self) -> list[list[Pool]]:
        """Resolve every endpoint; hold the plan to the caps when it leaves this machine. By arm, then target."""
        routes = [
            [self._pool_of(endpoint_of(self.plan, target, arm)) for target in self.plan.targets]
            for arm in self.plan.arms
        ]
        if not all(pool.addresses.is_local for pool in self.pools.values()):
            check_amount(self.plan)
        return [*routes, *([routes[0]] if self.plan.noise_share else [])]

    def _pool_of(self, endpoint: Endpoint) -> Pool:
        pool = self.pools.get(endpoint)
        if pool is None:
            book = AddressBook(endpoint, self.plan.names, self.plan.allow_hosts)
            cap = max(1, self.share_of(self.plan.connections)) * self.plan.streams
            pool = self.pools[endpoint] = Pool(book, endpoint.server_name, cap)
            pool.make = lambda pool: self.transport.make(self.desk, pool)
        return pool

    def share_of(self, count: int) -> int:
        """Give this worker's share of a number, so that all shares add up to it."""
        return (count - self.share.index + self.share.of - 1) // self.share.of

    @property
    def channels(self) -> list[Channel]:
        """Every channel there is."""
        return [channel for pool in self.pools.values() for channel in pool.channels]

    @property
    def in_flight(self) -> int:
        """How many requests are sent and not ended."""
        return sum(1 for pool in self.pools.values() for channel in pool.channels if channel.due)

    @property
    def waiting(self) -> int:
        """How many requests are due and have no channel yet."""
        return sum(len(pool.backlog) for pool in self.pools.values())

    # ---- the run

    def warm_up(self) -> None:
        """Open the connections before the clock starts."""
        wanted = self.plan.connections if self.plan.warm_connections < 0 else self.plan.warm_connections
        for pool in self.pools.values():
            while len(pool.channels) < min(wanted * self.plan.streams, pool.cap) and pool.grow():
                pass
            for channel in pool.channels:
                channel.warm()
        give_up = min(now_ns() + WARM_NS, self.share.start_monotonic_ns or FAR_NS)
        while now_ns() < give_up and any(channel.is_dialing for channel in self.channels):
            self.poller.wake_at(give_up)
            self.dispatch(self.poller.poll())
        gc.collect()  # now, for it may take longer than the first request can wait

    def dispatch(self, events: list[tuple[int, int]]) -> None:
        """Tell handlers that their descriptors are ready."""
        for fd, _ in events:
            handler = self.desk.by_fd.get(fd)
            if handler is not None:
                handler.readable()

    def prepare(self) -> None:
        """Set the clock: due time 0 is now, or when all workers start together."""
        self.start_ns = self.share.start_monotonic_ns or now_ns() + START_NS
        self.end_ns = self.start_ns + round(self.plan.duration_s * 1e9) if self.plan.stages else FAR_NS
        self.sweep_at = self.start_ns
        self.begin()

    def run(self) -> None:
        """Run until everything that was due has ended."""
        gc.freeze()
        gc.disable()  # the hot path makes no cycles; a collection would show up as latency
        try:
            while not (self.is_ending and self.is_over(now_ns())):
                self.turn()
        finally:
            gc.enable()
            gc.unfreeze()

    def begin(self) -> None:
        """Make the first arrivals due."""
        raise NotImplementedError

    def turn(self) -> None:
        """Do what is due, wait once, take what came."""
        raise NotImplementedError

    def is_over(self, at_ns: int) -> bool:
        """Whether there is nothing left to wait for."""
        if at_ns >= self.drained_by:
            return True
        is_early = not self.is_stopping and not self.plan.requests and at_ns < self.end_ns
        return not (is_early or self.has_arrivals(at_ns) or self.in_flight or self.waiting)

    def has_arrivals(self, at_ns: int) -> bool:
        """Whether more will be due."""
        raise NotImplementedError

    def stop(self) -> None:
        """No more arrivals; what is in flight may end."""
        if self.is_stopping:
            return
        self.is_stopping = self.is_ending = True
        self.next_due = FAR_NS
        self.drained_by = now_ns() + min(STOP_DRAIN_NS, round(self.plan.timeout_s * 1e9))
        for pool in self.pools.values():
            for waiting in pool.backlog:
                self.drop(waiting.row, waiting.tag)
            pool.backlog.clear()

    def abort(self) -> None:
        """Stop without waiting for anything."""
        self.stop()
        self.drained_by = 0

    def finish(self) -> None:
        """Close everything; what is still in flight lasted at least until now."""
        at = now_ns()
        for channel in self.channels:
            channel.abandon(at)
            channel.close()
        self.desk.released.clear()

    def catch_up(self) -> None:
        """Send what has become due meanwhile."""

    def set_rate(self, per_s: float) -> None:
        """Change the arrival rate; a closed loop has none."""

    def asked_per_s(self, at_ns: int) -> float:
        """Give the arrival rate asked for at a time; a closed loop has none."""
        return 0.0

    # ---- rows

    def row_of(self, arm: int, due: int, target: int) -> Row:
        """Give the row that a request belongs to."""
        if self.plan.version.source is not VersionSource.TARGET:
            return self.rows[arm]
        stratum = max(0, due - self.start_ns) // self.stratum_ns
        return self.ledger.row(arm, stratum, self.plan.targets[target].name)

    def turn_page(self, due: int) -> None:
        """Begin the stratum that a due time falls into."""
        stratum = max(0, due - self.start_ns) // self.stratum_ns
        self.page_end = self.start_ns + (stratum + 1) * self.stratum_ns
        is_same = not self.transport.varies and len(self.plan.targets) == 1
        self.rows = [self.ledger.row(arm, stratum) for arm in range(len(self.routes))]
        for arm, row in enumerate(self.rows):
            row.request = self.transport.request(arm % len(self.plan.arms), 0, 0) if is_same else None

    def drop(self, row: Row, tag: Tag | None) -> None:
        """Count an arrival that was never sent, in the row of its due time; it breaks its pair."""
        self.ledger.record(row, self.ledger.group("", Outcome.DROPPED, 0), 0, 0)
        self.dropped += 1
        if tag is not None:
            self.desk.ended(tag, row, 0, failed=True)

    def withhold(self, row: Row) -> None:
        """Count an arrival that the load breaker held back."""
        self.ledger.record(row, self.ledger.group("", Outcome.WITHHELD, 0), 0, 0)
        self.withheld += 1

    def closed_until(self, at_ns: int) -> int:
        """Give the first stratum in which something due is still open."""
        oldest = min(self.next_due, at_ns)
        for pool in self.pools.values():
            oldest = min(oldest, *(channel.due or oldest for channel in pool.channels), oldest)
            if pool.backlog:
                oldest = min(oldest, pool.backlog[0].due)
        return max(0, oldest - self.start_ns) // self.stratum_ns
