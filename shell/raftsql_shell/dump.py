"""The database as SQL that makes it again.

Rows are read from one snapshot: a transaction holds it open from the first table to the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from raftsql_shell.errors import CommandError
from raftsql_shell.keywords import KEYWORDS
from raftsql_shell.literals import literal, name

if TYPE_CHECKING:
    from raftsql_driver import Connection

BATCH_ROWS: Final = 1_000
STATEMENT_ROWS: Final = 200
"""Rows of one INSERT: each statement costs a restore a round trip."""
_SCHEMA: Final = (
    "SELECT type, name, tbl_name, sql FROM sqlite_schema "
    "WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
    "AND tbl_name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"
)
_SHADOWS: Final = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'"


def dump(connection: Connection, patterns: Sequence[str]) -> Iterator[str]:
    """Statements that make the tables of these names, or all, with their rows."""
    if connection.in_transaction:
        yield from _dump(connection, patterns)
        return
    connection.execute("BEGIN")
    try:
        yield from _dump(connection, patterns)
    finally:
        connection.rollback()


def _dump(connection: Connection, patterns: Sequence[str]) -> Iterator[str]:
    shadows = {row[0] for row in connection.execute(_SHADOWS).fetchall()}
    wanted = {each.casefold() for each in patterns}
    entries = [
        entry
        for entry in connection.execute(_SCHEMA).fetchall()
        if entry[1] not in shadows and (not wanted or entry[2].casefold() in wanted)
    ]
    missing = wanted - {entry[2].casefold() for entry in entries}
    if missing:
        raise CommandError(f"there is no table {min(missing)}")
    yield "PRAGMA foreign_keys=OFF;\nBEGIN;\n"
    for kind, table, _, sql in entries:
        if kind == "table":
            yield f"{sql};\n"
            yield from _rows(connection, table)
    yield from _sequences(connection, [entry[1] for entry in entries if entry[0] == "table"])
    for kind in ("index", "view", "trigger"):
        yield from (f"{entry[3]};\n" for entry in entries if entry[0] == kind)
    yield "COMMIT;\nPRAGMA foreign_keys=ON;\n"


def _rows(connection: Connection, table: str) -> Iterator[str]:
    columns = [
        row[0]
        for row in connection.execute(
            "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid", (table,)
        ).fetchall()
    ]
    names = ",".join(name(each, KEYWORDS) for each in columns)
    into = f"INSERT INTO {name(table, KEYWORDS)}({names}) VALUES\n"
    cursor = connection.execute(f"SELECT {names} FROM {name(table, KEYWORDS)}")
    while rows := cursor.fetchmany(BATCH_ROWS):
        for first in range(0, len(rows), STATEMENT_ROWS):
            values = ",\n".join(map(_values, rows[first : first + STATEMENT_ROWS]))
            yield f"{into}{values};\n"


def _values(row: Sequence[Any]) -> str:
    return f"({','.join([literal(value) for value in row])})"


def _sequences(connection: Connection, tables: list[str]) -> Iterator[str]:
    """Where AUTOINCREMENT stands: kept, so that numbers are not given twice."""
    found = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'")
    if not found.fetchall():
        return
    for table, number in connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall():
        if table in tables:
            yield f"DELETE FROM sqlite_sequence WHERE name = {literal(table)};\n"
            yield f"INSERT INTO sqlite_sequence(name,seq) VALUES({literal(table)},{number});\n"
