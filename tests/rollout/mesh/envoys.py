"""A small HTTP server that says what a test tells it, where Envoy's admin interface would be."""

import inspect
from collections.abc import Callable
from typing import Any

from aiohttp import web


class FakeEnvoy:
    """What it holds, what it has answered, what it refuses."""

    def __init__(self) -> None:
        self.routes: dict[str, tuple[str, Any]] = {}
        """Version and configuration, by name."""
        self.dump: Any = None
        """The whole config_dump instead."""
        self.stats = ""
        self.refusals = ""
        self.ready = (200, "LIVE\n")
        self.broken: Callable[[web.Request], Any] | None = None
        """Answers everything when set."""
        self.asked: list[dict[str, str]] = []

    def app(self) -> web.Application:
        """To be served."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.query))
        if self.broken is not None:
            answer = self.broken(request)
            found: web.StreamResponse = await answer if inspect.isawaitable(answer) else answer
            return found
        match request.path:
            case "/ready":
                return web.Response(status=self.ready[0], text=self.ready[1])
            case "/config_dump":
                configs = [
                    {"version_info": version, "route_config": config} for version, config in self.routes.values()
                ]
                return web.json_response({"configs": configs} if self.dump is None else self.dump)
            case "/stats/prometheus":
                return web.Response(text=self.stats)
            case "/stats":
                return web.Response(text=self.refusals)
            case _:
                return web.Response(status=404)


def requests_total(count: int, **labels: str) -> str:
    """One line of Istio's counter; the labels are those of users' requests for reviews unless said otherwise."""
    whole = {
        "reporter": "source",
        "source_workload": "productpage-v1",
        "destination_service_name": "reviews",
        "destination_service_namespace": "bookinfo",
        **labels,
    }
    text = ",".join(f'{name}="{value}"' for name, value in whole.items())
    return f"istio_requests_total{{{text}}} {count}\n"
