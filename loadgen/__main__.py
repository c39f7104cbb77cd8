"""python -m loadgen."""


def main() -> None:
    """Run the command line."""
