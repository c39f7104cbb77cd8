"""What bookinfo and httpbin have in common as programs: flags, the ready line, signals.

A program binds its ports, prints one JSON line on stdout, serves until SIGTERM or SIGINT, lets requests under way
finish for a moment, and exits with 0. Wrong flags end it with 2, a taken port with 1. Logs go to stderr. The line says:

    {"ports": {"reviews-v3": 40123}, "admin_port": 40124, "pods": {"reviews-v3": "reviews-v3-…"}, "pid": 4711}

The command line is argparse's and the log the standard library's: aiohttp has loaded both already, whereas click and
structlog would make the start of each of the demo's processes longer by half.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from rollout.demo.admin import admin_app
from rollout.demo.cast import Cast, Wish, recall
from rollout.demo.scenarios import HEALTHY, SCENARIOS, Misbehaviour, scenario_named
from rollout.demo.workload import Performance, Work, Workload, workload_chance

FINISH_S = 2.0  # for requests under way at SIGTERM; most take some 10 ms, the rest is cut off
KEEPALIVE_S = 3700.0  # longer than Envoy's hour, so that the proxy and never the app closes an idle connection
PORT_MAX = 65535
EXIT_FAILURE = 1
EXIT_USAGE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One workload of a process, and where it listens."""

    performance: Performance
    app: web.Application
    door: socket.socket


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags that every program of the demo has."""
    add = parser.add_argument
    add("--listen", default="127.0.0.1", metavar="ADDRESS", help="default: 127.0.0.1")
    add("--port", type=port_number, default=0, metavar="N", help="default: any free one")
    add("--reuse-port", action="store_true", help="--port is held by the parent process (SO_REUSEPORT)")
    add(
        "--admin-port",
        type=port_number,
        default=0,
        metavar="N",
        help="for /__scenario, loopback only; default: any free one",
    )
    add("--work-ms", type=float, metavar="MS", help="median work of a request, in every workload; default: its own")
    add("--seed", type=int, metavar="N", help="another number draws other work, other faults, another pod name")
    add("--scenario", choices=SCENARIOS, default=HEALTHY.name, metavar="NAME", help=", ".join(SCENARIOS))
    add("--good-for-s", type=float, metavar="S", help="good behaviour before the scenario begins; default: its own")
    add("--scenario-file", type=Path, metavar="PATH", help="remembers the scenario; what it says at the start wins")


def port_number(text: str) -> int:
    """Read a TCP port; 0 is any free one."""
    number = int(text)
    if not 0 <= number <= PORT_MAX:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to {PORT_MAX}")
    return number


def performance_of(workload: Workload, options: argparse.Namespace, *, work_ms: float) -> Performance:
    """Prepare a workload as the flags say, with its own `work_ms` unless they name another.

    Which scenario it plays is for the Cast to tell.
    """
    now_s = asyncio.get_running_loop().time
    faults = workload_chance(workload.name, "faults", options.seed)
    median_s = (work_ms if options.work_ms is None else options.work_ms) / 1000
    return Performance(
        workload=workload,
        misbehaviour=Misbehaviour(HEALTHY, chance=faults, now_s=now_s),
        work=Work(median_s=median_s, chance=workload_chance(workload.name, "work", options.seed)),
    )


def run(options: argparse.Namespace, build: Callable[[argparse.Namespace], Sequence[Part]]) -> int:
    """Run a program to its end and return its exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        asyncio.run(play(options, build))
    except ValueError as wrong:
        sys.stderr.write(f"error: {wrong}\n")
        return EXIT_USAGE
    except OSError as failing:
        about = f"{failing.filename}: " if failing.filename else ""
        sys.stderr.write(f"error: {about}{failing.strerror}\n")
        return EXIT_FAILURE
    return 0


async def play(options: argparse.Namespace, build: Callable[[argparse.Namespace], Sequence[Part]]) -> None:
    """Give out the scenario, open the doors, say so, and serve until told to stop."""
    parts = {part.performance.workload.name: part for part in build(options)}
    players = {name: part.performance.misbehaviour for name, part in parts.items()}
    cast = Cast(players, kept_in=options.scenario_file)
    cast.play(first_wish(options))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        ports = {name: await opened(stack, part.app, part.door) for name, part in parts.items()}
        admin_port = await opened(stack, admin_app(cast), door("127.0.0.1", options.admin_port))
        announce({"ports": ports, "admin_port": admin_port, "pods": pods_of(parts), "pid": os.getpid()})
        await stop.wait()


def first_wish(options: argparse.Namespace) -> Wish:
    """Tell which scenario to begin with."""
    kept = recall(options.scenario_file) if options.scenario_file else None
    return kept or Wish(scenario=scenario_named(options.scenario, options.good_for_s))


def pods_of(parts: Mapping[str, Part]) -> dict[str, str]:
    """List the pod names by workload."""
    return {name: part.performance.workload.pod for name, part in parts.items()}


def door(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """Bind a listening socket, so that the port is known before the app is built."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, reuse_port=reuse_port)
    except OSError as failing:
        raise OSError(failing.errno, f"cannot listen on {host} port {port}: {failing.strerror}") from failing


def address_of(opened_door: socket.socket) -> str:
    """Write the URL that leads to a door."""
    host, port = opened_door.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def opened(stack: AsyncExitStack, app: web.Application, through: socket.socket) -> int:
    """Serve an app for as long as the stack lives and return its port."""
    runner = web.AppRunner(
        app,
        access_log=None,  # 0.1 ms a request, and Envoy keeps one
        handler_cancellation=True,  # a caller that gave up leaves no hanging request behind
        shutdown_timeout=FINISH_S,
        keepalive_timeout=KEEPALIVE_S,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.SockSite(runner, through).start()
    port: int = through.getsockname()[1]
    return port


def announce(document: Mapping[str, object]) -> None:
    """Print the ready line."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()
