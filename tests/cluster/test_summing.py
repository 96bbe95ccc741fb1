"""The checksums of one node: bounded, of exactly their moment, and in nobody's way."""

from __future__ import annotations

from pathlib import Path

import pytest

from raftsql.cluster.guests import Guests
from raftsql.cluster.summing import KEPT_MAX, NoSum, Sums
from raftsql.database.machine import Machine
from tests.database.conftest import Log


@pytest.fixture
def database(tmp_path: Path) -> Path:
    log = Log()
    log.sql("CREATE TABLE t(a)")
    machine = Machine.open(tmp_path / "database.db")
    machine.apply(log.entries)
    machine.close()
    return tmp_path / "database.db"


async def test_a_node_that_stops_goes_on_applying_past_a_marker(database: Path) -> None:
    """What was handed out is applied to its end, and the sum is nobody's business any more."""
    sums = Sums(Guests())
    sums.stop()
    sums.begin(database, 1)
    with pytest.raises(NoSum, match="the node stops"):
        await sums.of(1)


async def test_the_oldest_sums_are_forgotten(database: Path) -> None:
    sums = Sums(Guests())
    sums.begin(database, 1)
    assert (await sums.of(1)).tables["t"].rows == 0
    for index in range(2, KEPT_MAX + 2):
        sums.begin(database, index)
    assert not sums.known(1)
    with pytest.raises(NoSum, match="no checksum of that moment"):
        await sums.of(1)
    sums.stop()
