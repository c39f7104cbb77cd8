"""`loadgen pod`: one worker of a run on a cluster. The Job of `loadgen run --kubernetes` starts it."""

import asyncio
import sys
from pathlib import Path

import click

TOKEN_BYTES_MAX = 4096


@click.command("pod")
@click.option("--collector", required=True, help="Base URL of who started the run.")
@click.option("--token-file", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The run's token.")
@click.option("--index", type=click.IntRange(0, 255), envvar="JOB_COMPLETION_INDEX", required=True, show_envvar=True)
@click.option("--quit-sidecar", is_flag=True, help="At the end tell Istio's sidecar to quit.")
def command(collector: str, token_file: Path, index: int, quit_sidecar: bool) -> None:
    """Be one worker: come to the collector, wait for the others, run a share, hand in what was seen."""
    from loadgen.cluster.pod import Exit, RefusedError, run  # noqa: PLC0415  # --help needs no client

    try:
        with token_file.open("rb") as file:
            token = file.read(TOKEN_BYTES_MAX).decode("ascii").strip()
        sys.exit(asyncio.run(run(collector.rstrip("/"), token, index, quit_sidecar=quit_sidecar)))
    except (RefusedError, UnicodeDecodeError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(Exit.REFUSED)
    except OSError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(Exit.LOST)
