"""Progressive delivery: move one service from its stable to its canary version, step by step, on evidence."""

__version__ = "0.1.0"
