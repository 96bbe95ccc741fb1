"""The tables that raftsql keeps in the user's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest

from raftsql.database import internal
from raftsql.database.environment import FORMAT_VERSION
from raftsql.database.errors import MachineStopped
from raftsql.database.machine import Machine
from raftsql.raft.messages import Position


@pytest.fixture
def connection() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    internal.create(connection)
    return connection


def test_a_new_file_is_at_the_beginning_of_the_log(connection: apsw.Connection) -> None:
    assert internal.position(connection) == (Position(0, 0), 0)
    assert internal.fact(connection, internal.FORMAT) == str(FORMAT_VERSION).encode()
    assert internal.fact(connection, internal.MEMBERSHIP) is None


def test_the_newest_row_is_the_position(connection: apsw.Connection) -> None:
    connection.execute(internal.KEEP_BATCH, (5, 2, 700, b"older answers"))
    connection.execute(internal.KEEP_BATCH, (9, 3, 800, b""))
    assert internal.position(connection) == (Position(9, 3), 800)
    assert internal.answer_rows(connection) == [(0, b""), (5, b"older answers"), (9, b"")]
    connection.execute(internal.DROP_BATCH, (5,))
    assert [index for index, _ in internal.answer_rows(connection)] == [0, 9]


def test_making_the_tables_twice_changes_nothing(connection: apsw.Connection) -> None:
    internal.keep_fact(connection, "note", b"x")
    internal.create(connection)
    assert internal.fact(connection, "note") == b"x"


def test_a_fact_is_replaced_by_a_newer_one(connection: apsw.Connection) -> None:
    internal.keep_fact(connection, internal.MEMBERSHIP, b"one")
    internal.keep_fact(connection, internal.MEMBERSHIP, b"two")
    assert internal.fact(connection, internal.MEMBERSHIP) == b"two"


def test_sessions_are_kept_by_number_and_dropped_by_it(connection: apsw.Connection) -> None:
    internal.keep_session(connection, 7, b"seven", 10, 20)
    internal.keep_session(connection, 3, b"three", 10, 20)
    internal.keep_session(connection, 7, b"seven", 10, 30)
    assert internal.session_rows(connection) == [(3, b"three", 10, 20), (7, b"seven", 10, 30)]
    internal.drop_session(connection, 3)
    assert [row[0] for row in internal.session_rows(connection)] == [7]


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE sqlite_raftsql_position",
        "ALTER TABLE sqlite_raftsql_facts RENAME TO mine",
        "CREATE INDEX i ON sqlite_raftsql_sessions(nonce)",
        "CREATE TABLE sqlite_raftsql_more(a)",
    ],
)
def test_sqlite_itself_guards_tables_of_such_names(connection: apsw.Connection, sql: str) -> None:
    with pytest.raises(apsw.SQLError):
        connection.execute(sql)


def test_a_file_of_another_format_is_refused(bench: Any) -> None:
    bench.machine.close()
    path: Path = bench.path
    connection = apsw.Connection(str(path))
    internal.keep_fact(connection, internal.FORMAT, b"99")
    connection.close()
    with pytest.raises(MachineStopped, match="has format b'99', this program"):
        Machine.open(path)
