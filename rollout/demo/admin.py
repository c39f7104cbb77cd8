"""Change the scenario of a running process: GET and PUT /__scenario, on a port of its own that no proxy routes to.

Being on this machine is the permission: the port listens on loopback only. A web page in the user's browser is on this
machine, too, so a request whose Host is no loopback name (DNS rebinding) is refused, and a PUT from another origin
fails at the browser's preflight, which nobody answers here.
"""

import ipaddress
import logging
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from rollout.demo.cast import Cast, parse_wish
from rollout.demo.scenarios import SCENARIOS

PATH = "/__scenario"
BODY_BYTES_MAX = 4096  # a wish has some 80

log = logging.getLogger(__name__)


def admin_app(cast: Cast) -> web.Application:
    """Build the app of the admin port."""

    async def show(_: web.Request) -> web.Response:
        known = {name: scenario.says for name, scenario in SCENARIOS.items()}
        return web.json_response({"workloads": cast.played(), "scenarios": known})

    async def change(request: web.Request) -> web.Response:
        try:
            cast.play(parse_wish(await request.json()))
        except ValueError as wrong:
            return web.json_response({"error": str(wrong)}, status=HTTPStatus.BAD_REQUEST)
        log.info("scenario.changed %s", cast.played())
        return await show(request)

    app = web.Application(middlewares=[from_this_machine], client_max_size=BODY_BYTES_MAX)
    app.add_routes([web.get(PATH, show), web.put(PATH, change)])
    return app


@web.middleware
async def from_this_machine(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse who is not here, or was led here under another name."""
    if is_loopback(request.remote) and is_loopback(request.url.host):
        return await handler(request)
    return web.json_response({"error": "only from this machine"}, status=HTTPStatus.FORBIDDEN)


def is_loopback(host: str | None) -> bool:
    """Tell whether an address or name is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
