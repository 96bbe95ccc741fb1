"""What statements of our own must know of any table."""

from __future__ import annotations

import apsw
import pytest

from raftsql.database.schema import hidden_row_number, quoted, tables_called


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("a", "rowid"),
        ("rowid", "_rowid_"),
        ("ROWID, _rowid_", "oid"),
        ("rowid, _rowid_, oid", None),
        ("a INTEGER PRIMARY KEY", None),
        ("a integer primary key", None),
        ("a TEXT PRIMARY KEY", "rowid"),
        ("a INTEGER PRIMARY KEY DESC", "rowid"),
        ("a INTEGER PRIMARY KEY ASC", None),
        ("a INTEGER, PRIMARY KEY (a DESC)", None),
        ("a INTEGER, b, PRIMARY KEY (a, b)", "rowid"),
        ("a INT PRIMARY KEY", "rowid"),
        ("a INTEGER UNIQUE PRIMARY KEY DESC", "rowid"),
        ("rowid INTEGER PRIMARY KEY DESC", "_rowid_"),
    ],
)
def test_a_row_number_is_found_where_no_column_shows_it(columns: str, expected: str | None) -> None:
    connection = apsw.Connection(":memory:")
    connection.execute(f"CREATE TABLE t ({columns})")
    assert hidden_row_number(connection, "t") == expected


def test_a_table_without_rowid_has_no_row_number() -> None:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t (a TEXT PRIMARY KEY) WITHOUT ROWID")
    assert hidden_row_number(connection, "t") is None


def test_any_name_can_be_quoted() -> None:
    connection = apsw.Connection(":memory:")
    for name in ("t", "select", 'a"b', "a b", "é"):
        connection.execute(f"CREATE TABLE {quoted(name)} (a)")
    assert tables_called(connection, 'a"') == ['a"b']
    assert tables_called(connection, "a") == ['a"b', "a b"]
