"""What the engine sees of a transport: places that take one request at a time, and a shared desk where results go."""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from loadgen.core.histogram import bucket_of
from loadgen.core.http1_head import Head, HeadReader
from loadgen.core.ledger import Ledger, Row, bump
from loadgen.core.outcome import Outcome, is_failure, of_status
from loadgen.core.pairs import Pair, PairSum
from loadgen.core.plan import Plan, VersionSource
from loadgen.core.report import SLOWEST_MAX
from loadgen.transport.address import AddressBook
from loadgen.transport.clock import now_ns
from loadgen.transport.poller import Poller

Tag = tuple[int, int, Pair | None, int]  # request index, due (ns), the pair it belongs to, and its place in that pair


class Handler(Protocol):
    """Whoever is told that a descriptor is ready."""

    def readable(self) -> int:
        """Do what there is to do; give the time when a response was completed (the channel is free), otherwise 0."""


class Channel(Handler, Protocol):
    """A place that carries one request at a time."""

    due: int  # nanoseconds; 0 when idle
    pool: "Pool"
    bytes: int  # received so far
    sockets: int  # connections opened so far

    @property
    def is_connected(self) -> bool:
        """Whether a connection is there."""

    @property
    def is_dialing(self) -> bool:
        """Whether a connection is on its way."""

    def fire(self, due: int, sent: int, row: Row, request: Any, tag: Tag | None = None) -> None:
        """Send a request that was due then."""

    def expire(self, at_ns: int) -> None:
        """The request took too long: end it as a timeout, and come back as a free channel."""

    def abandon(self, at_ns: int) -> None:
        """The run is over: what is in flight lasted at least until now."""

    def warm(self) -> None:
        """Connect before anything is sent."""

    def close(self) -> None:
        """Let go of everything."""


class Pool:
    """The channels to one endpoint, those that are free, and the requests that wait for one."""

    __slots__ = ("addresses", "backlog", "cap", "channels", "free", "make", "server_name")

    def __init__(self, addresses: AddressBook, server_name: str, cap: int) -> None:
        self.addresses = addresses
        self.server_name = server_name
        self.cap = cap
        self.channels: list[Channel] = []
        self.free: list[Channel] = []
        self.backlog: deque[Waiting] = deque()
        self.make: Callable[[Pool], list[Channel]] = no_channels

    def grow(self) -> bool:
        """Open one more connection if the cap allows; True when there is a free channel now."""
        if len(self.channels) >= self.cap:
            return False
        fresh = self.make(self)
        self.channels.extend(fresh)
        self.free.extend(fresh)
        return True


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that is due and has no channel yet."""

    due: int
    row: Row
    request: Any
    tag: Tag | None


def no_channels(_: Pool) -> list[Channel]:
    """Make nothing: what a pool does until its transport is known."""
    return []


@dataclass(slots=True)
class Counters:
    """What is counted beside the ledger."""

    bytes_received: int = 0
    retried: int = 0
    client_errors: int = 0
    transport_failures: int = 0
    retry_after_s: float = 0.0  # the longest wait that a 429 or 503 asked for since the last look


class Desk:
    """Shared by all channels of a worker: the books, the poller, and who is ready again."""

    def __init__(self, plan: Plan, ledger: Ledger, poller: Poller) -> None:
        self.plan = plan
        self.ledger = ledger
        self.poller = poller
        self.heads = HeadReader(plan.version)
        self.by_fd: dict[int, Handler] = {}
        self.released: deque[Channel] = deque()  # channels that became free other than by a response just read
        self.counters = Counters()
        self.connect_times: dict[int, int] = {}
        self.connected_to: dict[str, int] = {}
        self.pair_sums: dict[str, PairSum] = {}
        self.slowest: list[tuple[int, Tag, int]] = []  # a heap: response time, tag, arm
        self.slow_limit_ns = 0
        self.is_careful = (
            plan.reads_body or plan.version.source is VersionSource.TARGET
        )  # the head alone says too little
        self._ok = frozenset(status for low, high in plan.ok_status for status in range(low, high + 1))

    def outcome_of(self, status: int, *, from_proxy: bool) -> Outcome:
        """Judge a status."""
        return Outcome.OK if status in self._ok else of_status(status, from_proxy=from_proxy)

    def group_of(self, head: Head) -> int:
        """Give the ledger's number of what a head means; asked once for each meaning."""
        if head.group < 0:
            outcome = self.outcome_of(head.status, from_proxy=head.from_proxy)
            head.group = self.ledger.group(head.version, outcome, head.status)
            head.is_good = not is_failure(outcome)
        return head.group

    def heed(self, head: Head) -> None:
        """Remember when a target asks us to wait."""
        if head.retry_after_s and head.status in (429, 503):
            self.counters.retry_after_s = max(self.counters.retry_after_s, head.retry_after_s)

    def failed(self, channel: Channel, row: Row, sent: int, tag: Tag | None, outcome: Outcome) -> int:
        """Write a request down that got no response."""
        at_ns = now_ns()
        self.ledger.record(row, self.ledger.group("", outcome, 0), at_ns - channel.due, at_ns - sent)
        if tag is not None:
            self.ended(tag, row, at_ns - channel.due, failed=True)
        if outcome is Outcome.CLIENT:
            self.counters.client_errors += 1
        self.counters.transport_failures += 1
        return at_ns

    def ended(self, tag: Tag, row: Row, response_ns: int, *, failed: bool) -> None:
        """Keep what is kept of single requests: the slowest ones' trace ids, and pairs."""
        _, _, pair, place = tag
        if pair is not None:
            pair.ended(place, -response_ns if failed else response_ns, self.pair_sums)
        if response_ns > self.slow_limit_ns:
            heapq.heappush(self.slowest, (response_ns, tag, row.arm))
            if len(self.slowest) > SLOWEST_MAX:
                heapq.heappop(self.slowest)
                self.slow_limit_ns = self.slowest[0][0]

    def connected(self, address: str, took_ns: int) -> None:
        """Count a connection."""
        bump(self.connect_times, bucket_of(took_ns))
        self.connected_to[address] = self.connected_to.get(address, 0) + 1
