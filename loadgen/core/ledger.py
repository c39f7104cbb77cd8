"""The books of a run: who was asked when, what came of it. Written for each request, read ten times a second.

A row is one arm in one stratum (a clock interval of the *due* times, so nobody is left out for being slow). In it, each
group (version, outcome, status) has a dictionary from bucket to count: what arrived since the last look. Taking a look
hands the dictionaries over and starts new ones, so a look costs what changed, not what exists.

The transports write rows directly (`row[group]`, then one addition): the price of a method call there would be a tenth
of a request.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from loadgen.core.histogram import Sparse, bucket_of
from loadgen.core.outcome import UNSENT, Outcome, is_failure

VERSIONS_MAX = 32  # a response header is not ours: without a bound it could fill the memory
UNKNOWN = ""  # the version of a response that names none
OTHER = "(other)"  # the 33rd version and all after it


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What responses are told apart by."""

    version: str
    outcome: Outcome
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one group received in one stratum since the last look."""

    arm: str
    version: str
    outcome: Outcome
    status: int
    count: int
    latency: Sparse  # response time, from the due time; empty when never sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """The cells of one clock interval of due times: [index, index + 1) x stratum_s."""

    index: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Service times (from the actual send) of one arm and version."""

    arm: str
    version: str
    latency: Sparse


class Row(dict[int, dict[int, int]]):
    """Counts by group and bucket of one arm in one stratum, and what a connection needs beside them."""

    __slots__ = ("arm", "recent", "request", "service", "stratum", "target")

    def __init__(self, arm: int, stratum: int, target: str, service: "Times", recent: "deque[int]") -> None:
        super().__init__()
        self.arm = arm
        self.stratum = stratum
        self.target = target  # named only where the target is the version
        self.service = service
        self.recent = recent.append  # nanoseconds; negative when failed
        self.request: Any = None  # bytes, or what else the transport sends; None when each one differs

    def __missing__(self, group: int) -> dict[int, int]:
        cell = self[group] = {}
        return cell


class Times(dict[int, dict[int, int]]):
    """Counts by group and bucket, whatever the stratum."""

    def __missing__(self, group: int) -> dict[int, int]:
        cell = self[group] = {}
        return cell


class Ledger:
    """All rows of a run that are still of interest."""

    def __init__(self, arms: tuple[str, ...], recent: int) -> None:
        self.arms = arms
        self._groups: list[Group] = []
        self._facts: list[tuple[bool, bool]] = []  # of each group: whether it was sent, and whether it went well
        self._numbers: dict[tuple[str, Outcome, int], int] = {}
        self._versions: set[str] = set()
        self._rows: dict[tuple[int, int, str], Row] = {}
        self._services = tuple(Times() for _ in arms)
        self._recent: tuple[deque[int], ...] = tuple(deque(maxlen=recent) for _ in arms)
        self.start_delay: dict[int, int] = {}  # since the last look
        self.start_delays: dict[int, int] = {}  # before that
        self.closed_until = 0

    def group(self, version: str, outcome: Outcome, status: int) -> int:
        """Give a group its number."""
        if version and version not in self._versions:
            if len(self._versions) >= VERSIONS_MAX:
                version = OTHER
            self._versions.add(version)
        key = (version, outcome, status)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._groups)
            self._groups.append(Group(version=version, outcome=outcome, status=status))
            self._facts.append((outcome not in UNSENT, not is_failure(outcome)))
        return number

    def failed(self, group: int) -> bool:
        """Whether a group's requests count against somebody."""
        return not self._facts[group][1]

    def row(self, arm: int, stratum: int, target: str = "") -> Row:
        """Give the row of an arm in a stratum."""
        row = self._rows.get((arm, stratum, target))
        if row is None:
            row = Row(arm, stratum, target, self._services[arm], self._recent[arm])
            self._rows[arm, stratum, target] = row
        return row

    def record(self, row: Row, group: int, response_ns: int, service_ns: int) -> None:
        """Write one request down: the way that need not be fast."""
        is_sent, is_good = self._facts[group]
        if not is_sent:
            bump(row[group], 0)
            return
        bump(row[group], bucket_of(max(response_ns, 0)))
        if service_ns != response_ns:  # in a closed loop they are one, and written once
            bump(row.service[group], bucket_of(max(service_ns, 0)))
        row.recent(response_ns if is_good else -response_ns)

    def take(self) -> tuple[Stratum, ...]:
        """Hand over what was written since the last look, and forget rows that are closed."""
        strata: dict[int, list[Cell]] = {}
        for (arm, stratum, target), row in sorted(self._rows.items()):
            if row:
                strata.setdefault(stratum, []).extend(
                    self._cell(arm, self._groups[group], cell) for group, cell in row.items()
                )
                row.clear()
            if stratum < self.closed_until:
                del self._rows[arm, stratum, target]
        return tuple(Stratum(index=index, cells=tuple(cells)) for index, cells in sorted(strata.items()))

    def _cell(self, arm: int, group: Group, counts: dict[int, int]) -> Cell:
        return Cell(
            arm=self.arms[arm],
            version=group.version,
            outcome=group.outcome,
            status=group.status,
            count=sum(counts.values()),
            latency=[] if group.outcome in UNSENT else sorted(counts.items()),
        )

    def services(self) -> tuple[Service, ...]:
        """Give the service times of the whole run; in a closed loop there are none: they are the response times."""
        merged: dict[tuple[str, str], dict[int, int]] = {}
        for arm, times in zip(self.arms, self._services, strict=True):
            for group, counts in times.items():
                merge(merged.setdefault((arm, self._groups[group].version), {}), counts.items())
        return tuple(
            Service(arm=arm, version=version, latency=sorted(counts.items()))
            for (arm, version), counts in sorted(merged.items())
        )

    def take_recent(self) -> dict[str, list[tuple[int, bool]]]:
        """Hand over the last outcomes of each arm in order of completion: [microseconds, failed]."""
        taken = {
            arm: [(abs(value) // 1000, value < 0) for value in recent]
            for arm, recent in zip(self.arms, self._recent, strict=True)
            if recent
        }
        for recent in self._recent:
            recent.clear()
        return taken

    def take_start_delay(self) -> Sparse:
        """Hand over the start delays (sent - due) since the last look."""
        taken = sorted(self.start_delay.items())
        self.start_delay.clear()
        merge(self.start_delays, taken)
        return taken


def bump(cell: dict[int, int], bucket: int) -> None:
    """Count one."""
    cell[bucket] = cell.get(bucket, 0) + 1


def merge(into: dict[int, int], sparse: Iterable[tuple[int, int]]) -> None:
    """Add counts."""
    for bucket, count in sparse:
        into[bucket] = into.get(bucket, 0) + count
