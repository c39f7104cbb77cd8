"""validate: RolloutPlan files, checked without a daemon, every problem with its line."""

from collections.abc import Iterator
from math import inf
from pathlib import Path

import click

from rollout.cli.client import Failed
from rollout.cli.exit_codes import Exit
from rollout.cli.streams import say, write
from rollout.core.plan_rules import PlanError, parse_plan
from rollout.core.quantities import format_duration
from rollout.core.simulation import Traffic, needs_of
from rollout.core.spec import RolloutPlan, Source
from rollout.yaml_documents import YamlError, load


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path())
@click.option("--rps", type=click.FloatRange(0, 1e6), help="Warn of checks that users' traffic cannot answer in time.")
@click.option("--baseline", default="", help="How stable answers; errors=0.1%,latency=50ms if left out.")
def validate(files: tuple[str, ...], rps: float | None, baseline: str) -> int:
    """Check RolloutPlan FILES; every problem is named with its line and key.

    A plan that is right may still ask for more requests than there are: that is a warning, not an error.
    """
    from rollout.cli.simulation import traffic_of

    traffic = traffic_of(rps or 0.0, baseline, "")
    failures = 0
    for name in files:
        try:
            plan = read_plan(Path(name))
        except Failed as error:
            say(f"error: {error}")
            failures += 1
        else:
            write(f"{name}: ok, {plan.service} in {len(plan.spec.steps)} steps with {len(plan.spec.checks)} checks")
            for warning in _warnings(plan, traffic, knows_users=rps is not None):
                say(f"warning: {name}: {warning}")
    return Exit.USAGE if failures else Exit.OK


def _warnings(plan: RolloutPlan, traffic: Traffic, *, knows_users: bool) -> Iterator[str]:
    """Checks that a good canary cannot pass before its step's deadline."""
    for need in needs_of(plan.spec, traffic):
        if need.fits or not (knows_users or need.source is Source.LOAD):
            continue
        rate = plan.spec.load.rate if plan.spec.load and need.source is Source.LOAD else traffic.rps
        where = f"spec.steps[{need.step}] ({plan.spec.steps[need.step]}): {need.check}"
        if need.seconds == inf:
            yield f"{where} cannot pass at {rate:g} rps"
        else:
            yield (
                f"{where} needs {need.requests:,.0f} requests of the canary; at {rate:g} rps that takes "
                f"{format_duration(round(need.seconds))}, and the step gives up after {format_duration(need.timeout_s)}"
            )


def read_plan(path: Path) -> RolloutPlan:
    """Read one RolloutPlan. Raises Failed with `file:line:column key: problem` lines."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise Failed(f"cannot read {path}: {error.strerror}", Exit.ERROR) from error
    try:
        document = load(text, file=str(path))
        return parse_plan(document.value)
    except YamlError as error:
        raise Failed(str(error), Exit.USAGE) from error
    except PlanError as error:
        lines = [document.describe(problem.location, problem.message) for problem in error.problems]
        raise Failed("\n".join(lines), Exit.USAGE) from error
