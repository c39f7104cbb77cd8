"""What the engine needs to know of HTTP/2: how to make its connections, and its requests' fields."""

import ssl

from loadgen.core.http2 import Call, encode
from loadgen.core.plan import Plan
from loadgen.transport.address import tls_context
from loadgen.transport.channel import Channel, Desk, Pool
from loadgen.transport.http2 import Trunk


class Http2Transport:
    """Makes trunks and fills templates."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._templates = [[encode(plan, target, arm) for target in plan.targets] for arm in plan.arms]
        self.varies = any(template.varies for row in self._templates for template in row)
        self._context: ssl.SSLContext | None = None
        if any(target.url.startswith("https:") for target in plan.targets):
            self._context = tls_context(plan.tls, "h2")

    def make(self, desk: Desk, pool: Pool) -> list[Channel]:
        """Make a connection: as many channels as the plan sends at a time on it."""
        return [*Trunk(desk, pool, self._context if pool.server_name else None, self._plan.streams).streams]

    def request(self, arm: int, target: int, index: int) -> Call:
        """Give request *index*."""
        sampled = (index * 0.6180339887498949) % 1 < self._plan.trace_sampled
        return self._templates[arm][target].fill(self._plan.seed, index, sampled=sampled)
