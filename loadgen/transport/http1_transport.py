"""What the engine needs to know of HTTP/1.1: how to make its connections, and its requests' bytes."""

import ssl

from loadgen.core.plan import Plan
from loadgen.core.request import Template, encode
from loadgen.transport.address import tls_context
from loadgen.transport.ageing import AgeingConnection
from loadgen.transport.channel import Channel, Desk, Pool
from loadgen.transport.http1 import Connection


class Http1Transport:
    """Makes connections and fills templates."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._templates = [[encode(plan, target, arm) for target in plan.targets] for arm in plan.arms]
        self.varies = any(template.slots for row in self._templates for template in row)
        self._context: ssl.SSLContext | None = None
        if any(target.url.startswith("https:") for target in plan.targets):
            self._context = tls_context(plan.tls)

    def make(self, desk: Desk, pool: Pool) -> list[Channel]:
        """Make a connection."""
        context = self._context if pool.server_name else None
        ages = bool(self._plan.reuse.requests_max or self._plan.reuse.age_max_s)
        return [(AgeingConnection if ages else Connection)(desk, pool, context)]

    def request(self, arm: int, target: int, index: int) -> bytes:
        """Give the bytes of request *index*."""
        template: Template = self._templates[arm][target]
        seed = self._plan.seed
        return template.fill(seed, index, sampled=(index * 0.6180339887498949) % 1 < self._plan.trace_sampled)
