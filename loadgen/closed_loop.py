"""The closed loop: each connection sends its next request when its last response is complete. As fast as it goes.

It measures what the target can do, not how it feels to arrive there: due and sent are the same instant, so a slow
target slows its own load down. The docs say when that is the wrong question.
"""

from collections.abc import Callable

from loadgen.core import arms as draw
from loadgen.core.snapshot import Assignment
from loadgen.engine import MASK, Engine, Transport
from loadgen.transport.channel import Channel, Pool
from loadgen.transport.clock import FAR_NS, now_ns
from loadgen.transport.poller import Poller


class ClosedLoop(Engine):
    """Keeps every connection busy."""

    def __init__(self, assignment: Assignment, transport: Transport, poller: Poller) -> None:
        super().__init__(assignment, transport, poller)
        plan = self.plan
        self._left = self.share_of(plan.requests) if plan.requests else FAR_NS
        self._index = 0
        self._quotas: dict[int, int] = {}  # calls that a channel may still make, by its id
        self._choices = {id(pool): self._choices_for(pool) for pool in self.pools.values()}
        self._is_plain = not (
            plan.trace or plan.requests or len(plan.targets) > 1 or len(plan.arms) > 1 or transport.varies
        )

    def _choices_for(self, pool: Pool) -> list[tuple[int, int]]:
        """Give the cycle of (arm, target) whose requests go to a pool's endpoint."""
        cycle = list(zip(self.draws, self.targets, strict=True))
        mine = [(arm, target) for arm, target in cycle if self.routes[arm][target] is pool]
        return [mine[place % len(mine)] for place in range(draw.CYCLE)]

    def begin(self) -> None:
        """Make every connection ready for its first request."""
        self.turn_page(self.start_ns)
        each, rest = divmod(self.plan.requests, self.plan.connections)
        for pool in self.pools.values():
            pool.free.clear()
            while pool.grow():
                pool.free.clear()
            for place, channel in enumerate(pool.channels):
                self.desk.released.append(channel)
                self._quotas[id(channel)] = each + (rest if place == 0 else 0)  # fortio's split: 20 over 3 is 8, 6, 6

    def has_arrivals(self, at_ns: int) -> bool:
        """Whether more will be sent."""
        return not self.is_stopping and self._left > 0 and at_ns < self.end_ns

    def turn(self) -> None:
        """Wait for responses; send the next request on each connection that became free."""
        released = self.desk.released
        for _ in range(len(released)):
            self._next(released.popleft(), now_ns())
        is_limited = self.breaker is not None and self.breaker.limits
        self.poller.wake_at(self.sweep_at)
        poll = self.poller.poll_nowait if released and not is_limited else self.poller.poll
        self._spin_until_tick(poll, min(self.page_end, self.end_ns) if self._is_plain and not is_limited else 0)
        at = now_ns()
        if at >= self.sweep_at:
            self.sweep(at)

    def _spin_until_tick(self, poll: Callable[[], list[tuple[int, int]]], plain_until: int) -> None:
        """Answer responses with requests until the timer ticks, a stratum ends, or a channel was released."""
        by_fd, released = self.desk.by_fd, self.desk.released
        row = self.rows[0]
        request = row.request
        goes_on = True
        while goes_on:
            events = poll()
            goes_on = bool(events)  # a poller without a timer descriptor gives nothing when it is time
            for fd, _ in events:
                handler = by_fd.get(fd)
                if handler is None:  # the timer's descriptor is nobody's
                    goes_on = False
                    continue
                at = handler.readable()
                if at:
                    if at < plain_until:
                        handler.fire(at, at, row, request)  # type: ignore[attr-defined]  # only channels give a time
                    else:
                        goes_on = False
                        self._next(handler, at)  # type: ignore[arg-type]
            if released:
                return

    def _next(self, channel: Channel, at: int) -> None:
        """Send a connection's next request, unless it has made its calls."""
        if not self.has_arrivals(at) or not self._may_call(channel):
            self.is_ending = True
            return
        if at >= self.page_end:
            self.turn_page(at)
        if self.breaker is not None and self.breaker.limits and not self.breaker.admit((at - self.start_ns) / 1e9):
            self.desk.released.append(channel)
            return
        self._left -= 1
        index = self._index * self.share.of + self.share.index
        self._index += 1
        arm, target = self._choices[id(channel.pool)][index & MASK]
        row = self.row_of(arm, at, target)
        request = row.request if row.request is not None else self.transport.request(arm, target, index)
        channel.fire(at, at, row, request, (index, at, None, 0) if self.plan.trace else None)

    def _may_call(self, channel: Channel) -> bool:
        if not self.plan.even_split:
            return True
        self._quotas[id(channel)] -= 1
        return self._quotas[id(channel)] >= 0
