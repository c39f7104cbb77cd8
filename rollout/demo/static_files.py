"""Style sheet and icon of the demo's pages, served from the package, and the headers that keep a page to itself."""

from importlib.resources import files

from aiohttp import web

CONTENT_TYPES = {".css": "text/css", ".svg": "image/svg+xml"}

# Nothing is loaded from elsewhere, nothing runs: the pages have no script at all.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def static_route(name: str) -> web.RouteDef:
    """Serve one file of `rollout/demo/static` from memory."""
    body = files("rollout.demo").joinpath("static", name).read_bytes()
    content_type = CONTENT_TYPES[name[name.rindex(".") :]]

    async def static_file(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type, headers={"Cache-Control": "max-age=60"})

    return web.get(f"/static/{name}", static_file)


async def protect(_: web.Request, response: web.StreamResponse) -> None:
    """Add the security headers (an `on_response_prepare` signal)."""
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
