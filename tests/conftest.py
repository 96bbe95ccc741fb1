"""What holds for every test."""

import os
import time

import pytest

# As in a node: a database is opened for apply in UTC only.
os.environ["TZ"] = "UTC"
time.tzset()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--rewrite` approves what scripts, transcripts and pictures show now: read the difference as
    you would read code."""
    parser.addoption("--rewrite", action="store_true", help="rewrite the approved output")
