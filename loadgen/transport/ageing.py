"""Connections that do not live for ever, so that a change of weights reaches warm connections too."""

import ssl
from typing import Any

from loadgen.core.chance import uniform
from loadgen.core.ledger import Row
from loadgen.transport.channel import Desk, Pool, Tag
from loadgen.transport.clock import FAR_NS, now_ns
from loadgen.transport.http1 import Connection


class Age:
    """How many requests a connection may still carry, and until when."""

    __slots__ = ("_desk", "_drawn", "_left", "_until_ns")

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._drawn = 0
        self.begin()

    def begin(self) -> None:
        """Be new: the number of requests is drawn anew each time."""
        reuse = self._desk.plan.reuse
        self._drawn += 1
        spread = reuse.requests_max - reuse.requests_min + 1
        drawn = reuse.requests_min + int(uniform(self._desk.plan.seed ^ id(self), self._drawn) * spread)
        self._left = max(drawn, 1) if reuse.requests_max else FAR_NS
        self._until_ns = now_ns() + round(reuse.age_max_s * 1e9) if reuse.age_max_s else FAR_NS

    def ends(self, at_ns: int) -> bool:
        """Whether the connection has to be opened anew for the next request."""
        self._left -= 1
        return self._left < 0 or at_ns >= self._until_ns


class AgeingConnection(Connection):
    """A connection with an age."""

    __slots__ = ("_age",)

    def __init__(self, desk: Desk, pool: Pool, context: ssl.SSLContext | None) -> None:
        self._age = Age(desk)
        super().__init__(desk, pool, context)

    def fire(self, due: int, sent: int, row: Row, request: Any, tag: Tag | None = None) -> None:
        """Send, on a new connection when this one is too old."""
        if self._age.ends(sent):
            self.close()
            self._age.begin()
            self._age.ends(sent)
        Connection.fire(self, due, sent, row, request, tag)
