"""The open loop: requests are sent when they are due, whatever became of those before.

A timer wakes us at the next due time, and after every response the next due time is looked at too, so a batch of
responses never delays a send. When every connection is busy, a due request waits (its response time counts from its due
time) or is dropped and counted, as the plan says.
"""

from collections.abc import Iterator
from typing import Any

from loadgen.core import arms as draw
from loadgen.core.histogram import bucket_of
from loadgen.core.ledger import Row, bump
from loadgen.core.pairs import NOISE, Pair
from loadgen.core.plan import Late, Pace, Stage
from loadgen.core.schedule import Schedule, rate_at
from loadgen.core.snapshot import Assignment
from loadgen.engine import MASK, Engine, Transport
from loadgen.transport.channel import Channel, Pool, Tag, Waiting
from loadgen.transport.clock import FAR_NS, now_ns
from loadgen.transport.poller import Poller

SPIN_NS = 60_000  # how much earlier than due the spinning pace wakes: a little more than a wake-up takes
TICK_NS = 1_000_000  # the economy pace's tick
BACKLOG_MAX = 100_000  # requests waiting for a connection: three seconds at 30,000/s, some 20 MB


class OpenLoop(Engine):
    """Follows the plan's schedule."""

    def __init__(self, assignment: Assignment, transport: Transport, poller: Poller) -> None:
        super().__init__(assignment, transport, poller)
        plan = self.plan
        self._orders = draw.draw_orders(len(plan.arms), plan.seed) if plan.pairing else []
        self._noise = draw.draw_noise(plan.noise_share, plan.seed)
        self._is_plain = not (plan.pairing or plan.trace or len(plan.targets) > 1 or transport.varies)
        self._walk: Iterator[tuple[int, int]] = iter(())
        self._base_ns = 0
        self._next_index = 0
        self._launched = 0
        self._rate: float | None = None  # what a command asked for, instead of the plan
        self._ahead, self._ahead_at = (
            1.0,
            0,
        )  # expected arrivals until the next one, as of then; for when none is planned

    def begin(self) -> None:
        """Find the first arrival."""
        plan = self.plan
        schedule = Schedule(stages=plan.stages, arrivals=plan.arrivals, seed=plan.seed, requests=plan.requests)
        self._base_ns = self.start_ns
        self._walk = schedule.walk(self.share.index, self.share.of)
        if not self.is_stopping:
            self._advance()

    def _advance(self) -> None:
        """Look at the next arrival."""
        for index, due in self._walk:
            self._next_index, self.next_due = index, self._base_ns + due
            return
        self.next_due = FAR_NS
        self.is_ending = True

    def has_arrivals(self, at_ns: int) -> bool:
        """Whether more will be due."""
        return self.next_due < FAR_NS

    def set_rate(self, per_s: float) -> None:
        """Change the arrival rate from now on, until the planned end.

        The next arrival keeps its place in the expected count: it comes sooner or later by the ratio of the rates, so
        changing the rate often neither adds nor loses arrivals.
        """
        at = now_ns()
        left_s = (self.end_ns - at) / 1e9
        is_done = self.plan.requests and self._launched >= self.share_of(self.plan.requests)
        if self.is_stopping or left_s <= 0 or is_done:
            return
        self._ahead, self._ahead_at = self._ahead_of(at), at
        stages = (Stage(from_per_s=per_s, to_per_s=per_s, duration_s=left_s),)
        left = self.share_of(self.plan.requests) - self._launched if self.plan.requests else 0
        schedule = Schedule(
            stages=stages, arrivals=self.plan.arrivals, seed=self.plan.seed ^ at, requests=left, first=self._ahead
        )
        base, step = self._next_index, self.share.of
        self._walk = ((base + step * index, due) for index, due in schedule.walk())
        self._base_ns, self._rate = at, per_s
        self._advance()

    def _ahead_of(self, at: int) -> float:
        """Give how many arrivals are expected until the next one, counted at the rate asked for."""
        per_s = self.asked_per_s(at)
        if self.next_due < FAR_NS:
            return per_s * max(0, self.next_due - at) / 1e9
        return max(0.0, self._ahead - per_s * (at - self._ahead_at) / 1e9)

    def asked_per_s(self, at_ns: int) -> float:
        """Give the arrival rate asked for at a time."""
        if self.is_stopping:
            return 0.0
        if self._rate is not None:
            return self._rate
        return rate_at(self.plan.stages, (at_ns - self.start_ns) / 1e9) / self.share.of

    def turn(self) -> None:
        """Send what is due, then wait for responses or the next due time."""
        at = now_ns()
        if at >= self.sweep_at:
            self.sweep(at)
        while self.next_due <= at:
            at = self._launch()
        if self.desk.released:
            self._take_back()
        by_fd = self.desk.by_fd
        for fd, _ in self._wait():
            handler = by_fd.get(fd)
            if handler is None:
                continue
            at = handler.readable()
            if at:
                self._free(handler)  # type: ignore[arg-type]  # only channels give a time
                if self.next_due <= at:
                    self._launch()

    def catch_up(self) -> None:
        """Send what has become due meanwhile."""
        at = now_ns()
        while self.next_due <= at:
            at = self._launch()

    def _wait(self) -> list[tuple[int, int]]:
        """Wait for the next due time, the next sweep, or a descriptor, at the plan's pace."""
        at = min(self.next_due, self.sweep_at)
        poller = self.poller
        if self.desk.released:
            return poller.poll_nowait()
        match self.plan.pace:
            case Pace.TIMER:
                poller.wake_at(at)
            case Pace.ECONOMY:
                poller.wake_at(-(-at // TICK_NS) * TICK_NS)
            case Pace.SPIN:
                if at - now_ns() <= SPIN_NS:
                    return poller.poll_nowait()
                poller.wake_at(at - SPIN_NS)
        return poller.poll()

    def _launch(self) -> int:
        """Send the next arrival; the time when it was sent."""
        due, index = self.next_due, self._next_index
        self._launched += 1
        self._advance()
        if self.next_due == FAR_NS:
            self._ahead, self._ahead_at = 1.0, due
        if due >= self.page_end:
            self.turn_page(due)
        if self.breaker is not None and self.breaker.limits and not self.breaker.admit((due - self.start_ns) / 1e9):
            self.withhold(self.row_of(self.draws[index & MASK], due, 0))
            return now_ns()
        if self._is_plain:
            arm = self.draws[index & MASK]
            row = self.rows[arm]
            return self._send(self.routes[arm][0], due, row, row.request, None)
        if self.plan.pairing:
            return self._launch_pair(due, index)
        return self._launch_one(self.draws[index & MASK], due, index, None, 0)

    def _launch_pair(self, due: int, index: int) -> int:
        """Send one request of every arm, or of the first arm twice, in random order."""
        noise_arm = len(self.plan.arms)
        is_noise = self._noise[index & MASK]
        arms = (0, noise_arm) if is_noise else tuple(range(noise_arm))
        order = arms[:: 1 if index & 1 else -1] if is_noise else self._orders[index & MASK]
        pair = Pair(tuple(NOISE if arm == noise_arm else self.plan.arms[arm].name for arm in arms))
        at = 0
        for arm in order:
            at = self._launch_one(arm, due, index, pair, arms.index(arm))
        return at

    def _launch_one(self, arm: int, due: int, index: int, pair: Pair | None, place: int) -> int:
        target = self.targets[index & MASK]
        row = self.row_of(arm, due, target)
        request = row.request
        if request is None:
            number = index * (len(self.plan.arms) + 1) + place if pair else index
            request = self.transport.request(arm % len(self.plan.arms), target, number)
            index = number
        return self._send(self.routes[arm][target], due, row, request, (index, due, pair, place))

    def _send(self, pool: Pool, due: int, row: Row, request: Any, tag: Tag | None) -> int:
        """Send now when a channel is free, otherwise let it wait or drop it."""
        if not pool.free and not pool.grow():
            if self.plan.late is Late.SKIP or len(pool.backlog) >= BACKLOG_MAX:
                self.drop(row, tag)
            else:
                pool.backlog.append(Waiting(due, row, request, tag))
            return now_ns()
        at = now_ns()
        delay = at - due
        if delay <= 0:
            at, delay = due + 1, 1
        if delay > self.lag_ns_max:
            self.lag_ns_max = delay
        bump(self.ledger.start_delay, bucket_of(delay))
        pool.free.pop().fire(due, at, row, request, tag)
        return at

    def _free(self, channel: Channel) -> None:
        """Take a channel back, or use it at once for a request that waits."""
        pool = channel.pool
        if not pool.backlog:
            pool.free.append(channel)
            return
        waiting = pool.backlog.popleft()
        at = now_ns()
        bump(self.ledger.start_delay, bucket_of(at - waiting.due))
        channel.fire(waiting.due, at, waiting.row, waiting.request, waiting.tag)

    def _take_back(self) -> None:
        """Take back the channels that were released by a failure, a time-out, or a multiplexed response."""
        released = self.desk.released
        for _ in range(len(released)):
            self._free(released.popleft())
