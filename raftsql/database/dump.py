"""The database as SQL text, one statement at a time, exact to the last bit of every value.

What reads it back is the sqlite3 program, or any SQLite. Row numbers are kept where no column
shows them. A virtual table is put into the schema as it stands, and its shadow tables are dumped
like others: that is exact, needs no module to be loaded, and is what the sqlite3 shell does too.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import apsw

from raftsql.database import text
from raftsql.database.guard import INTERNAL_PREFIX
from raftsql.database.schema import hidden_row_number, is_virtual, quoted

_ROWS_A_STEP: Final = 64
"""Fetched at a time, since what decodes damaged text may not stay in force across a yield."""


def dump(connection: apsw.Connection) -> Iterator[str]:
    """Statements that make an equal database of an empty one, each with its semicolon."""
    assert connection.in_transaction, "a dump is of one moment: hold a read transaction"
    objects = _objects(connection)
    yield "PRAGMA foreign_keys = OFF;\n"
    yield "BEGIN TRANSACTION;\n"
    for setting in ("user_version", "application_id"):
        yield f"PRAGMA {setting} = {connection.pragma(setting)};\n"
    virtual = [each for each in objects if each[0] == "table" and is_virtual(connection, each[1])]
    if virtual:
        yield "PRAGMA writable_schema = ON;\n"
    for each in objects:
        if each[0] == "table" and each not in virtual:
            yield from _table(connection, each[1], each[3])
    for _, name, table, sql in virtual:
        values = ", ".join(_literal(value) for value in ("table", name, table, 0, sql))
        yield (
            f"INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql) VALUES ({values});\n"
        )
    if any(name == "sqlite_sequence" for _, name, _, _ in objects):
        yield "DELETE FROM sqlite_sequence;\n"
        yield from _rows(connection, "sqlite_sequence")
    for kind in ("index", "view", "trigger"):
        for each in objects:
            if each[0] == kind and each[3] is not None:
                yield f"{each[3]};\n"
    yield "COMMIT;\n"
    if virtual:
        # Off again, and the connection forgets the schema it knew without the virtual tables.
        yield "PRAGMA writable_schema = RESET;\n"


_Object = tuple[str, str, str, str | None]


def _objects(connection: apsw.Connection) -> list[_Object]:
    with text.exact():
        rows: list[Any] = connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema"
            " WHERE substr(tbl_name, 1, ?1) != ?2 ORDER BY rowid",
            (len(INTERNAL_PREFIX), INTERNAL_PREFIX),
        ).fetchall()
    return rows


def _table(connection: apsw.Connection, name: str, sql: str | None) -> Iterator[str]:
    if name == "sqlite_sequence":
        return
    if name.startswith("sqlite_stat"):
        # Only ANALYZE can make these tables.
        yield "ANALYZE sqlite_schema;\n"
    else:
        yield f"{sql};\n"
    yield from _rows(connection, name)


def _rows(connection: apsw.Connection, name: str) -> Iterator[str]:
    columns = ", ".join(_columns(connection, name))
    into = f"INSERT INTO {quoted(name)}({columns}) VALUES ("
    with text.exact():
        cursor = connection.execute(f"SELECT {columns} FROM main.{quoted(name)} NOT INDEXED")
    while True:
        with text.exact():
            rows = list(islice(cursor, _ROWS_A_STEP))
        if not rows:
            return
        for row in rows:
            yield into + ", ".join(map(_literal, row)) + ");\n"


def _columns(connection: apsw.Connection, name: str) -> list[str]:
    """Those that can be written, after the row number if no column shows it."""
    described: list[Any] = connection.execute(
        "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0", (name,)
    ).fetchall()
    columns = [quoted(column) for (column,) in described]
    row_number = hidden_row_number(connection, name)
    return columns if row_number is None else [row_number, *columns]


def _literal(value: Any) -> str:
    """A value as SQL that gives exactly it."""
    match value:
        case None:
            return "NULL"
        case str():
            if "\x00" in value or text.is_damaged(value):
                return f"CAST(x'{text.text_bytes(value).hex()}' AS TEXT)"
            return "'" + value.replace("'", "''") + "'"
        case bytes():
            return f"x'{value.hex()}'"
        case float() if value in (float("inf"), float("-inf")):
            return "9.0e999" if value > 0 else "-9.0e999"
        case _:
            return repr(value)
