"""`loadgen_*` for Prometheus while a run runs: base units, one scrape away, no URL or user in any label."""

from types import TracebackType
from typing import Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from loadgen.core.histogram import middle_s
from loadgen.core.ledger import Cell
from loadgen.core.outcome import UNSENT
from loadgen.core.snapshot import Snapshot

BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10)


class Meter:
    """Adds snapshots up and serves the sums."""

    def __init__(self, address: str) -> None:
        self._host, _, port = address.rpartition(":")
        if not port.isdigit():
            raise ValueError(f"--metrics: expected host:port, got {address!r}")
        self._port = int(port)
        self.registry = registry = CollectorRegistry()
        self._requests = Counter("loadgen_requests", "Requests that ended.", ("version", "outcome"), registry=registry)
        self._durations = Histogram(
            "loadgen_request_duration_seconds",
            "Response time from the due time.",
            ("version",),
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._start_delay = Gauge(
            "loadgen_start_delay_seconds", "Worst start delay of the last window.", registry=registry
        )
        self._target_rate = Gauge("loadgen_target_rate", "Requests asked for, per second.", registry=registry)
        self._in_flight = Gauge("loadgen_in_flight", "Requests sent and not ended.", registry=registry)
        self._dropped = Counter("loadgen_dropped", "Requests that were due and never sent.", registry=registry)
        self._bytes = Counter("loadgen_bytes", "Bytes on the wire.", ("direction",), registry=registry)
        self._trusted = Gauge("loadgen_trusted", "1 while the generator believes itself.", registry=registry)

    def __enter__(self) -> Self:
        self._server, self._thread = start_http_server(self._port, self._host or "127.0.0.1", registry=self.registry)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        """Where it is served."""
        return int(self._server.server_port)

    def update(self, snapshot: Snapshot) -> None:
        """Add a snapshot up."""
        for stratum in snapshot.strata:
            for cell in stratum.cells:
                if cell.outcome not in UNSENT:
                    self._add(cell)
        self._start_delay.set(snapshot.start_delay.max_s)
        self._target_rate.set(snapshot.asked_per_s)
        self._in_flight.set(snapshot.in_flight)
        self._dropped.inc(snapshot.dropped + snapshot.withheld)
        self._bytes.labels("received").inc(snapshot.bytes_received)
        self._trusted.set(snapshot.is_evidence)

    def _add(self, cell: Cell) -> None:
        self._requests.labels(cell.version, cell.outcome.value).inc(cell.count)
        durations = self._durations.labels(cell.version)
        for bucket, count in cell.latency:
            for _ in range(count):
                durations.observe(middle_s(bucket))
