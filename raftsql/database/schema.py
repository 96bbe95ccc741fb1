"""What the schema tells of tables, for statements of our own that are made for any of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import apsw

from raftsql.sql.access import folded

_ROW_NUMBERS: Final = ("rowid", "_rowid_", "oid")
"""The names of a table's row number; a column of such a name hides it."""

TABLES_SQL: Final = "SELECT name, type FROM pragma_table_list WHERE schema = 'main'"


def governing(tables: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Under the name of each table and view, the one whose grant counts: of the tables beneath a
    virtual one, that one. Takes what TABLES_SQL gives."""
    kinds = {folded(name): kind for name, kind in tables}
    virtual = [name for name, kind in kinds.items() if kind == "virtual"]
    found = {}
    for name, kind in kinds.items():
        above = [each for each in virtual if name.startswith(f"{each}_")]
        found[name] = max(above, key=len) if kind == "shadow" and above else name
    return found


def quoted(name: str) -> str:
    """A name as an SQL identifier, whatever letters it has."""
    return '"' + name.replace('"', '""') + '"'


def tables_called(connection: apsw.Connection, prefix: str) -> list[str]:
    """The tables whose names begin so."""
    rows = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, ?) = ?",
        (len(prefix), prefix),
    ).fetchall()
    return [str(name) for (name,) in rows]


def hidden_row_number(connection: apsw.Connection, table: str) -> str | None:
    """A name for the table's row number, if it has one and no column shows it."""
    if _shows_row_number(connection, table):
        return None
    ((without_rowid,),) = connection.execute(
        "SELECT wr FROM pragma_table_list(?) WHERE schema = 'main'", (table,)
    ).fetchall()
    if without_rowid:
        return None
    columns: list[Any] = connection.execute(
        "SELECT lower(name) FROM pragma_table_xinfo(?)", (table,)
    ).fetchall()
    taken = {name for (name,) in columns}
    return next((name for name in _ROW_NUMBERS if name not in taken), None)


def _shows_row_number(connection: apsw.Connection, table: str) -> bool:
    """Whether the primary key is the row number, and not something with an index of its own.

    The type says too little: `INTEGER PRIMARY KEY DESC`, and an INTEGER that is one of several in a
    primary key, have indexes beside a row number that nothing shows.
    """
    ((keyed, indexed),) = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM pragma_table_xinfo(?1) WHERE pk),"
        " EXISTS (SELECT 1 FROM pragma_index_list(?1) WHERE origin = 'pk')",
        (table,),
    ).fetchall()
    return bool(keyed) and not indexed
