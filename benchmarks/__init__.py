"""Measurements anyone can repeat: `python -m benchmarks.core`, `.apply`, `.journal`, ..."""
