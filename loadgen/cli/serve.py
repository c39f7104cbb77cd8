"""`loadgen serve`: an echo server with fortio's query parameters, and with faults."""

import asyncio
import signal
import sys
from typing import Any

import click

from loadgen.cli.units import DURATION_TYPE, HEADER_TYPE, WINDOW_TYPE
from loadgen.server.echo import EchoServer, Settings


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", "-p", type=int, default=8080, show_default=True, help="0 finds a free one.")
@click.option(
    "--default", "query", default="", help="Parameters of requests that do not say: 'delay=5ms&status=503:1'."
)
@click.option("--window", "windows", type=WINDOW_TYPE, multiple=True, help="An incident: '10s..20s:status=503:50'.")
@click.option("--header", "-H", "headers", type=HEADER_TYPE, multiple=True, help="In every response; repeatable.")
@click.option("--version", "version", default="", help="Short for -H 'x-rollout-version: ...'.")
@click.option("--servers", type=click.IntRange(1, 10_000), default=1, show_default=True, help="Served at once.")
@click.option("--max-delay", type=DURATION_TYPE, default=1.5, show_default="1.5s", help="No delay is longer.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed fails the same requests.")
def command(**options: Any) -> None:
    """Answer every request as its parameters say: status, delay, size, close, header, fault, tail, service."""
    version = (("x-rollout-version", options["version"]),) if options["version"] else ()
    settings = Settings(
        query=options["query"],
        windows=options["windows"],
        headers=(*options["headers"], *version),
        servers=options["servers"],
        delay_s_max=options["max_delay"],
        seed=options["seed"],
    )
    try:
        asyncio.run(serve(settings, options["host"], options["port"]))
    except OSError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


async def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until a signal comes, then say what there was."""
    server = EchoServer(settings)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with server.serving(host, port) as bound:
        click.echo(f"serving on http://{host}:{bound}/")
        await stopped.wait()
    click.echo(f"{server.requests:,} requests on {server.connections:,} connections")
    for status, count in sorted(server.by_status.items()):
        click.echo(f"{status} ×{count:,}")
