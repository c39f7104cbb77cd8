"""`loadgen report`: a saved report as text, JSON, CSV, or one HTML page."""

import json
import sys
from pathlib import Path

import click

from loadgen.cli.saved import read_report
from loadgen.cli.text import told
from loadgen.core.report import Report
from loadgen.core.summary import document_of, summary_of

EXIT_CONFIG = 104
COLUMNS = ("at_s", "arm", "version", "count", "failed", "p50_s", "p90_s", "p99_s", "max_s")


@click.command("report")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--format", "form", type=click.Choice(["text", "json", "csv", "html"]), default="text", show_default=True)
@click.option("--out", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write here instead of stdout.")
def command(file: Path, form: str, out: Path | None) -> None:
    """Show a report that `loadgen run --save FILE` wrote."""
    try:
        text = shown(read_report(file), form)
        if out is not None:
            out.write_text(text)
    except (ValueError, OSError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(EXIT_CONFIG)
    if out is None:
        click.echo(text, nl=False)


def shown(report: Report, form: str) -> str:
    """Write a report in one of its forms."""
    match form:
        case "json":
            return json.dumps(document_of(summary_of(report)), indent=2) + "\n"
        case "csv":
            return csv_of(report)
        case "html":
            from loadgen.cli.html import page  # noqa: PLC0415  # the other forms need no plots

            return page(report)
        case _:
            return told(report) + "\n"


def csv_of(report: Report) -> str:
    """Write the time series: a row for each version in each stratum. Names with a comma are quoted."""
    rows = [",".join(COLUMNS)]
    for point in report.points:
        values = (getattr(point, column) for column in COLUMNS)
        rows.append(",".join(quoted(value) if isinstance(value, str) else f"{value:.9g}" for value in values))
    return "\n".join(rows) + "\n"


def quoted(text: str) -> str:
    """Quote a name that needs it, and disarm one that a spreadsheet would take for a formula."""
    text = f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text
    return '"' + text.replace('"', '""') + '"' if any(char in text for char in ',"\n') else text
