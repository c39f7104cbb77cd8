"""The account of a whole run: snapshots added up, nothing rounded, small enough to keep.

Totals keep full histograms by arm, version, outcome and status. The time series keeps a few quantiles for each stratum,
computed when the stratum is closed and its histogram can be forgotten, so memory does not grow with requests.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from loadgen.core.breaker import BreakerChange
from loadgen.core.histogram import Histogram, Sparse, merged
from loadgen.core.ledger import Cell, Service, Stratum
from loadgen.core.outcome import UNSENT, Outcome, is_failure
from loadgen.core.pairs import PairSum
from loadgen.core.plan import Plan
from loadgen.core.trust import Trust, combined

SLOWEST_MAX = 10
POINTS_MAX = 50_000  # two hours of seven arms and versions; what comes later is in the totals only


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """One of the slowest requests, and where to look it up."""

    response_s: float
    trace_id: str
    arm: str
    due_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One arm and version in one stratum."""

    at_s: float
    arm: str
    version: str
    count: int
    failed: int
    p50_s: float
    p90_s: float
    p99_s: float
    max_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """What only a worker knows, and tells at its end."""

    trust: Trust = field(default_factory=Trust)
    cpu_s: float = 0.0
    connect: Sparse = field(default_factory=list)  # time to connect (and shake hands), by bucket
    sockets: tuple[int, ...] = ()  # connections opened in each place
    connect_by_place: tuple[Sparse, ...] = ()
    addresses: dict[str, int] = field(default_factory=dict)  # connections opened to each address
    slowest: tuple[Slow, ...] = ()
    breaker: tuple[BreakerChange, ...] = ()
    interrupted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that is known after a run."""

    plan: Plan
    start_unix_s: float
    duration_s: float  # from the start to the last response
    workers: int
    sent: int
    dropped: int
    withheld: int
    retried: int
    bytes_received: int
    cells: tuple[Cell, ...]
    services: tuple[Service, ...]
    start_delay: Sparse
    points: tuple[Point, ...]
    pairs: tuple[PairSum, ...]
    closing: Closing

    @property
    def completed(self) -> int:
        """How many requests were sent and ended."""
        return sum(cell.count for cell in self.cells if cell.outcome not in UNSENT)

    @property
    def failed(self) -> int:
        """How many of those failed."""
        return sum(cell.count for cell in self.cells if is_failure(cell.outcome))

    @property
    def error_share(self) -> float:
        """Which share of those failed."""
        return self.failed / self.completed if self.completed else 0.0

    def response(self, *, arm: str | None = None, version: str | None = None) -> Histogram:
        """Add response times (from the due time) up, of everything or of one arm or version."""
        histogram = Histogram()
        for cell in self.cells:
            if arm in (None, cell.arm) and version in (None, cell.version):
                histogram.add(cell.latency)
        return histogram

    def service(self) -> Histogram:
        """Add service times (from the actual send) up."""
        histogram = Histogram()
        for service in self.services:
            histogram.add(service.latency)
        return histogram


class Accumulator:
    """Adds snapshots up into a report."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._totals: dict[tuple[str, str, Outcome, int], Histogram] = {}
        self._unsent: dict[tuple[str, str, Outcome, int], int] = {}
        self._open: dict[int, dict[tuple[str, str, Outcome, int], Histogram]] = {}
        self._points: list[Point] = []
        self._pairs: dict[str, PairSum] = {}
        self._first_stratum = int(plan.warmup_s / plan.stratum_s + 0.999999)
        self._closed_until = 0

    def add(self, strata: Iterable[Stratum], pairs: Iterable[PairSum], closed_until: int) -> None:
        """Add one snapshot's deltas."""
        for stratum in strata:
            if stratum.index >= self._first_stratum:
                self._add_cells(stratum)
        for pair in pairs:
            self._pairs[pair.arm] = self._pairs[pair.arm].plus(pair) if pair.arm in self._pairs else pair
        self.close(closed_until)

    def _add_cells(self, stratum: Stratum) -> None:
        """Add to the open stratum only: the totals get it when it is closed, once instead of ten times a second."""
        waiting = self._open.setdefault(stratum.index, {})
        for cell in stratum.cells:
            key = (cell.arm, cell.version, cell.outcome, cell.status)
            if cell.outcome in UNSENT:
                self._unsent[key] = self._unsent.get(key, 0) + cell.count
                continue
            waiting.setdefault(key, Histogram()).add(cell.latency)

    def close(self, until: int) -> None:
        """Sum strata below *until* up: into the totals, and into points of the time series."""
        for index in sorted(index for index in self._open if index < until):
            sides: dict[tuple[str, str], dict[Outcome, list[Histogram]]] = {}
            for (arm, version, outcome, status), times in sorted(self._open.pop(index).items()):
                self._totals.setdefault((arm, version, outcome, status), Histogram()).add(times.counts.items())
                sides.setdefault((arm, version), {}).setdefault(outcome, []).append(times)
            for (arm, version), outcomes in sides.items():
                if len(self._points) < POINTS_MAX:
                    self._points.append(point_of(index * self._plan.stratum_s, arm, version, outcomes))

    def report(self, totals: "Totals", closing: Closing) -> Report:
        """Give the account."""
        self.close(1 << 60)
        cells = [
            Cell(arm=arm, version=version, outcome=outcome, status=status, count=times.count, latency=times.sparse())
            for (arm, version, outcome, status), times in sorted(self._totals.items())
        ]
        cells += [
            Cell(arm=arm, version=version, outcome=outcome, status=status, count=count, latency=[])
            for (arm, version, outcome, status), count in sorted(self._unsent.items())
        ]
        return Report(
            plan=self._plan,
            start_unix_s=totals.start_unix_s,
            duration_s=totals.duration_s,
            workers=totals.workers,
            sent=totals.sent,
            dropped=totals.dropped,
            withheld=totals.withheld,
            retried=totals.retried,
            bytes_received=totals.bytes_received,
            cells=tuple(cells),
            services=totals.services,
            start_delay=totals.start_delay,
            points=tuple(self._points),
            pairs=tuple(self._pairs.values()),
            closing=closing,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counters of a run."""

    start_unix_s: float
    duration_s: float
    workers: int = 1
    sent: int = 0
    dropped: int = 0
    withheld: int = 0
    retried: int = 0
    bytes_received: int = 0
    services: tuple[Service, ...] = ()
    start_delay: Sparse = field(default_factory=list)


def point_of(at_s: float, arm: str, version: str, outcomes: Mapping[Outcome, Iterable[Histogram]]) -> Point:
    """Sum one arm and version of a closed stratum up."""
    together = merged(times.counts for several in outcomes.values() for times in several)
    p50, p90, p99, top = (value or 0.0 for value in together.quantiles_s((0.5, 0.9, 0.99, 1.0)))
    failed = sum(times.count for outcome, several in outcomes.items() if is_failure(outcome) for times in several)
    return Point(
        at_s=at_s,
        arm=arm,
        version=version,
        count=together.count,
        failed=failed,
        p50_s=p50,
        p90_s=p90,
        p99_s=p99,
        max_s=top,
    )


def merged_closing(closings: tuple[Closing, ...], extra: tuple[Trust, ...] = ()) -> Closing:
    """Add several workers' closings up; *extra* is what the parent has to say."""
    connect = Histogram()
    addresses: dict[str, int] = {}
    for closing in closings:
        connect.add(closing.connect)
        for address, count in closing.addresses.items():
            addresses[address] = addresses.get(address, 0) + count
    slowest = sorted((slow for closing in closings for slow in closing.slowest), key=lambda slow: -slow.response_s)
    changes = sorted((change for closing in closings for change in closing.breaker), key=lambda change: change.at_s)
    return Closing(
        trust=combined((*(closing.trust for closing in closings), *extra)),
        cpu_s=sum(closing.cpu_s for closing in closings),
        connect=connect.sparse(),
        sockets=tuple(count for closing in closings for count in closing.sockets),
        connect_by_place=tuple(times for closing in closings for times in closing.connect_by_place),
        addresses=addresses,
        slowest=tuple(slowest[:SLOWEST_MAX]),
        breaker=tuple(changes),
        interrupted=any(closing.interrupted for closing in closings),
    )
