"""validate: RolloutPlan files, checked without a daemon, every problem with its line."""

from pathlib import Path

import click

from rollout.cli.client import Failed
from rollout.cli.exit_codes import Exit
from rollout.cli.streams import say, write
from rollout.core.plan_rules import PlanError, parse_plan
from rollout.core.spec import RolloutPlan
from rollout.yaml_documents import YamlError, load


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path())
def validate(files: tuple[str, ...]) -> int:
    """Check RolloutPlan FILES; every problem is named with its line and key."""
    failures = 0
    for name in files:
        try:
            plan = read_plan(Path(name))
        except Failed as error:
            say(f"error: {error}")
            failures += 1
        else:
            write(f"{name}: ok, {plan.service} in {len(plan.spec.steps)} steps with {len(plan.spec.checks)} checks")
    return Exit.USAGE if failures else Exit.OK


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
