"""serve: the daemon."""

import asyncio
import os
from pathlib import Path
from typing import Any

import click

from rollout.cli.client import Failed
from rollout.cli.exit_codes import Exit
from rollout.cli.streams import say


@click.command()
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="Settings file (YAML).")
@click.option("--listen", help="Address of the API, host:port. Default 127.0.0.1:8383.")
@click.option("--state", type=click.Path(dir_okay=False), help="The journal's file. Default build/rollout.sqlite.")
@click.option("--mesh", type=click.Path(file_okay=False), help="Directory of a running mesh (rollout mesh).")
@click.option("--prometheus", help="Base URL of Prometheus.")
@click.option("--plans", type=click.Path(file_okay=False), help="Directory of RolloutPlan files.")
@click.option("--tokens", type=click.Path(dir_okay=False), help="File of API tokens; needed to listen beyond loopback.")
@click.option("--hooks", type=click.Path(dir_okay=False), help="File that maps webhooks to services and versions.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="Default info.")
@click.option("--check", is_flag=True, help="Show every setting with where it came from, and stop.")
def serve(config: Path | None, check: bool, **flags: Any) -> int:
    """Run the daemon: it drives rollouts, judges them, and answers the API.

    Settings come from flags, then ROLLOUT_* variables, then the file, then defaults. SIGTERM ends it and leaves traffic
    where it is; the next one goes on from the journal.
    """
    from rollout.app import StartError, run_daemon
    from rollout.settings import SettingsError, load_settings
    from rollout.telemetry import configure_logs

    try:
        settings, origins = load_settings(flags, os.environ, config)
    except SettingsError as error:
        raise Failed(str(error), Exit.USAGE) from error
    if check:
        for name, origin in origins.items():
            click.echo(f"{name:<12} {getattr(settings, name)!s:<32} {origin}")
        return Exit.OK
    configure_logs(level=settings.log_level)

    def bound(host: str, port: int) -> None:
        say(f"rollout daemon at http://{host}:{port}")

    try:
        asyncio.run(run_daemon(settings, bound))
    except StartError as error:
        raise Failed(str(error)) from error
    return Exit.OK
