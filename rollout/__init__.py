"""Progressive delivery: move one service's traffic from its stable to its canary version, step by step, on evidence."""
