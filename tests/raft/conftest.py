from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--rewrite` approves what the scripts do now: read the difference as you would read code."""
    parser.addoption("--rewrite", action="store_true", help="rewrite the approved script output")
