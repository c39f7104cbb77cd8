"""What can go wrong with the fake API server, on purpose; a real one is killed, stopped or cut off."""

import asyncio
import re
from dataclasses import dataclass, field

from tests.kube.errors import ApiError


@dataclass
class Fault:
    """One thing that goes wrong, for so many matching requests."""

    status: int = 0
    """429, 500, 503 …; 0 = the connection is cut instead."""
    after_commit: bool = False
    """The write happens, the answer is lost."""
    method: str = ".*"
    path: str = ".*"
    times: int = 1
    retry_after: int | None = None

    def matches(self, method: str, path: str) -> bool:
        return self.times > 0 and bool(re.fullmatch(self.method, method)) and bool(re.search(self.path, path))


class Cut(Exception):
    """The connection is to be dropped without an answer."""


@dataclass
class Faults:
    """The switches."""

    pending: list[Fault] = field(default_factory=list)
    event_delay_s: float = 0.0
    """Watchers hear of a change so much later."""
    _thawed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._thawed.set()

    def freeze(self) -> None:
        """Take requests and answer none, like a stopped process."""
        self._thawed.clear()

    def thaw(self) -> None:
        self._thawed.set()

    @property
    def thawed(self) -> asyncio.Event:
        return self._thawed

    def add(self, *faults: Fault) -> None:
        self.pending.extend(faults)

    def take(self, method: str, path: str, *, after_commit: bool) -> None:
        """Fail if a fault is due. Raises ApiError, Cut."""
        for fault in self.pending:
            if fault.after_commit == after_commit and fault.matches(method, path):
                fault.times -= 1
                if not fault.status:
                    raise Cut
                error = ApiError(fault.status, "InternalError", f"injected {fault.status}")
                error.retry_after = fault.retry_after
                raise error
