"""Run bookinfo: one workload, or all of them in one process.

    python -m rollout.demo.bookinfo --service reviews --version v3 --outbound http://127.0.0.1:15001
    python -m rollout.demo.bookinfo --service productpage --details-url http://127.0.0.1:9081 --reviews-url ...
    python -m rollout.demo.bookinfo --all

With --all and no --outbound the services call each other directly, and productpage takes the versions of reviews in
turn, as a Kubernetes Service without a mesh does.
"""

import argparse
import socket
import sys
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from aiohttp import web

from rollout.demo.bookinfo.backends import details_routes, ratings_routes, reviews_routes
from rollout.demo.bookinfo.calls import Calls
from rollout.demo.bookinfo.productpage import Shop
from rollout.demo.program import Part, add_options, address_of, door, performance_of, run
from rollout.demo.static_files import protect
from rollout.demo.workload import Performance, Workload, workload_app, workload_named

VERSIONS = {"productpage": ("v1",), "details": ("v1",), "ratings": ("v1",), "reviews": ("v1", "v2", "v3")}
CALLED = ("details", "reviews", "ratings")
CALLED_BY = {"productpage-v1": CALLED, "reviews-v2": ("ratings",), "reviews-v3": ("ratings",)}
EVERYBODY = ""  # names no workload: the sidecar of all that have none of their own
# Reviews work longest and call ratings meanwhile. Ratings must be done well within that time, so that v3 is no slower
# than v1, which does not ask.
WORK_MS = {"productpage": 0.0, "details": 2.0, "ratings": 2.0, "reviews": 8.0}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program."""
    parser = parser_of_options()
    options = parser.parse_args(arguments)
    if options.all == bool(options.service):
        parser.error("give either --all or --service")
    if options.service and options.version not in VERSIONS[options.service]:
        parser.error(f"{options.service} has no version {options.version}")
    return run(options, build)


def parser_of_options() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="python -m rollout.demo.bookinfo", description="Istio's example application.")
    parser.add_argument("--all", action="store_true", help="every workload in this process; --port is productpage's")
    parser.add_argument("--service", choices=VERSIONS)
    parser.add_argument("--version", choices=VERSIONS["reviews"], default="v1", help="default: v1")
    parser.add_argument(
        "--outbound",
        type=sidecar,
        action="append",
        default=[],
        metavar="[WORKLOAD=]URL",
        help="the sidecar that calls to other services go to; with --all one for each workload that calls",
    )
    for service in CALLED:
        parser.add_argument(
            f"--{service}-url",
            type=base_url,
            action="append",
            default=[],
            metavar="URL",
            help="where it is, without a sidecar; several are taken in turn",
        )
    add_options(parser)
    return parser


def sidecar(text: str) -> tuple[str, str]:
    """Read [WORKLOAD=]URL."""
    name, _, url = text.rpartition("=")
    known = [f"{service}-{version}" for service, version in every_workload()]
    if name not in {EVERYBODY, *known}:
        raise argparse.ArgumentTypeError(f"no workload is named {name}; there are {', '.join(known)}")
    return name, base_url(url)


def base_url(text: str) -> str:
    """Read the address of a sidecar or a service."""
    url = urlsplit(text)
    if url.scheme != "http" or not url.hostname or url.port == 0 or url.path.strip("/") or url.query or url.fragment:
        raise argparse.ArgumentTypeError(f"expected http://HOST:PORT, not {text}")
    return text.rstrip("/")


def build(options: argparse.Namespace) -> list[Part]:
    """Open the doors of the workloads that were asked for, and build their apps."""
    asked = [(options.service, options.version)] if options.service else every_workload()
    workloads = [workload_named(service, version, seed=options.seed) for service, version in asked]
    main_service = options.service or "productpage"
    doors = {
        workload.name: door(
            options.listen, options.port if workload.service == main_service else 0, reuse_port=options.reuse_port
        )
        for workload in workloads
    }
    addresses = {service: getattr(options, f"{service}_url") for service in CALLED}
    if options.all:
        addresses = {service: given or inside(doors, service) for service, given in addresses.items()}
    return [
        Part(
            performance=(performance := performance_of(workload, options, work_ms=WORK_MS[workload.service])),
            app=service_app(performance, calls_of(workload, dict(options.outbound), addresses)),
            door=doors[workload.name],
        )
        for workload in workloads
    ]


def every_workload() -> list[tuple[str, str]]:
    """List the whole of bookinfo."""
    return [(service, version) for service, versions in VERSIONS.items() for version in versions]


def inside(doors: Mapping[str, socket.socket], service: str) -> list[str]:
    """List the addresses of a service of this process."""
    return [address_of(doors[f"{service}-{version}"]) for version in VERSIONS[service]]


def calls_of(workload: Workload, outbound: Mapping[str, str], addresses: Mapping[str, Sequence[str]]) -> Calls:
    """Tell a workload how to reach the others: by its own sidecar, by everybody's, or directly."""
    own = outbound.get(workload.name) or outbound.get(EVERYBODY)
    unknown = [service for service in CALLED_BY.get(workload.name, ()) if not (own or addresses[service])]
    if unknown:
        flags = " and ".join(f"--{service}-url" for service in unknown)
        raise ValueError(f"{workload.name} calls {' and '.join(unknown)}: give --outbound, or {flags}")
    return Calls(outbound=own, direct=addresses)


def service_app(performance: Performance, calls: Calls) -> web.Application:
    """Build the app of one workload."""
    workload = performance.workload
    match workload.service:
        case "productpage":
            app = workload_app(performance, Shop(calls).routes(), health="Product page is healthy")
            app.on_response_prepare.append(protect)
        case "details":
            return workload_app(performance, details_routes(), health="Details is healthy")
        case "ratings":
            return workload_app(performance, ratings_routes(), health="Ratings is healthy")
        case _:
            app = workload_app(
                performance, reviews_routes(workload.version, workload.pod, calls), health="Reviews is healthy"
            )
    app.cleanup_ctx.append(calls.opened)
    return app


if __name__ == "__main__":
    sys.exit(main())
