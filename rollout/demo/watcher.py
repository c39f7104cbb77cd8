"""What Envoy really did, seen from outside the daemon: when v3 first failed, when no proxy sent users to it any more.

Asked ten times a second; so every time it tells is at most a tenth of a second late.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rollout.beside import beside
from rollout.mesh.admin import Answered, EnvoyAdmin
from rollout.mesh.translate.names import subset_of
from rollout.ports import Unavailable

LOOK_EVERY_S = 0.1
SERVICE, CANARY = "reviews", "v3"


@dataclass(slots=True)
class Watch:
    """What was seen of one release; times are of one monotonic clock, in seconds."""

    served: int = -1
    """Requests that v3 had answered or failed before; -1 = not looked yet."""
    failed: int = 0
    first_request_at: float | None = None
    first_failure_at: float | None = None
    percent_max: float = 0.0
    zero_at: float | None = None
    """When every proxy was back at weight 0 after having been above."""

    def look(self, answered: list[Answered], percent: float, now: float) -> None:
        """Take one look in."""
        served = sum(found.count for found in answered)
        failed = sum(found.count for found in answered if _is_failure(found))
        if self.served < 0:
            self.served, self.failed = served, failed
        if served > self.served and self.first_request_at is None:
            self.first_request_at = now
        if failed > self.failed and self.first_failure_at is None:
            self.first_failure_at = now
        if percent > 0:
            self.percent_max, self.zero_at = max(self.percent_max, percent), None
        elif self.percent_max > 0 and self.zero_at is None:
            self.zero_at = now


class Watcher:
    """Looks at one Envoy."""

    def __init__(self, admin: EnvoyAdmin) -> None:
        self._admin = admin
        self.watch = Watch()

    def begin(self) -> Watch:
        """Begin a new release."""
        self.watch = Watch()
        return self.watch

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                answered, routes = await self._admin.answered(), await self._admin.routes()
            except Unavailable:
                pass  # Envoy is being restarted: the next look tells
            else:
                ours = [found for found in answered if _is_canary(found)]
                percent = max((_percent(held.config) for held in routes.values()), default=0.0)
                self.watch.look(ours, percent, time.monotonic())  # noqa: TID251 - a stop-watch
            await asyncio.sleep(LOOK_EVERY_S)


@asynccontextmanager
async def open_watcher(admin_address: str) -> AsyncIterator[Watcher]:
    """Watch Envoy until the block ends."""
    admin = EnvoyAdmin(admin_address)
    watcher = Watcher(admin)
    try:
        async with beside(watcher.run()):
            yield watcher
    finally:
        await admin.close()


def _is_canary(found: Answered) -> bool:
    labels = found.labels
    return (labels.get("destination_service_name"), labels.get("destination_subset"), labels.get("reporter")) == (
        SERVICE,
        CANARY,
        "source",
    )


def _is_failure(found: Answered) -> bool:
    """A 5xx, or a caller who gave up before any answer (code 0)."""
    return int(found.labels.get("response_code", "0")) >= 500 or found.labels.get("response_code") == "0"


def _percent(config: object) -> float:
    """The largest share that a route of users (not of probes, not of the cohort) gives to the canary."""
    shares = [0.0]
    hosts = config.get("virtual_hosts", ()) if isinstance(config, dict) else ()
    for route in (route for host in hosts for route in host.get("routes", ())):
        forward = route.get("route", {})
        if str(route.get("name", "")).startswith("rollout-"):
            continue
        if subset_of(forward.get("cluster", "")) == CANARY and SERVICE in forward["cluster"]:
            shares.append(100.0)
        weighted = forward.get("weighted_clusters", {}).get("clusters", ())
        total = sum(int(item["weight"]) for item in weighted)
        shares += [100.0 * int(item["weight"]) / total for item in weighted if subset_of(item["name"]) == CANARY]
    return max(shares)
