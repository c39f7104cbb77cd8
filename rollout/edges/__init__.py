"""IO: one vendor or protocol each. Edges do not know each other."""
