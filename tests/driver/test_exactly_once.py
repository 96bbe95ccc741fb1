"""Every write that was acknowledged happened once, whatever the network and the leaders did.

`make exactly-once MINUTES=60` is the same for longer, with many seeds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from tests.driver.exactly_once.ledger import INSERT, SCHEMA, Fate, Ledger
from tests.driver.exactly_once.world import World

SECONDS = 12.0


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(seed=20) as world:
        yield world


@pytest.mark.e2e
@pytest.mark.long
@pytest.mark.parametrize("colour", ["threads", "tasks"])
def test_each_acknowledged_increment_happened_once_and_each_doubtful_one_at_most_once(
    world: World, colour: str
) -> None:
    faults, blows, before = world.faults.total(), world.blows.total(), world.ledger.fates()
    world.run(colour, SECONDS)
    assert world.anomalies() == []
    # It was a fight: answers were lost, a leader fell, and still things were done.
    assert world.faults.total() > faults
    assert world.blows.total() > blows
    assert world.ledger.fates()["done"] > before["done"]


@pytest.fixture
def table() -> Any:
    table = sqlite3.connect(":memory:")
    table.executescript(SCHEMA)
    table.execute("INSERT INTO counter VALUES(1, 0)")
    yield table
    table.close()


def anomalies(table: Any, fate: Fate, written: int) -> list[str]:
    for _ in range(written):
        table.execute(INSERT, (1, "1.1"))
    ledger = Ledger()
    ledger.note(1, "1.1", fate, 1)
    return ledger.anomalies(table)


@pytest.mark.parametrize(
    ("fate", "written"),
    [(Fate.DONE, 0), (Fate.DONE, 2), (Fate.UNKNOWN, 2), (Fate.NEVER, 1)],
)
def test_the_ledger_sees_what_is_wrong(table: Any, fate: Fate, written: int) -> None:
    (found,) = anomalies(table, fate, written)
    assert found == f"1.1: {fate.value}, 1 rows each time, and {written} are there"


@pytest.mark.parametrize(
    ("fate", "written"),
    [(Fate.DONE, 1), (Fate.UNKNOWN, 0), (Fate.UNKNOWN, 1), (Fate.NEVER, 0)],
)
def test_the_ledger_sees_what_is_right(table: Any, fate: Fate, written: int) -> None:
    assert anomalies(table, fate, written) == []


def test_the_ledger_counts_what_a_trigger_did(table: Any) -> None:
    table.execute("UPDATE counter SET n = 1")
    (found,) = Ledger().anomalies(table)
    assert found == "worker 1: 1 counted, 0 in the ledger"


def test_the_ledger_compares_the_number_that_a_caller_was_told(table: Any) -> None:
    table.execute(INSERT, (1, "1.1"))
    ledger = Ledger()
    ledger.note(1, "1.1", Fate.DONE, 1, last_row=7)
    assert ledger.anomalies(table) == ["1.1: lastrowid was 7, and its row is 1"]
