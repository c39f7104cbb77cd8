"""What a worker says, line by line: the protocol between a worker and whoever started it.

To the worker: one line with an `Assignment` (the plan, and which share of it), then commands, one line each:
`{"command": "stop"}`, `{"command": "rate", "per_s": 50}`. The end of that stream means that the parent died.
From the worker: `started`, then a `snapshot` every tenth of a second (fewer when the reader is slow: then each covers
more), then `finished` with the whole report, or `failed` with the reason. Each line is a JSON object with its "type".

Everything in a snapshot is a delta since the one before, so adding snapshots up, across time or workers, is exact.
Latencies are sparse histograms, [[bucket, count], ...]; `histogram.upper_edge_s(bucket)` gives a bucket's upper edge.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from loadgen.core.breaker import BreakerState
from loadgen.core.codec import from_json, to_json, wrong
from loadgen.core.histogram import Histogram
from loadgen.core.ledger import Cell, Stratum
from loadgen.core.outcome import Outcome, is_failure
from loadgen.core.pairs import PairSum
from loadgen.core.plan import Plan
from loadgen.core.report import Report
from loadgen.core.trust import Trust

LINE_BYTES_MAX = 64 << 20  # a finished line of a long run with many groups is some 10 MB
PROTOCOL = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A worker's share: arrivals *index*, index + of, index + 2 of, ... of the plan."""

    plan: Plan
    index: int = 0
    of: int = 1
    start_monotonic_ns: int = 0  # when the clock starts, for workers that start together; 0 means at once

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.of <= 256:
            raise ValueError("expected 0 <= index < of <= 256")


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The clock runs: due time 0 was at `start_unix_s`."""

    start_unix_s: float
    pid: int
    protocol: int = PROTOCOL


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """One arm and version since the snapshot before: all strata, all outcomes together."""

    arm: str
    version: str
    completed: int
    failures: dict[Outcome, int]
    latency: Histogram = field(default_factory=Histogram)

    @property
    def failed(self) -> int:
        """How many of the completed failed, for whatever reason."""
        return sum(self.failures.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """How late requests were sent, for whatever reason. Of several workers: the worst one's."""

    p50_s: float = 0.0
    p99_s: float = 0.0
    max_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What happened since the snapshot before."""

    start_unix_s: float
    as_of_s: float  # since the start
    window_s: float  # what it covers
    strata: tuple[Stratum, ...]  # by due time; the requests that ended in this window
    closed_until: int  # every stratum below this index is complete: nothing due in it is still open
    start_delay: Delay  # sent - due
    recent: dict[str, list[tuple[int, bool]]]  # by arm: the last [microseconds, failed], in order of completion
    pairs: tuple[PairSum, ...]
    in_flight: int
    connections: int
    sent: int
    completed: int
    dropped: int
    withheld: int
    retried: int
    bytes_received: int
    asked_per_s: float
    achieved_per_s: float
    lag_s_max: float  # the generator's own lateness
    cpu_share: float
    trust: Trust
    breaker: BreakerState
    is_evidence: bool  # trusted, and the breaker was closed during the whole window

    def tallies(self) -> tuple[Tally, ...]:
        """Group by (arm, version): what an on-line judge wants when strata do not matter."""
        return tallies_of(cell for stratum in self.strata for cell in stratum.cells)


def tallies_of(cells: Iterable[Cell]) -> tuple[Tally, ...]:
    """Add cells up by arm and version; requests that were never sent are not in it."""
    found: dict[tuple[str, str], Tally] = {}
    for cell in cells:
        if not cell.latency:
            continue
        key = (cell.arm, cell.version)
        before = found.get(key) or Tally(arm=cell.arm, version=cell.version, completed=0, failures={})
        failures = dict(before.failures)
        if is_failure(cell.outcome):
            failures[cell.outcome] = failures.get(cell.outcome, 0) + cell.count
        before.latency.add(cell.latency)
        found[key] = Tally(
            arm=cell.arm,
            version=cell.version,
            completed=before.completed + cell.count,
            failures=failures,
            latency=before.latency,
        )
    return tuple(found[key] for key in sorted(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The run is over."""

    report: Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The run could not start, or could not go on."""

    kind: str  # "plan": wrong or refused input; "world": names, addresses, files
    message: str


Message = Started | Snapshot | Finished | Failed
KINDS: dict[str, type[Started] | type[Snapshot] | type[Finished] | type[Failed]] = {
    "started": Started,
    "snapshot": Snapshot,
    "finished": Finished,
    "failed": Failed,
}
NAMES: dict[type, str] = {kind: name for name, kind in KINDS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a parent asks of a running worker."""

    command: str
    per_s: float = 0.0

    def __post_init__(self) -> None:
        if self.command not in {"stop", "rate"}:
            raise ValueError(f"command: expected stop or rate, got {self.command!r}")
        if not 0 <= self.per_s < 1e9:
            raise ValueError("per_s must be at least 0")


def encode(message: Message | Assignment | Command) -> bytes:
    """Write one line."""
    document = cast("dict[str, object]", to_json(message))
    kind = NAMES.get(type(message))
    tagged = {"type": kind, **document} if kind else document
    return json.dumps(tagged, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Read one line from a worker, or raise ValueError."""
    document = parsed(line)
    kind = document.pop("type", None)
    if kind not in KINDS:
        raise ValueError(f"type: unknown message {kind!r}")
    return from_json(KINDS[str(kind)], document)


def decode_assignment(line: bytes) -> Assignment:
    """Read the first line a worker is given."""
    return from_json(Assignment, parsed(line))


def decode_command(line: bytes) -> Command:
    """Read a later line a worker is given."""
    return from_json(Command, parsed(line))


def parsed(line: bytes) -> dict[str, object]:
    """Parse a JSON object."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise wrong("", "an object", document)
    return document
