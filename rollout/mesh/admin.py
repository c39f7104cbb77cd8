"""Envoy's admin interface, read only: the routes it holds, the requests it has answered, what it refuses."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp

from rollout.ports import Unavailable

Found = TypeVar("Found")

TIMEOUT_S = 2.0
_ROUTES = "/config_dump?resource=dynamic_route_configs"
_REQUESTS = r"/stats/prometheus?usedonly&filter=^istio\.requests_total"
_REFUSALS = r"/stats?filter=\.rds\..*\.update_rejected$"
_REFUSAL = re.compile(r"\.rds\.(.+)\.update_rejected: ([1-9]\d*)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """How many requests were answered with these labels since Envoy started."""

    labels: Mapping[str, str]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRoutes:
    """A route configuration as Envoy holds it."""

    version: str
    """Of the file it came from."""
    config: Mapping[str, Any]


class EnvoyAdmin:
    """One Envoy's admin interface. close() it at the end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._session = aiohttp.ClientSession(
            f"http://{address}", timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), trust_env=False
        )

    async def close(self) -> None:
        """Drop the connections."""
        await self._session.close()

    async def is_ready(self) -> bool:
        """Whether Envoy serves: its listeners are up."""
        try:
            return (await self._text("/ready")).strip() == "LIVE"
        except Unavailable:
            return False

    async def routes(self) -> dict[str, HeldRoutes]:
        """The route configurations it holds, by name. Raises Unavailable."""
        return self._read(_held, await self._get(_ROUTES, as_json=True))

    async def answered(self) -> list[Answered]:
        """Requests by Istio's labels. Raises Unavailable."""
        return self._read(_samples, await self._text(_REQUESTS))

    async def refusals(self) -> dict[str, int]:
        """How often it refused an update since it started, per route configuration. Raises Unavailable."""
        return {name: int(count) for name, count in _REFUSAL.findall(await self._text(_REFUSALS))}

    async def _text(self, path: str) -> str:
        text: str = await self._get(path, as_json=False)
        return text

    async def _get(self, path: str, *, as_json: bool) -> Any:
        try:
            async with self._session.get(path) as answer:
                if answer.status >= 400 and path != "/ready":
                    raise Unavailable(f"Envoy at {self.address} answers {answer.status} to {path}")
                return await (answer.json() if as_json else answer.text())
        except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
            raise Unavailable(f"Envoy at {self.address}: {str(error) or type(error).__name__}") from error

    def _read(self, reader: Callable[[Any], Found], answer: Any) -> Found:
        """What *reader* makes of an answer. Its port may be somebody else's after a crash: then it makes no sense."""
        try:
            return reader(answer)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
            raise Unavailable(f"Envoy at {self.address} does not answer as an Envoy would: {error!r}") from error


def _held(answer: Any) -> dict[str, HeldRoutes]:
    return {
        entry["route_config"]["name"]: HeldRoutes(version=entry["version_info"], config=entry["route_config"])
        for entry in answer.get("configs", ())
        if "route_config" in entry
    }


def _samples(text: str) -> list[Answered]:
    """Lines of the text format: name{label="value",…} count."""
    found = []
    for line in text.splitlines():
        name, brace, rest = line.partition("{")
        labels, _, count = rest.rpartition("} ")
        if brace and not name.startswith("#"):
            found.append(Answered(labels=dict(_LABEL.findall(labels)), count=int(float(count))))
    return found
