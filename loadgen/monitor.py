"""The sweep: what is done ten times a second, so that nothing of it has to be done per request.

Time-outs, requests that waited too long, the load breaker, our own trustworthiness, and the snapshot. Snapshots are put
out only when whoever reads them is ready; until then they are added up, so a slow reader never slows the sender.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from loadgen.core.breaker import Answers, BestArm, BreakerState, Sample
from loadgen.core.histogram import Sparse, quantile_of
from loadgen.core.ledger import Cell, Stratum
from loadgen.core.merge import along
from loadgen.core.outcome import TRANSPORT, UNSENT
from loadgen.core.report import Accumulator, Closing, Report, Slow, Totals
from loadgen.core.request import trace_id
from loadgen.core.snapshot import Delay, Snapshot
from loadgen.core.trust import Measures, TrustKeeper, TrustLevel
from loadgen.engine import Engine
from loadgen.transport.clock import cpu_ns, now_ns, throttled, wall_s

SWEEP_S_MIN = 0.005
EXPIRE_SHARE = 0.1  # of the time-out: how late one may be noticed
THROTTLE_NS = 1_000_000_000  # how often the cgroup is asked: that is a file, and costs a tenth of a millisecond
EARLY = 0.95  # a snapshot may come this much earlier than its period: sweeps are not exactly periodic


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Every counter at one moment."""

    cpu_ns: int = 0
    throttled: int = 0
    dropped: int = 0
    withheld: int = 0
    retried: int = 0
    client_errors: int = 0
    bytes_received: int = 0
    in_flight: int = 0


class Monitor:
    """Looks after an engine, and speaks for it."""

    def __init__(self, engine: Engine, is_ready: Callable[[], bool], put: Callable[[Snapshot], None]) -> None:
        plan = self._plan = engine.plan
        self._engine, self._is_ready, self._put = engine, is_ready, put
        self._period_ns = round(max(SWEEP_S_MIN, min(plan.snapshot_s, plan.timeout_s * EXPIRE_SHARE)) * 1e9)
        self._timeout_ns = round(plan.timeout_s * 1e9)
        self._keeper = TrustKeeper()
        self._books = Accumulator(plan)
        self._best_arm = BestArm()
        self._pending: Snapshot | None = None
        self._before = Reading()
        self._throttled = throttled()
        self._throttle_at_ns = 0
        self._sent = 0
        self._last_ns = 0
        self._begin_cpu_ns = 0
        self._lag_ns = 0
        self.start_unix_s = 0.0
        engine.sweep = self.sweep

    def sweep(self, at_ns: int) -> None:
        """Do everything that is done ten times a second."""
        engine = self._engine
        self._lag_ns = max(self._lag_ns, at_ns - engine.sweep_at, engine.lag_ns_max)
        engine.lag_ns_max = 0
        engine.sweep_at = max(engine.sweep_at + self._period_ns, at_ns + self._period_ns // 2)
        engine.is_ending |= at_ns >= engine.end_ns
        self._expire(at_ns)
        for pool in engine.pools.values():
            pool.addresses.refresh(at_ns)
        if at_ns >= self._throttle_at_ns:
            self._throttle_at_ns = at_ns + THROTTLE_NS
            self._throttled = throttled()
        if at_ns - self._last_ns >= self._plan.snapshot_s * EARLY * 1e9:
            self.look(at_ns)

    def begin(self) -> None:
        """Tie the wall clock to the run's."""
        self.start_unix_s = wall_s() + (self._engine.start_ns - now_ns()) / 1e9
        self._last_ns = self._engine.start_ns
        self._begin_cpu_ns = cpu_ns()
        self._before = self._read()

    def _expire(self, at_ns: int) -> None:
        """End requests that take too long, counted from when they were due."""
        oldest = at_ns - self._timeout_ns
        for pool in self._engine.pools.values():
            for channel in pool.channels:
                if 0 < channel.due < oldest:
                    channel.expire(at_ns)
            while pool.backlog and pool.backlog[0].due < oldest:
                waiting = pool.backlog.popleft()
                self._engine.drop(waiting.row, waiting.tag)

    def look(self, at_ns: int) -> None:
        """Measure ourselves, move the breaker, and put a snapshot out if it can be read."""
        catch_up = self._engine.catch_up  # nothing here may hold an arrival up for long
        fresh = self._snapshot(at_ns)
        catch_up()
        self._books.add(fresh.strata, fresh.pairs, fresh.closed_until)
        catch_up()
        self._pending = fresh if self._pending is None else along(self._pending, fresh)
        if self._is_ready():
            self._put(self._pending)
            self._pending = None

    def _read(self) -> Reading:
        """Read every counter."""
        counters = self._engine.desk.counters
        return Reading(
            cpu_ns=cpu_ns(),
            throttled=self._throttled,
            dropped=self._engine.dropped,
            withheld=self._engine.withheld,
            retried=counters.retried,
            client_errors=counters.client_errors,
            bytes_received=sum(channel.bytes for channel in self._engine.channels),
            in_flight=self._engine.in_flight,
        )

    def _snapshot(self, at_ns: int) -> Snapshot:
        """Take what happened since the last look."""
        engine = self._engine
        engine.ledger.closed_until = engine.closed_until(at_ns)
        strata = engine.ledger.take()
        now, before = self._read(), self._before
        completed = sum(cell.count for cell in cells_of(strata) if cell.outcome not in UNSENT)
        sent = completed + now.in_flight - before.in_flight
        window_s = max((at_ns - self._last_ns) / 1e9, 1e-6)
        cpu_share = (now.cpu_ns - before.cpu_ns) / 1e9 / window_s
        measures = Measures(
            window_s=window_s,
            lag_s_max=self._lag_ns / 1e9,
            cpu_share=cpu_share,
            throttled=now.throttled - before.throttled,
            sent=sent,
            dropped=now.dropped - before.dropped,
            client_errors=now.client_errors - before.client_errors,
        )
        trust = self._keeper.add(measures)
        was_evidence = engine.breaker is None or engine.breaker.is_evidence
        recent = engine.ledger.take_recent()
        breaker = self._move_breaker(at_ns, strata, measures, median_s(recent))
        is_evidence = was_evidence and (engine.breaker is None or engine.breaker.is_evidence)
        pairs = tuple(engine.desk.pair_sums.values())
        engine.desk.pair_sums.clear()
        self._before, self._last_ns, self._lag_ns = now, at_ns, 0
        self._sent += sent
        return Snapshot(
            start_unix_s=self.start_unix_s,
            as_of_s=(at_ns - engine.start_ns) / 1e9,
            window_s=window_s,
            strata=strata,
            closed_until=engine.ledger.closed_until,
            start_delay=delay_of(engine.ledger.take_start_delay()),
            recent=recent,
            pairs=pairs,
            in_flight=now.in_flight,
            connections=sum(1 for channel in engine.channels if channel.is_connected),
            sent=sent,
            completed=completed,
            dropped=measures.dropped,
            withheld=now.withheld - before.withheld,
            retried=now.retried - before.retried,
            bytes_received=now.bytes_received - before.bytes_received,
            asked_per_s=engine.asked_per_s(at_ns),
            achieved_per_s=sent / window_s,
            lag_s_max=measures.lag_s_max,
            cpu_share=cpu_share,
            trust=trust,
            breaker=breaker,
            is_evidence=is_evidence and trust.level is not TrustLevel.INVALID,
        )

    def _move_breaker(
        self, at_ns: int, strata: tuple[Stratum, ...], measures: Measures, median_s: float
    ) -> BreakerState:
        """Let the breaker see the window, by the arm that fares best: one bad arm is news, not a target in distress."""
        engine = self._engine
        if engine.breaker is None:
            return BreakerState.CLOSED
        at_s = (at_ns - engine.start_ns) / 1e9
        completed, failed = self._best_arm.add(at_s, answers_of(strata))
        counters = engine.desk.counters
        sample = Sample(
            at_s=at_s,
            completed=completed,
            failed=failed,
            median_s=median_s,
            is_full=not self._plan.closed and bool(engine.waiting or measures.dropped),
            lag_s=measures.lag_s_max,
            retry_after_s=counters.retry_after_s,
        )
        counters.retry_after_s = 0.0
        before = engine.breaker.state
        state = engine.breaker.observe(sample)
        if state is not before:
            self._best_arm.forget()
        return state

    def report(self, at_ns: int, *, interrupted: bool) -> Report:
        """Give the account of the whole run."""
        engine, desk = self._engine, self._engine.desk
        now = self._read()
        slowest = tuple(
            Slow(
                response_s=response_ns / 1e9,
                trace_id=trace_id(self._plan.seed, tag[0]) if self._plan.trace else "",
                arm=engine.ledger.arms[arm],
                due_s=(tag[1] - engine.start_ns) / 1e9,
            )
            for response_ns, tag, arm in sorted(desk.slowest, reverse=True, key=lambda entry: entry[0])
        )
        totals = Totals(
            start_unix_s=self.start_unix_s,
            duration_s=max((at_ns - engine.start_ns) / 1e9, 1e-9),
            sent=self._sent,
            dropped=now.dropped,
            withheld=now.withheld,
            retried=now.retried,
            bytes_received=now.bytes_received,
            services=engine.ledger.services(),
            start_delay=sorted(engine.ledger.start_delays.items()),
        )
        due = self._sent + now.dropped
        closing = Closing(
            trust=self._keeper.whole(sent=self._sent, due=due),
            cpu_s=(now.cpu_ns - self._begin_cpu_ns) / 1e9,
            connect=sorted(desk.connect_times.items()),
            sockets=tuple(channel.sockets for channel in engine.channels),
            addresses=dict(desk.connected_to),
            slowest=slowest,
            breaker=tuple(engine.breaker.changes) if engine.breaker else (),
            interrupted=interrupted,
        )
        return self._books.report(totals, closing)

    @property
    def pending(self) -> Snapshot | None:
        """What nobody was ready to read yet."""
        return self._pending


def median_s(recent: dict[str, list[tuple[int, bool]]]) -> float:
    """Give the median of the last good responses of the arm that fares best, 0 when there are none."""
    good = (sorted(latency_us for latency_us, failed in outcomes if not failed) for outcomes in recent.values())
    return min((times[len(times) // 2] / 1e6 for times in good if times), default=0.0)


def answers_of(strata: tuple[Stratum, ...]) -> Answers:
    """Count what was sent and what of it got no answer, by arm."""
    arms: Answers = {}
    for cell in cells_of(strata):
        if cell.outcome not in UNSENT:
            completed, failed = arms.get(cell.arm, (0, 0))
            lost = cell.count if cell.outcome in TRANSPORT else 0
            arms[cell.arm] = (completed + cell.count, failed + lost)
    return arms


def delay_of(sparse: Sparse) -> Delay:
    """Sum start delays up."""
    total = sum(count for _, count in sparse)
    p50, p99, top = (quantile_of(sparse, total, share) or 0.0 for share in (0.5, 0.99, 1.0))
    return Delay(p50_s=p50, p99_s=p99, max_s=top)


def cells_of(strata: tuple[Stratum, ...]) -> Iterator[Cell]:
    """Give all cells of all strata."""
    return (cell for stratum in strata for cell in stratum.cells)
