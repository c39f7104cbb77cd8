"""`loadgen run`: one load test from the command line. What it found goes to stdout, how it went to stderr.

Ctrl-C once stops sending and sums up what there is; twice ends at once. The exit code says what a script needs to know;
99, 104 and 105 are k6's numbers.
"""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

import click

from loadgen.cli.cluster import KUBERNETES_TYPE, Fleet
from loadgen.cli.live import Live
from loadgen.cli.options import plan_of, plan_options
from loadgen.cli.text import told
from loadgen.cli.units import THRESHOLD_TYPE
from loadgen.core.codec import to_json
from loadgen.core.plan import Plan
from loadgen.core.report import Report
from loadgen.core.summary import document_of, summary_of
from loadgen.core.threshold import Verdict, judge
from loadgen.core.trust import TrustLevel
from loadgen.session import LoadSession, Member


class Exit(IntEnum):
    """How a run ends."""

    OK = 0
    INVALID = 98  # the generator does not believe itself: no evidence, whatever the thresholds say
    THRESHOLDS = 99
    CONFIG = 104
    SIGNAL = 105


@click.command("run")
@click.argument("url")
@click.argument("more", type=THRESHOLD_TYPE, nargs=-1, metavar="[THRESHOLD]...")
@click.option(
    "--threshold", "thresholds", type=THRESHOLD_TYPE, multiple=True, help="p99<300ms, errors<1%, p95@v3<80ms."
)
@click.option("--workers", type=int, default=1, show_default=True, help="Worker processes.")
@click.option("--kubernetes", type=KUBERNETES_TYPE, help="Run in pods: workers=N[,collector=URL,...].")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="On stdout.")
@click.option("--save", type=click.Path(dir_okay=False, path_type=Path), help="Write the whole report to this file.")
@click.option("--metrics", default="", metavar="HOST:PORT", help="Serve Prometheus metrics while running.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@plan_options
def command(url: str, **options: Any) -> None:
    """Load URL and report on it."""
    thresholds = (*options["thresholds"], *options["more"])
    try:
        plan = plan_of(url, options)
        live = None if options["quiet"] else Live(plan)
        report = asyncio.run(run(plan, options["workers"], live, options["metrics"], options["kubernetes"]))
        if options["save"]:
            save(options["save"], report)
    except (ValueError, OSError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(Exit.CONFIG)
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("stopped", err=True)
        sys.exit(Exit.SIGNAL)
    verdicts = [judge(threshold, report) for threshold in thresholds]
    click.echo(told(report, verdicts) if options["output"] == "text" else as_json(report, verdicts))
    sys.exit(exit_of(report, verdicts))


async def run(plan: Plan, workers: int, live: Live | None, metrics: str, fleet: Fleet | None = None) -> Report:
    """Run a plan to its end, or to the first Ctrl-C."""
    async with contextlib.AsyncExitStack() as stack:
        meter = None
        if metrics:
            from loadgen.cli.metrics import Meter  # noqa: PLC0415  # most runs need no metrics

            meter = stack.enter_context(Meter(metrics))
        crew: Sequence[Member] = ()
        if fleet is not None:
            crew = await stack.enter_async_context(fleet.opened(plan))
        async with LoadSession(plan, workers=workers, crew=crew) as session:
            stack.enter_context(stops_on_signal(session))
            if live is not None:
                live.begin()
                stack.callback(live.end)
            async for snapshot in session.snapshots():
                if live is not None:
                    live.update(snapshot)
                if meter is not None:
                    meter.update(snapshot)
    return session.report


@contextlib.contextmanager
def stops_on_signal(session: LoadSession) -> Iterator[None]:
    """Drain on the first signal; on the second one give up."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    signals = (signal.SIGINT, signal.SIGTERM)
    is_stopping = False

    def on_signal() -> None:
        nonlocal is_stopping
        if is_stopping and task is not None:
            task.cancel()
        is_stopping = True
        session.stop_nowait()

    for number in signals:
        loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def save(file: Path, report: Report) -> None:
    """Write the report where `loadgen report` and `loadgen compare` can read it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"report": to_json(report)}, separators=(",", ":"), allow_nan=False) + "\n")


def as_json(report: Report, verdicts: list[Verdict]) -> str:
    """Write the summary and the whole report for programs."""
    document = {
        "summary": document_of(summary_of(report)),
        "thresholds": [{"threshold": one.threshold.text, "value": one.value, "passed": one.passed} for one in verdicts],
        "report": to_json(report),
    }
    return json.dumps(document, allow_nan=False)


def exit_of(report: Report, verdicts: list[Verdict]) -> Exit:
    """Say in a number what came of it: a run that cannot be believed passes nothing."""
    if report.closing.interrupted:
        return Exit.SIGNAL
    if report.closing.trust.level is TrustLevel.INVALID:
        return Exit.INVALID
    return Exit.OK if all(one.passed for one in verdicts) else Exit.THRESHOLDS
