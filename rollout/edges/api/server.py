"""The aiohttp server: the table of routes, its guards and limits, and the plain endpoints beside the API."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client.exposition import choose_encoder

from rollout.board import Board
from rollout.control import Control
from rollout.edges.api.auth import Token, guard
from rollout.edges.api.endpoints import Endpoint, Role
from rollout.edges.api.hooks import BODY_BYTES_MAX, GithubHook
from rollout.edges.api.openapi import openapi
from rollout.edges.api.problems import problems
from rollout.edges.api.resources import Resources
from rollout.ports import Store, Unavailable
from rollout.telemetry import Metrics

SHUTDOWN_S = 2.0  # open requests get so long to finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What the API is made of; app() turns it into an aiohttp application."""

    control: Control
    board: Board
    store: Store
    metrics: Metrics
    tokens: Sequence[Token] = ()
    hosts: frozenset[str] = frozenset()
    """Names this server answers to; empty: any."""
    hook: GithubHook | None = None
    is_alive: Callable[[], str] = lambda: ""
    """Why the daemon is stuck; "" when it is not."""

    def app(self) -> web.Application:
        """The application."""
        table = self.endpoints()
        roles = {(endpoint.method, canonical(endpoint.path)): endpoint.role for endpoint in table}
        app = web.Application(
            middlewares=[problems, guard(roles, self.tokens, self.hosts)], client_max_size=BODY_BYTES_MAX
        )
        for endpoint in table:
            app.router.add_route(endpoint.method, endpoint.path, endpoint.handler)
        return app

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every route there is."""
        table = [*Resources(self.control, self.board, self.store).endpoints(), *self._plain()]
        if self.hook is not None:
            table.append(
                Endpoint(
                    method="POST",
                    path="/hooks/github",
                    handler=self.hook.handle,
                    role=Role.PUBLIC,
                    summary="A signed GitHub delivery; the signature is the credential",
                    status=202,
                    errors=(400, 401, 413, 422, 503),
                )
            )
        return tuple(table)

    def _plain(self) -> Sequence[Endpoint]:
        def endpoint(path: str, handler: Handler, summary: str, media_type: str, role: Role = Role.PUBLIC) -> Endpoint:
            return Endpoint(method="GET", path=path, handler=handler, role=role, summary=summary, media_type=media_type)

        return (
            endpoint("/livez", self.livez, "Whether the loops still turn", "text/plain"),
            endpoint("/readyz", self.readyz, "Whether requests can be served", "text/plain"),
            endpoint("/metrics", self.serve_metrics, "Prometheus metrics", "text/plain"),
            endpoint("/openapi.json", self.serve_openapi, "This document", "application/json"),
        )

    async def livez(self, request: web.Request) -> web.StreamResponse:
        """GET /livez."""
        stuck = self.is_alive()
        return web.Response(text=stuck or "ok", status=503 if stuck else 200)

    async def readyz(self, request: web.Request) -> web.StreamResponse:
        """GET /readyz: the journal can be read. Prometheus is not asked: without it rollouts only hold."""
        try:
            await self.store.unfinished()
        except Unavailable as error:
            return web.Response(text=str(error), status=503)
        return web.Response(text="ok")

    async def serve_metrics(self, request: web.Request) -> web.StreamResponse:
        """GET /metrics."""
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self.metrics.registry), headers={"Content-Type": content_type})

    async def serve_openapi(self, request: web.Request) -> web.StreamResponse:
        """GET /openapi.json."""
        return web.json_response(openapi(self.endpoints()))


def canonical(path: str) -> str:
    """A route's path as aiohttp names it: parameters without their patterns."""
    return web.DynamicResource(path).canonical if "{" in path else path


async def serve(app: web.Application, host: str, port: int, bound: Callable[[str, int], None]) -> None:
    """Serve until cancelled; *bound* is told the address once it is listening. Raises OSError (port in use)."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        address = runner.addresses[0]
        bound(str(address[0]), int(address[1]))
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
