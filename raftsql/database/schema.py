"""What the schema tells of tables, for statements of our own that are made for any of them.

It is read from sqlite_schema, and never through `pragma_table_list`: to count their columns, that
compiles every view there is, and views of views may take minutes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import apsw

from raftsql.sql.access import folded

_ROW_NUMBERS: Final = ("rowid", "_rowid_", "oid")
"""The names of a table's row number; a column of such a name hides it."""

TABLES_SQL: Final = (
    "SELECT name, CASE rootpage WHEN 0 THEN iif(type = 'view', type, 'virtual') ELSE type END"
    " FROM sqlite_schema WHERE type IN ('table', 'view')"
)
"""Tables, views and virtual tables; `with_shadows` tells which tables lie beneath those."""

_BENEATH: Final = (
    ("_data", "_idx", "_config", "_content", "_docsize"),
    ("_segdir", "_segments", "_content", "_docsize", "_stat"),
    ("_node", "_parent", "_rowid"),
)
"""What FTS5, FTS3 and FTS4, and R-trees make beneath a table. By the first two they are known."""


def with_shadows(tables: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The kind of each table and view: table, view, virtual, or shadow. Takes what TABLES_SQL
    gives, and knows a shadow by its name and its siblings'."""
    kinds = dict(tables)
    for owner in [name for name, kind in kinds.items() if kind == "virtual"]:
        for suffixes in _BENEATH:
            if all(owner + suffix in kinds for suffix in suffixes[:2]):
                beneath = [owner + suffix for suffix in suffixes if owner + suffix in kinds]
                kinds.update(dict.fromkeys(beneath, "shadow"))
    return kinds


def governing(tables: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Under the name of each table and view, the one whose grant counts: of the tables beneath a
    virtual one, that one. Takes what TABLES_SQL gives."""
    kinds = {folded(name): kind for name, kind in with_shadows(tables).items()}
    kinds |= dict.fromkeys(("sqlite_schema", "sqlite_temp_schema"), "table")
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


def is_virtual(connection: apsw.Connection, table: str) -> bool:
    """Whether a table is a module's, and has no rows of its own."""
    sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND rootpage = 0 AND name = ?"
    return bool(connection.execute(sql, (table,)).fetchall())


HAS_ROW_NUMBERS_SQL: Final = (
    "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND rootpage != 0"
    "   AND name = ?1 COLLATE NOCASE)"
    " AND NOT EXISTS (SELECT 1 FROM pragma_index_list(?1) WHERE origin = 'pk'"
    "   AND name NOT IN (SELECT name FROM sqlite_schema WHERE type = 'index'))"
)
"""Whether a table is one with row numbers. In a table WITHOUT ROWID the index of the primary key is
the table itself, and so not in the schema."""


def row_number(connection: apsw.Connection, table: str) -> str | None:
    """A name for the table's row number, whether or not a column shows it; None if it has none."""
    if connection.execute(HAS_ROW_NUMBERS_SQL, (table,)).fetchall() != [(1,)]:
        return None
    key = "SELECT name FROM pragma_table_xinfo(?) WHERE pk"
    if _shows_row_number(connection, table):
        ((column,),) = connection.execute(key, (table,)).fetchall()
        return quoted(str(column))
    return hidden_row_number(connection, table)


def hidden_row_number(connection: apsw.Connection, table: str) -> str | None:
    """A name for the table's row number, if it has one and no column shows it."""
    if connection.execute(HAS_ROW_NUMBERS_SQL, (table,)).fetchall() != [(1,)]:
        return None
    if _shows_row_number(connection, table):
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
