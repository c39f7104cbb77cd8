"""Compatibility with fortio: its flags, its pacing, its text and its JSON, for tutorials and scripts that expect them.

It measures as fortio measures: latency from the actual send, all connections in step, a histogram of a millisecond.
`loadgen run` does not, and is right; docs/loadgen.md says where they differ.
"""
