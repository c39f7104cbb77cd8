"""How one bookinfo service calls another: through its sidecar, with the headers that have to be passed on.

With `--outbound` every call goes to that one address, an Envoy listener of the caller's own, as plain HTTP with the
Host header `reviews:9080`; routing is then Envoy's business, as with Istio. Without it each service has one or several
addresses of its own, taken in turn as a Kubernetes Service without a mesh would.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import cycle

import aiohttp
from aiohttp import web
from multidict import CIMultiDictProxy

from rollout.demo.bookinfo.book import mapping

SERVICE_PORT = 9080  # every bookinfo service's port in the cluster, part of the Host header
CONNECTIONS_MAX = 200  # per workload; the demo sends some hundred requests a second of ~10 ms each

# What a service has to copy from the request it serves into the requests it makes (istio.io, "Distributed tracing").
PASSED_ON = (
    "x-request-id",
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "end-user",
    "user-agent",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What another service answered: a document (an `error` in it when it failed) and the status it came with."""

    status: int
    document: Mapping[str, object]

    @property
    def is_good(self) -> bool:
        """Whether the call succeeded."""
        return self.status == HTTPStatus.OK


class Calls:
    """The other services, as one service sees them."""

    def __init__(self, *, outbound: str | None = None, direct: Mapping[str, Sequence[str]] | None = None) -> None:
        self._outbound = outbound
        self._turns = {service: cycle(urls) for service, urls in (direct or {}).items()}
        self._session: aiohttp.ClientSession | None = None

    async def opened(self, _: web.Application) -> AsyncIterator[None]:
        """Hold the connections while the app runs (a `cleanup_ctx`)."""
        connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as self._session:
            yield

    async def get(self, service: str, path: str, *, headers: Mapping[str, str], timeout_s: float, sorry: str) -> Reply:
        """Ask a service; whatever goes wrong is a Reply with the text `sorry` in it."""
        assert self._session is not None, "the app is not running"
        asked = dict(headers)
        if self._outbound:
            asked["Host"] = f"{service}:{SERVICE_PORT}"
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.get(self._address(service) + path, headers=asked, allow_redirects=False) as response,
            ):
                status = response.status
                document = mapping(await response.json()) if status == HTTPStatus.OK else {"error": sorry}
        except (TimeoutError, aiohttp.ClientError, ValueError):
            return Reply(status=HTTPStatus.INTERNAL_SERVER_ERROR, document={"error": sorry})
        return Reply(status=status, document=document)

    def _address(self, service: str) -> str:
        return self._outbound or next(self._turns[service])


def passed_on(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    """Select the headers of a request that go on to the next service."""
    return {name: headers[name] for name in PASSED_ON if name in headers}
