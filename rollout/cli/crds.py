"""crds: what a cluster has to know before it can keep plans and rollouts."""

from pathlib import Path

import click

from rollout.cli.client import Failed
from rollout.cli.streams import write
from rollout.crds import files


@click.command()
@click.option("--write", "directory", type=click.Path(file_okay=False, path_type=Path), help="Write files there.")
def crds(directory: Path | None) -> None:
    """Print the CustomResourceDefinitions of RolloutPlan and TrafficRollout.

    rollout crds | kubectl apply --server-side -f -
    """
    for name, text in files().items():
        if directory is None:
            write(f"---\n{text}")
            continue
        try:
            directory.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text)
        except OSError as error:
            raise Failed(f"cannot write {directory / name}: {error.strerror}") from error
        write(str(directory / name))
