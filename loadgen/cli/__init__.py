"""The command line: one module for each verb, imported only when it is called."""

import importlib
import sys

import click

VERBS = {
    "run": "Run a load test and report on it.",
    "report": "Show a saved report: text, JSON, CSV or HTML.",
    "compare": "Compare two reports, or two versions of one.",
    "curl": "Send one request and show the answer.",
    "serve": "Answer requests as told: an echo server with faults.",
    "fortio": "Be fortio: load or curl with its flags and its text.",
    "pod": "Be one worker of a run on a cluster (the Job's pods are).",
    "worker": "Run one share of a plan given as JSON (for other programs).",
}


EXIT_CONFIG = 104  # k6's numbers
EXIT_SIGNAL = 105


class Verbs(click.Group):
    """Finds a verb's module by its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the verbs in the order in which one meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"loadgen.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rollout", prog_name="loadgen")
def verbs() -> None:
    """Generate load from an open loop, measure from when each request was due, and say when not to believe it."""


def main() -> None:
    """Run a verb. A command line that means nothing ends like a plan that means nothing."""
    try:
        verbs.main(prog_name="loadgen", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_CONFIG)
    except click.Abort:
        sys.exit(EXIT_SIGNAL)
