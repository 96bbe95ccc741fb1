"""Results of many pages on a real node: several at a time, and written beside."""

from __future__ import annotations

import pytest

import raftsql as client
from raftsql.database.readers import HELD_MAX
from tests.server.processes import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.long]

ROWS = 25_000
ALL = "SELECT id, v FROM t ORDER BY id"


@pytest.fixture
def connection(cluster: Cluster) -> client.Connection:
    made = client.connect(cluster.founder().url)
    made.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER NOT NULL)")
    made.executemany("INSERT INTO t (v) VALUES (?)", [(0,) for _ in range(ROWS)])
    made.commit()
    return made


def test_two_results_of_one_transaction_are_read_side_by_side(
    connection: client.Connection,
) -> None:
    pairs = zip(connection.execute(ALL), connection.execute(ALL), strict=True)
    assert sum(one == other for one, other in pairs) == ROWS


def test_what_is_asked_between_the_rows_of_a_result_is_answered(
    connection: client.Connection,
) -> None:
    for number, _ in connection.execute(ALL):
        if number % 500 == 0:
            assert connection.execute("SELECT ?", (number,)).fetchone() == (number,)


def test_what_is_written_between_the_rows_of_a_result_is_not_seen_in_it(
    connection: client.Connection,
) -> None:
    for number, value in connection.execute(ALL):
        assert value == 0
        if number % 1_000 == 0:
            connection.execute("UPDATE t SET v = 1 WHERE id >= ?", (number,))
    connection.commit()
    changed = connection.execute("SELECT sum(v) FROM t").fetchone()
    assert changed == (ROWS - 999,)


def test_results_that_are_left_half_read_keep_nothing_from_those_after_them(
    connection: client.Connection,
) -> None:
    for _ in range(HELD_MAX + 2):
        for (number, _), _ in zip(connection.execute(ALL), connection.execute(ALL), strict=True):
            if number > 10_500:
                break
        connection.rollback()
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (ROWS,)
