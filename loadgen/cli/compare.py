"""`loadgen compare`: two runs, or two versions of one, with an interval around every difference."""

import math
import sys
from pathlib import Path
from typing import Any

import click

from loadgen.cli.saved import cells_of, read_report
from loadgen.cli.text import paired
from loadgen.core.comparison import Difference, differences, is_exceeded, parse_limit
from loadgen.core.interval import Interval
from loadgen.core.trust import TrustLevel
from loadgen.core.units import told_s

EXIT_INVALID = 98
EXIT_EXCEEDED = 99
EXIT_CONFIG = 104
FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("compare")
@click.argument("first", type=FILE)
@click.argument("second", type=FILE, required=False)
@click.option("--versions", nargs=2, default=("", ""), metavar="A B", help="Compare these two versions.")
@click.option("--confidence", type=click.FloatRange(0.5, 0.9999), default=0.95, show_default=True)
@click.option("--fail-if", "limits", multiple=True, metavar="LIMIT", help="p99>+25ms, p99>10%, errors>0.5%.")
def command(first: Path, second: Path | None, **options: Any) -> None:
    """Say what the second report has more than the first, and how sure that is.

    With one report and --versions, compare two versions in it. --fail-if ends with 99 when a difference is certainly
    larger; a report that is not to be believed ends with 98.
    """
    try:
        limits = [parse_limit(text) for text in options["limits"]]
        reports = [read_report(first), read_report(second or first)]
    except ValueError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(EXIT_CONFIG)
    names = tuple(
        version or str(file) for version, file in zip(options["versions"], (first, second or first), strict=True)
    )
    one, other = (cells_of(report, version) for report, version in zip(reports, options["versions"], strict=True))
    found = differences(one, other, options["confidence"])
    for line in table(names, found, options["confidence"]):
        click.echo(line)
    for line in paired(reports[-1], options["confidence"]):
        click.echo(line)
    if any(report.closing.trust.level is TrustLevel.INVALID for report in reports):
        click.echo("a report says of itself that it is no evidence", err=True)
        sys.exit(EXIT_INVALID)
    exceeded = [limit.text for limit in limits if is_exceeded(limit, found)]
    for text in exceeded:
        click.echo(f"✗ {text}", err=True)
    sys.exit(EXIT_EXCEEDED if exceeded else 0)


def table(names: tuple[str, ...], found: tuple[Difference, ...], confidence: float) -> list[str]:
    """Write a row for each number."""
    if not found:
        return ["no data to compare"]
    rows = [("", *names, "difference", f"{100 * confidence:g}%-CI", "")]
    for one in found:
        told = told_share if one.name == "errors" else told_s
        rows.append(
            (
                one.name,
                told(one.first.value),
                told(one.second.value),
                signed(one.difference.value, one.name),
                enclosed(one.difference, one.name),
                verdict(one.difference),
            )
        )
    widths = [max(len(row[place]) for row in rows) for place in range(6)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def verdict(difference: Interval) -> str:
    """Say what the interval says."""
    if difference.excludes_zero:
        return "more" if difference.lower > 0 else "less"
    return "same within noise" if math.isfinite(difference.upper - difference.lower) else "not known"


def told_share(value: float) -> str:
    """Write a share."""
    return f"{100 * value:.2f}%"


def signed(value: float, name: str) -> str:
    """Write a difference; of shares it is in points."""
    sign = "+" if value >= 0 else "-"
    return f"{sign}{100 * abs(value):.2f}pp" if name == "errors" else f"{sign}{told_s(abs(value))}"


def enclosed(interval: Interval, name: str) -> str:
    """Write an interval; an end that the data do not reach is a dash."""
    ends = (interval.lower, interval.upper)
    return "[{}, {}]".format(*("-" if abs(end) == float("inf") else signed(end, name) for end in ends))
