"""`loadgen worker`: the same as `python -m loadgen worker`."""

import sys

import click


@click.command("worker")
def command() -> None:
    """Run one share of a plan: an assignment on standard input, snapshots on standard output, both JSON lines."""
    from loadgen.worker import main  # noqa: PLC0415  # the engine is not needed for --help

    sys.exit(main())
