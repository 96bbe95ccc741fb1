"""Clusters of real processes, ended with their tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.processes import Cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """No node yet."""
    made = Cluster(tmp_path)
    yield made
    made.end()
