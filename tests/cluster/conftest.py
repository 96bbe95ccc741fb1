"""Stages for one replica, alone or among three."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.stage import Stage

Staged = Callable[..., Stage]


@pytest.fixture
def staged(tmp_path: Path) -> Iterator[Staged]:
    """Makes stages with so many nodes, and lets them go at the end."""
    stages: list[Stage] = []

    def make(nodes: int = 3, **limits: int) -> Stage:
        folder = tmp_path / f"stage{len(stages)}"
        folder.mkdir()
        stages.append(Stage(folder, nodes, **limits))
        return stages[-1]

    yield make
    for stage in stages:
        stage.world.close()


@pytest.fixture
def alone(staged: Staged) -> Stage:
    """The only node of its cluster, with a table."""
    stage = staged(1).lead()
    stage.wrote("CREATE TABLE t (x INTEGER PRIMARY KEY, y)")
    return stage


@pytest.fixture
def leader(staged: Staged) -> Stage:
    """The leader of three, with a table."""
    stage = staged(3).lead()
    stage.wrote("CREATE TABLE t (x INTEGER PRIMARY KEY, y)")
    return stage
