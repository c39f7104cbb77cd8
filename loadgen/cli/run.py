"""`loadgen run`: one load test from the command line."""

import asyncio
import sys
from typing import Any

import click

from loadgen.cli.units import DURATION_TYPE, HEADER_TYPE, RATE_TYPE
from loadgen.core.plan import Arrivals, Plan, Stage, Target
from loadgen.core.report import Report
from loadgen.core.trust import TrustLevel
from loadgen.session import LoadSession

EXIT_INVALID = 98  # the run cannot be believed: no evidence
EXIT_CONFIG = 104
EXIT_SIGNAL = 105


@click.command("run")
@click.argument("url")
@click.option("--rate", type=RATE_TYPE, default=10.0, show_default="10/s", help="Arrival rate of the open loop.")
@click.option("--duration", type=DURATION_TYPE, default=10.0, show_default="10s", help="How long requests are sent.")
@click.option("--connections", "-c", type=int, default=64, show_default=True, help="Connections, and in-flight cap.")
@click.option("--header", "-H", "headers", type=HEADER_TYPE, multiple=True, help="Send this header; repeatable.")
@click.option("--timeout", type=DURATION_TYPE, default=3.0, show_default="3s", help="From due time to last byte.")
@click.option("--poisson", is_flag=True, help="Random instead of even spacing of arrivals.")
@click.option("--closed", is_flag=True, help="Closed loop: as fast as the target answers.")
@click.option("--workers", type=int, default=1, show_default=True, help="Worker processes.")
def command(url: str, **options: Any) -> None:
    """Load URL and report on it."""
    try:
        report = asyncio.run(run(plan_of(url, options), options["workers"]))
    except ValueError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(EXIT_CONFIG)
    click.echo(summary(report))
    sys.exit(EXIT_INVALID if report.closing.trust.level is TrustLevel.INVALID else 0)


def plan_of(url: str, options: dict[str, Any]) -> Plan:
    """Make a plan of the command line."""
    rate = options["rate"]
    return Plan(
        targets=(Target(url=url, headers=options["headers"]),),
        stages=(Stage(from_per_s=rate, to_per_s=rate, duration_s=options["duration"]),),
        connections=options["connections"],
        timeout_s=options["timeout"],
        arrivals=Arrivals.POISSON if options["poisson"] else Arrivals.CONSTANT,
        closed=options["closed"],
        trace=not options["closed"],
    )


async def run(plan: Plan, workers: int) -> Report:
    """Run a plan to its end."""
    async with LoadSession(plan, workers=workers) as session:
        async for _ in session.snapshots():
            pass
    return session.report


def summary(report: Report) -> str:
    """Sum a report up in five lines."""
    quantiles = report.response().quantiles_s((0.5, 0.9, 0.95, 0.99, 0.999, 1.0))
    names = ("p50", "p90", "p95", "p99", "p99.9", "max")
    latency = "  ".join(f"{name} {1e3 * (value or 0):.3g}ms" for name, value in zip(names, quantiles, strict=True))
    trust = report.closing.trust
    lines = [
        f"requests {report.completed:,} · {report.completed / report.duration_s:.2f}/s · dropped {report.dropped:,}",
        f"latency (from due time)  {latency}",
        f"errors {100 * report.error_share:.2f} %",
        f"trust {trust.level}" + "".join(f"\n  {reason}" for reason in trust.reasons),
    ]
    return "\n".join(lines)
