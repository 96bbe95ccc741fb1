"""A transaction with more rows than statements fit: through the driver, over three real nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import raftsql
from raftsql.database.transaction import STEPS_MAX
from tests.operations.nodes import Nodes

ROWS = STEPS_MAX * 3 // 2
INSERT = "INSERT INTO t VALUES (?, ?)"


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Nodes]:
    with Nodes(tmp_path / "nodes", 3) as nodes:
        yield nodes


def rows(first: int, count: int) -> Iterator[tuple[int, str]]:
    return ((number, f"name {number}") for number in range(first, first + count))


def held(nodes: Nodes, number: int) -> Any:
    """What a node itself has."""
    with raftsql.connect(f"raftsql://{nodes.addresses[number - 1]}", autocommit=True) as one:
        sql = "SELECT count(*), sum(a), count(DISTINCT b) FROM t"
        return one.execute(sql, consistency="stale").fetchone()


def test_many_rows_in_a_transaction_reach_all_nodes_even_one_that_dies(three: Nodes) -> None:
    with raftsql.connect(three.url, timeout=60) as connection:
        connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        connection.commit()
        connection.executemany(INSERT, rows(0, ROWS))
        connection.execute("SAVEPOINT s")
        connection.executemany(INSERT, rows(ROWS, 5_000))
        connection.execute("ROLLBACK TO s")
        with pytest.raises(raftsql.IntegrityError) as caught:
            connection.executemany(INSERT, [*rows(ROWS, 15_000), (7, "again"), (-1, "never")])
        assert caught.value.row == 15_000
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (ROWS + 15_000,)
        connection.commit()
        follower = three.follower()
        three.kill(follower)
        three.start(follower)
        total = ROWS + 15_000
        assert held(three, three.leader()) == (total, total * (total - 1) // 2, total)
        for number in three.processes:
            three.wait_until_level(number)
            assert held(three, number) == held(three, three.leader())


def test_many_rows_of_a_transaction_that_is_rolled_back_leave_nothing(three: Nodes) -> None:
    with raftsql.connect(three.url, timeout=60) as connection:
        connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
        connection.commit()
        connection.executemany(INSERT, rows(0, ROWS))
        connection.rollback()
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
        connection.rollback()
        connection.executemany(INSERT, rows(0, 10))
        connection.commit()
        assert held(three, three.leader()) == (10, 45, 10)
