"""simulate: what a plan would do to a canary of a given kind, before anybody's users meet it."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import click

from rollout.cli.client import Failed
from rollout.cli.exit_codes import Exit
from rollout.cli.plans import read_plan
from rollout.cli.simulation_plot import drawn
from rollout.cli.streams import Format, console, is_live, write, write_document
from rollout.core.quantities import format_duration, format_rate
from rollout.core.simulation import BASELINE, End, Ending, Story, Summary, Traffic, parse_behaviour, summary_of
from rollout.core.simulation import simulate as run_once
from rollout.core.simulation.summary import Share, Spread
from rollout.core.spec import QueryCheck, RolloutPlan, RolloutSpec

BATCH = 5  # runs that one process does at a time: often enough for a bar that moves
RUNS_MAX = 100_000
JOBS_MAX = 8


@click.command()
@click.argument("plan", type=click.Path())
@click.option(
    "--canary", default="", help="How the canary answers, such as errors=2%,latency=x1.2; like stable if left out."
)
@click.option("--baseline", default="", help="How stable answers; errors=0.1%,latency=50ms if left out.")
@click.option("--rps", type=click.FloatRange(0, 1e6), required=True, help="Users' requests per second.")
@click.option("--runs", type=click.IntRange(1, RUNS_MAX), default=200, show_default=True, help="How many rollouts.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same rollouts.")
@click.option("--jobs", type=click.IntRange(1, 64), default=None, help="Processes; one per core if left out.")
@click.option("--plot", type=click.Path(dir_okay=False), help="Draw how the rollouts end to this .svg or .html file.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print.")
def simulate(plan: str, output: str, plot: str | None, jobs: int | None, **flags: Any) -> int:
    """Run PLAN many times in a made-up world: the real policy, a virtual clock, two versions of a given kind.

    \b
    rollout simulate plan.yaml --rps 100 --canary errors=2%
    rollout simulate plan.yaml --rps 100 --canary latency=x1.2 --runs 1000 --plot slow.svg
    """
    document = read_plan(Path(plan))
    traffic = traffic_of(flags["rps"], flags["baseline"], flags["canary"])
    if plot and Path(plot).suffix not in (".svg", ".html"):
        raise Failed(f"--plot: {plot} ends neither in .svg nor in .html", Exit.USAGE)
    story = Story(spec=_spec_of(document), traffic=traffic)
    endings = _endings(story, runs=flags["runs"], seed=flags["seed"], jobs=jobs or min(os.cpu_count() or 1, JOBS_MAX))
    summary = summary_of(endings)
    if plot:
        _save(Path(plot), drawn(endings, title=_title(document, traffic), is_page=plot.endswith(".html")))
    if Format(output) is Format.JSON:
        write_document(_as_document(document, traffic, summary), Format.JSON)
    else:
        write("\n".join(_lines(document, traffic, summary)))
    return Exit.OK


def traffic_of(rps: float, baseline: str, canary: str) -> Traffic:
    """What the flags say. Raises Failed naming the flag that makes no sense."""
    flag = "--baseline"
    try:
        stable = parse_behaviour(baseline, BASELINE)
        flag = "--canary"
        return Traffic(rps=rps, stable=stable, canary=parse_behaviour(canary, stable))
    except ValueError as error:
        raise Failed(f"{flag}: {error}", Exit.USAGE) from error


def _spec_of(document: RolloutPlan) -> RolloutSpec:
    return RolloutSpec(
        namespace=document.metadata.namespace,
        service=document.service,
        stable="stable",
        canary="canary",
        plan=document.spec,
    )


@dataclass(frozen=True, slots=True)
class _Batch:
    """Seeds that one process works off."""

    story: Story
    seeds: range


def _worked_off(batch: _Batch) -> list[Ending]:
    return [run_once(batch.story, Random(seed)) for seed in batch.seeds]  # noqa: S311 - chance, not secrecy


def _endings(story: Story, *, runs: int, seed: int, jobs: int) -> list[Ending]:
    """All runs, in the order of their seeds however many processes there are."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    first = seed * RUNS_MAX
    batches = [
        _Batch(story, range(start, min(start + BATCH, first + runs))) for start in range(first, first + runs, BATCH)
    ]
    found: dict[int, list[Ending]] = {}
    columns = (TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(sys.stderr), transient=True, disable=not is_live()) as progress:
        bar = progress.add_task("", total=runs)
        for index, endings in _done(batches, jobs):
            found[index] = endings
            progress.advance(bar, len(endings))
    return [ending for index in sorted(found) for ending in found[index]]


def _done(batches: list[_Batch], jobs: int) -> Iterator[tuple[int, list[Ending]]]:
    """Batches as they end. New processes, not forks: a fork of a process with threads may hang."""
    if jobs == 1 or len(batches) == 1:
        for index, batch in enumerate(batches):
            yield index, _worked_off(batch)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(batches)), mp_context=context, initializer=_leave_interrupts) as pool:
        futures = {pool.submit(_worked_off, batch): index for index, batch in enumerate(batches)}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _leave_interrupts() -> None:
    """Ctrl-C is for the parent to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _save(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failed(f"cannot write {path}: {error.strerror}", Exit.ERROR) from error


def _title(document: RolloutPlan, traffic: Traffic) -> str:
    return f"{document.service}: canary with {traffic.canary}; stable with {traffic.stable}; {traffic.rps:g} rps"


def _lines(document: RolloutPlan, traffic: Traffic, summary: Summary) -> Iterator[str]:
    load = document.spec.load
    probes = f", synthetic load {format_rate(load.rate)}" if load else ""
    yield f"{document.service}, {len(document.spec.steps)} steps; users {format_rate(traffic.rps)}{probes}"
    yield f"stable: {traffic.stable}"
    yield f"canary: {traffic.canary}"
    yield ""
    for end, share in summary.ends.items():
        if share.count or end is not End.HELD:
            yield f"{end:<18} {share.share:>7.1%}  ({share.lower:.1%} to {share.upper:.1%}){_when(summary, end)}"
    yield ""
    yield f"failed user requests   {_spread(summary.failed_user_requests)}"
    yield f"canary requests needed {_spread(summary.canary_requests)}"
    for words, count in summary.causes:
        yield f"{count:>6,} x {words}"
    for name in _assumed(document):
        yield f"{name}: taken to be fine, since the value of a query cannot be simulated"


def _when(summary: Summary, end: End) -> str:
    times = summary.decided_s.get(end)
    if times is None:
        return ""
    return f"  half within {format_duration(round(times.median))}, 95% within {format_duration(round(times.p95))}"


def _spread(spread: Spread) -> str:
    half, most = f"half up to {spread.median:,.0f}", f"95% up to {spread.p95:,.0f}, most {spread.largest:,.0f}"
    return f"mean {spread.mean:,.1f}; {half}, {most}"


def _assumed(document: RolloutPlan) -> list[str]:
    return [check.name for check in document.spec.checks if isinstance(check, QueryCheck)]


def _as_document(document: RolloutPlan, traffic: Traffic, summary: Summary) -> dict[str, Any]:
    return {
        "service": document.service,
        "rps": traffic.rps,
        "stable": {"errorRate": traffic.stable.error_rate, "medianSeconds": traffic.stable.median_s},
        "canary": {"errorRate": traffic.canary.error_rate, "medianSeconds": traffic.canary.median_s},
        "runs": summary.runs,
        "ends": {_key(end): _share_document(share) for end, share in summary.ends.items()},
        "decisionSeconds": {_key(end): _spread_document(times) for end, times in summary.decided_s.items()},
        "failedUserRequests": _spread_document(summary.failed_user_requests),
        "canaryRequests": _spread_document(summary.canary_requests),
        "causes": [{"cause": words, "runs": count} for words, count in summary.causes],
        "assumedGood": _assumed(document),
    }


def _key(end: End) -> str:
    return {End.PROMOTED: "promoted", End.ROLLED_BACK: "rolledBack", End.TIMED_OUT: "timedOut", End.HELD: "held"}[end]


def _share_document(share: Share) -> dict[str, float]:
    return {"runs": share.count, "probability": share.share, "lower": share.lower, "upper": share.upper}


def _spread_document(spread: Spread) -> dict[str, float]:
    return {"mean": spread.mean, "median": spread.median, "p95": spread.p95, "max": spread.largest}
