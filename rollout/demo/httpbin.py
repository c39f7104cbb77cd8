"""httpbin, the part of it that Istio's tasks use: it answers with what it was asked.

    python -m rollout.demo.httpbin --port 8000

Paths and JSON are those of httpbin.org. Everything is bounded: a body by aiohttp's 1 MiB, a delay by 10 s as in the
original, the choice of status codes by `STATUS_CODES_MAX`. Wrong input is answered with 400 and the reason.
"""

import argparse
import asyncio
import base64
import json
import math
import random
import sys
from collections.abc import Iterable, Sequence

from aiohttp import web
from aiohttp.web_request import FileField
from multidict import MultiMapping

from rollout.demo.markup import element
from rollout.demo.program import Part, add_options, door, performance_of, run
from rollout.demo.workload import Performance, workload_app, workload_chance, workload_named

WORK_MS = 0.0  # how long an answer takes is for /delay to say
DELAY_S_MAX = 10.0  # the original's
STATUS_CODES_MAX = 20  # in one path; the tutorials use one or two
FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})

Document = dict[str, object]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="python -m rollout.demo.httpbin", description="A part of httpbin.")
    add_options(parser)
    return run(parser.parse_args(arguments), build)


def build(options: argparse.Namespace) -> list[Part]:
    """Open the door and build the app."""
    workload = workload_named("httpbin", "v1", seed=options.seed)
    opened_door = door(options.listen, options.port, reuse_port=options.reuse_port)
    performance = performance_of(workload, options, work_ms=WORK_MS)
    app = httpbin_app(performance, workload_chance(workload.name, "status", options.seed))
    return [Part(performance=performance, app=app, door=opened_door)]


def httpbin_app(performance: Performance, chance: random.Random) -> web.Application:
    """Build the app; `chance` picks among several status codes."""

    async def status(request: web.Request) -> web.Response:
        try:
            codes, weights = parse_status_codes(request.match_info["codes"])
        except ValueError as wrong:
            raise refusal(wrong) from wrong
        return web.Response(status=chance.choices(codes, weights)[0])

    routes = [
        web.get("/get", get),
        web.get("/headers", headers),
        web.get("/html", html),
        web.route("*", "/status/{codes}", status),
        web.route("*", "/delay/{seconds}", delay),
        web.route("*", "/anything", anything),
        web.route("*", "/anything/{rest:.*}", anything),
    ]
    return workload_app(performance, routes, health="httpbin is healthy")


async def get(request: web.Request) -> web.Response:
    """Show the request, which has no body."""
    return web.json_response(head_of(request))


async def headers(request: web.Request) -> web.Response:
    """Show the headers alone."""
    return web.json_response({"headers": joined(request.headers)})


async def html(_: web.Request) -> web.Response:
    """Show a page, of the original's book (chapter 112)."""
    sentence = (
        "Availing himself of the mild, summer-cool weather that now reigned in these latitudes, and in preparation for "
        "the peculiarly active pursuits shortly to be anticipated, Perth, the begrimed, blistered old blacksmith, had "
        "not removed his portable forge to the hold again."
    )
    title = "Herman Melville - Moby-Dick"
    body = element("body", element("h1", title), element("div", element("p", sentence)))
    page = element("html", element("head", element("title", title)), body, lang="en")
    return web.Response(text=f"<!doctype html>\n{page}", content_type="text/html")


async def anything(request: web.Request) -> web.Response:
    """Show the request with its body and its method."""
    return web.json_response(head_of(request) | await body_of(request) | {"method": request.method})


async def delay(request: web.Request) -> web.Response:
    """Show the request after a while."""
    try:
        delay_s = parse_delay_s(request.match_info["seconds"])
    except ValueError as wrong:
        raise refusal(wrong) from wrong
    await asyncio.sleep(delay_s)
    shown = head_of(request) | await body_of(request)
    del shown["json"]  # the original shows it at /anything only
    return web.json_response(shown)


def head_of(request: web.Request) -> Document:
    """Describe a request up to its body, as a proxy in front would want it seen."""
    scheme = request.headers.get("X-Forwarded-Proto", request.scheme)
    return {
        "args": listed(request.query),
        "headers": joined(request.headers),
        "origin": request.headers.get("X-Forwarded-For", request.remote),
        "url": f"{scheme}://{request.host}{request.path_qs}",
    }


async def body_of(request: web.Request) -> Document:
    """Describe a body: a form by its fields, anything else as data, and as JSON where it is some."""
    if request.content_type in FORMS:
        try:
            form = await request.post()
        except ValueError as wrong:  # e.g. multipart without a boundary
            raise refusal(wrong) from wrong
        fields = {name: [part for part in form.getall(name) if isinstance(part, str)] for name in form}
        files = {name: text_of(part.file.read()) for name, part in form.items() if isinstance(part, FileField)}
        return {"data": "", "files": files, "form": {n: one_or_all(v) for n, v in fields.items() if v}, "json": None}
    data = text_of(await request.read())
    return {"data": data, "files": {}, "form": {}, "json": json_of(data)}


def text_of(data: bytes) -> str:
    """Show bytes as text, or as a data URL where they are none."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return f"data:application/octet-stream;base64,{base64.b64encode(data).decode()}"


def json_of(data: str) -> object:
    """Read JSON where there is some; nested too deep counts as none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def listed(pairs: MultiMapping[str]) -> dict[str, str | list[str]]:
    """Show a value for each name, or the list of them where there are several."""
    return {name: one_or_all(pairs.getall(name)) for name in pairs}


def one_or_all(values: Sequence[str]) -> str | list[str]:
    """Unpack a list of one."""
    return values[0] if len(values) == 1 else list(values)


def joined(pairs: MultiMapping[str]) -> dict[str, str]:
    """Show headers the way the original does: Title-Case, several of a name joined."""
    return {name.title(): ",".join(pairs.getall(name)) for name in pairs}


def parse_delay_s(text: str) -> float:
    """Read a number of seconds; more than the most there is means the most there is."""
    seconds = float(text)
    if math.isnan(seconds) or seconds < 0:
        raise ValueError("a delay is a number of seconds from 0 up")
    return min(seconds, DELAY_S_MAX)


def parse_status_codes(text: str) -> tuple[list[int], list[float]]:
    """Read `503` or `200:3,503:1`, codes to pick from with their weights."""
    choices = text.split(",")
    if len(choices) > STATUS_CODES_MAX:
        raise ValueError(f"at most {STATUS_CODES_MAX} status codes")
    pairs = [choice.partition(":") for choice in choices]
    return [parse_status(code) for code, _, _ in pairs], parse_weights(weight or "1" for _, _, weight in pairs)


def parse_status(text: str) -> int:
    """Read a status code that can end a request; 1xx cannot."""
    if not text.isascii() or not text.isdigit() or not 200 <= int(text) <= 599:
        raise ValueError(f"a status code is a number from 200 to 599, not {text!r}")
    return int(text)


def parse_weights(texts: Iterable[str]) -> list[float]:
    """Read the weights of a choice, which must leave something to choose."""
    weights = [float(text) for text in texts]
    if not all(0 <= weight < math.inf for weight in weights) or not 0 < sum(weights) < math.inf:
        raise ValueError("weights are numbers from 0 up, not all of them 0")
    return weights


def refusal(wrong: ValueError) -> web.HTTPBadRequest:
    """Answer 400 with the reason."""
    return web.HTTPBadRequest(text=json.dumps({"error": str(wrong)}), content_type="application/json")


if __name__ == "__main__":
    sys.exit(main())
