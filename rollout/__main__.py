"""python -m rollout."""


def main() -> None:
    """Run the command line."""
