"""What statements of our own must know of any table."""

from __future__ import annotations

import apsw
import pytest

from raftsql.database.schema import (
    TABLES_SQL,
    hidden_row_number,
    quoted,
    tables_called,
    with_shadows,
)


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


def test_the_kinds_of_tables_are_those_that_sqlite_tells() -> None:
    connection = apsw.Connection(":memory:")
    connection.execute("""
        CREATE TABLE plain (a);
        CREATE VIEW seen AS SELECT a FROM plain;
        CREATE TABLE keyed (a INTEGER PRIMARY KEY AUTOINCREMENT);
        CREATE TABLE dense (a PRIMARY KEY) WITHOUT ROWID;
        CREATE VIRTUAL TABLE "five words" USING fts5(a);
        CREATE VIRTUAL TABLE bare USING fts5(a, content = '', columnsize = 0);
        CREATE VIRTUAL TABLE terms USING fts5vocab(bare, row);
        CREATE VIRTUAL TABLE four USING fts4(a);
        CREATE VIRTUAL TABLE boxes USING rtree(id, low, high);
        CREATE TABLE boxes_data (a);
        CREATE TABLE plain_idx (a);
        ANALYZE;
    """)
    told: dict[object, object] = dict(
        connection.execute("SELECT name, type FROM pragma_table_list WHERE schema = 'main'")
    )
    del told["sqlite_schema"]
    assert with_shadows(connection.execute(TABLES_SQL).fetchall()) == told


def test_views_that_take_minutes_to_compile_are_not_compiled() -> None:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t (a); CREATE VIEW v0 AS SELECT a FROM t")
    for level in range(1, 25):
        view = f"v{level - 1}"
        connection.execute(
            f"CREATE VIEW v{level} AS"
            f" SELECT (SELECT max(a) FROM {view}) + (SELECT max(a) FROM {view}) AS a FROM t"
        )
    assert with_shadows(connection.execute(TABLES_SQL).fetchall())["v24"] == "view"
    assert hidden_row_number(connection, "t") == "rowid"
