"""The options that say what a load test is, and the plan that they make."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from loadgen.cli.units import (
    ARM_TYPE,
    DURATION_TYPE,
    HEADER_TYPE,
    RATE_TYPE,
    REUSE_TYPE,
    SHARE_TYPE,
    SPLIT_TYPE,
    STAGE_TYPE,
    STATUSES_TYPE,
)
from loadgen.core.plan import SNAPSHOT_S, Arm, Arrivals, Late, Names, Pace, Plan, Reuse, Stage, Target, Tls

Command = TypeVar("Command", bound=Callable[..., Any])
BODY_BYTES_MAX = 16 << 20
CLOSED_SNAPSHOT_S = 0.5  # ten a second cost a tenth of the speed (measured), and nobody steers by a closed loop
HEADER = "header:x-rollout-version"
SPLIT_HELP = "Where a response names its version: header:NAME, cookie:NAME, body:REGEX, target or none."

option = click.option
OPTIONS = (
    option("--rate", type=RATE_TYPE, default=10.0, show_default="10/s", help="Arrival rate of the open loop."),
    option("--duration", "-t", type=DURATION_TYPE, help="How long requests are sent.  [default: 10s]"),
    option("--count", "-n", type=int, default=0, help="Stop after so many requests."),
    option("--stage", "stages", type=STAGE_TYPE, multiple=True, help="200/s:30s, or a ramp: 0..200/s:30s; repeatable."),
    option("--connections", "-c", type=int, default=64, show_default=True, help="Connections, and in-flight cap."),
    option("--http2", is_flag=True, help="HTTP/2: by prior knowledge, or over TLS."),
    option("--streams", type=int, default=1, show_default=True, help="HTTP/2: requests at a time on a connection."),
    option("--closed", is_flag=True, help="Closed loop: as fast as the target answers."),
    option("--poisson", is_flag=True, help="Random instead of even spacing of arrivals."),
    option("--late", type=click.Choice([one.value for one in Late]), default="catch_up", help="When all are busy."),
    option("--pace", type=click.Choice([one.value for one in Pace]), default="timer", help="Precision against CPU."),
    option("--seed", type=int, default=1, show_default=True, help="The same seed sends the same requests."),
    option("--warmup", type=DURATION_TYPE, default=0.0, help="Requests due before this are sent, not reported."),
    option("--timeout", type=DURATION_TYPE, default=3.0, show_default="3s", help="From due time to last byte."),
    option("--method", "-X", default="", help="HTTP method.  [default: GET, with a body POST]"),
    option("--header", "-H", "headers", type=HEADER_TYPE, multiple=True, help="Send this header; repeatable."),
    option("--data", "-d", default="", help="Body of the request; @FILE reads it from a file."),
    option("--connect", default="", help="Connect to host:port or unix:/path whatever the URL says."),
    option("--resolve", default="", help="Use this IP address for every name."),
    option("--ip", "family", type=click.Choice(["any", "ip4", "ip6"]), default="any", help="Addresses to use."),
    option("--refresh", type=DURATION_TYPE, default=0.0, help="Resolve names again this often.  [default: once]"),
    option("--arm", "arms", type=ARM_TYPE, multiple=True, help="name=share; repeatable."),
    option("--arm-header", "arm_headers", type=(str, HEADER_TYPE), multiple=True, help="ARM 'name: value'."),
    option("--pair", "pairing", is_flag=True, help="Fire all arms at each due time, in random order."),
    option("--noise", type=SHARE_TYPE, default=0.0, help="Share of the pairs that fire the first arm twice (A/A)."),
    option("--split-by", type=SPLIT_TYPE, default=HEADER, show_default=True, help=SPLIT_HELP),
    option("--expect", default="", help="A good body matches this regular expression."),
    option("--expect-not", default="", help="A good body does not match this one."),
    option("--ok-status", type=STATUSES_TYPE, default="200-399", show_default=True, help="Good statuses."),
    option("--reuse", type=REUSE_TYPE, default="0", help="Requests on a connection: 100 or 50:150."),
    option("--max-age", type=DURATION_TYPE, default=0.0, help="How long a connection is kept.  [default: for ever]"),
    option("--insecure", "-k", is_flag=True, help="Do not verify certificates."),
    option("--cacert", default="", help="Believe the certificates in this file."),
    option("--cert", default="", help="Our own certificate."),
    option("--key", default="", help="Its key."),
    option("--server-name", default="", help="Name to ask for and to verify (SNI), when not the URL's host."),
    option("--i-own-this", "allow_hosts", multiple=True, help="This public host may be loaded; repeatable."),
    option("--retry-stale", is_flag=True, help="Send again, and count it, when a kept connection was dead."),
    option("--no-breaker", is_flag=True, help="Do not back off from a target in trouble."),
    option("--no-trace", is_flag=True, help="Send no traceparent header."),
)


def plan_options(command: Command) -> Command:
    """Add them to a command."""
    for add in reversed(OPTIONS):
        command = add(command)
    return command


def plan_of(url: str, options: dict[str, Any]) -> Plan:
    """Make a plan of the command line. Raises ValueError."""
    stages = options["stages"]
    duration_s = options["duration"] or (0.0 if stages else 10.0)
    if stages and options["duration"]:
        raise ValueError("--duration and --stage: each stage has its own duration")
    if not stages and not (options["closed"] and options["count"] and not options["duration"]):
        endless = bool(options["count"]) and not options["duration"]
        length_s = 2 + 1.1 * options["count"] / max(options["rate"], 1e-3) if endless else duration_s
        stages = (Stage(from_per_s=options["rate"], to_per_s=options["rate"], duration_s=length_s),)
    body = body_of(options["data"])
    target = Target(
        url=url,
        method=options["method"].upper() or ("POST" if body else "GET"),
        headers=options["headers"],
        body=body,
        connect=options["connect"],
    )
    low, high = options["reuse"]
    return Plan(
        targets=(target,),
        arms=arms_of(options["arms"], options["arm_headers"]),
        stages=tuple(stages),
        closed=options["closed"],
        requests=options["count"],
        arrivals=Arrivals.POISSON if options["poisson"] else Arrivals.CONSTANT,
        pairing=options["pairing"],
        noise_share=options["noise"],
        http2=options["http2"],
        streams=options["streams"],
        seed=options["seed"],
        connections=options["connections"],
        timeout_s=options["timeout"],
        warmup_s=options["warmup"],
        late=Late(options["late"]),
        pace=Pace(options["pace"]),
        version=options["split_by"],
        ok_status=options["ok_status"],
        expect_body=options["expect"],
        reject_body=options["expect_not"],
        trace=not options["no_trace"] and not options["closed"],
        breaker=not options["no_breaker"],
        snapshot_s=CLOSED_SNAPSHOT_S if options["closed"] else SNAPSHOT_S,
        retry_stale=options["retry_stale"],
        tls=Tls(
            verify=not options["insecure"],
            ca_file=options["cacert"],
            cert_file=options["cert"],
            key_file=options["key"],
            server_name=options["server_name"],
        ),
        names=Names(resolve=options["resolve"], family=options["family"], refresh_s=options["refresh"]),
        reuse=Reuse(requests_min=low, requests_max=high, age_max_s=options["max_age"]),
        allow_hosts=options["allow_hosts"],
    )


def arms_of(shares: tuple[tuple[str, float], ...], headers: tuple[tuple[str, tuple[str, str]], ...]) -> tuple[Arm, ...]:
    """Put arms and their headers together."""
    if not shares and not headers:
        return (Arm(name="all"),)
    names = [name for name, _ in shares]
    for name, _ in headers:
        if name not in names:
            raise ValueError(f"--arm-header: there is no --arm {name}=share")
    return tuple(
        Arm(name=name, share=share, headers=tuple(pair for owner, pair in headers if owner == name))
        for name, share in shares
    )


def body_of(data: str) -> bytes:
    """Read a request's body, or the file that it is in."""
    if not data.startswith("@"):
        return data.encode()
    try:
        with Path(data[1:]).open("rb") as file:
            body = file.read(BODY_BYTES_MAX + 1)
    except OSError as error:
        raise ValueError(f"--data: {error}") from error
    if len(body) > BODY_BYTES_MAX:
        raise ValueError(f"--data: {data[1:]} has more than {BODY_BYTES_MAX >> 20} MiB")
    return body
