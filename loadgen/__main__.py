"""python -m loadgen: the worker, which needs nothing but the engine, and the command line for everything else."""

import sys


def main() -> None:
    """Run the worker or the command line; a worker's start does not pay for the command line's imports."""
    if sys.argv[1:] == ["worker"]:
        from loadgen.worker import main as work  # noqa: PLC0415

        sys.exit(work())
    from loadgen.cli import main as command  # noqa: PLC0415

    command()


if __name__ == "__main__":
    main()
