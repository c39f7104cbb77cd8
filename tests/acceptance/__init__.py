"""Acceptance tests that are too heavy for every day. Each is a command, and says whether it holds."""
