"""`loadgen curl`: one request, as a load test would send it. The head goes to stderr, the body to stdout."""

import sys
from typing import Any

import click

from loadgen.cli.options import arms_of, body_of
from loadgen.cli.units import DURATION_TYPE, HEADER_TYPE
from loadgen.core.outcome import Outcome
from loadgen.core.plan import Names, Plan, Target, Tls
from loadgen.core.request import encode
from loadgen.transport.address import AddressBook, UnreachableError, endpoint_of, tls_context
from loadgen.transport.exchange import Answer, Caller

EXIT_CONFIG = 104


@click.command("curl")
@click.argument("url")
@click.option("--method", "-X", default="", help="HTTP method.  [default: GET, with a body POST]")
@click.option("--header", "-H", "headers", type=HEADER_TYPE, multiple=True, help="Send this header; repeatable.")
@click.option("--data", "-d", default="", help="Body of the request; @FILE reads it from a file.")
@click.option("--connect", default="", help="Connect to host:port or unix:/path whatever the URL says.")
@click.option("--resolve", default="", help="Use this IP address for the name.")
@click.option("--timeout", type=DURATION_TYPE, default=3.0, show_default="3s", help="For the whole call.")
@click.option("--insecure", "-k", is_flag=True, help="Do not verify certificates.")
@click.option("--cacert", default="", help="Believe the certificates in this file.")
@click.option("--i-own-this", "allow_hosts", multiple=True, help="This public host may be called; repeatable.")
def command(url: str, **options: Any) -> None:
    """Send one request to URL and show the answer; 0 when its status is below 400."""
    try:
        answer = called(plan_of(url, options))
    except (ValueError, UnreachableError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(EXIT_CONFIG)
    sys.stderr.write(answer.head.decode("latin-1"))
    sys.stderr.flush()
    sys.stdout.buffer.write(answer.body)
    sys.stdout.buffer.flush()
    if answer.outcome is not Outcome.OK:
        click.echo(f"error: {answer.outcome} from {url}", err=True)
    sys.exit(0 if answer.outcome is Outcome.OK and answer.status < 400 else 1)


def plan_of(url: str, options: dict[str, Any]) -> Plan:
    """Make a plan of one request. Raises ValueError."""
    body = body_of(options["data"])
    target = Target(
        url=url,
        method=options["method"].upper() or ("POST" if body else "GET"),
        headers=options["headers"],
        body=body,
        connect=options["connect"],
    )
    return Plan(
        targets=(target,),
        arms=arms_of((), ()),
        requests=1,
        closed=True,
        trace=False,
        timeout_s=options["timeout"],
        tls=Tls(verify=not options["insecure"], ca_file=options["cacert"]),
        names=Names(resolve=options["resolve"]),
        allow_hosts=options["allow_hosts"],
    )


def called(plan: Plan) -> Answer:
    """Make the call."""
    target, arm = plan.targets[0], plan.arms[0]
    endpoint = endpoint_of(plan, target, arm)
    caller = Caller(
        AddressBook(endpoint, plan.names, plan.allow_hosts),
        endpoint.server_name,
        tls_context(plan.tls) if endpoint.server_name else None,
        timeout_s=plan.timeout_s,
        size_max=plan.response_bytes_max,
        bodiless=target.method == "HEAD",
    )
    with caller:
        return caller.call(encode(plan, target, arm).fill(plan.seed, 0, sampled=True))
