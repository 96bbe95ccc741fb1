"""The tables raftsql keeps beside the user's, in the same file and the same transactions.

Their names begin with `sqlite_raftsql_`: tools skip such tables, and SQLite itself refuses to
drop, alter or index them or to put triggers on them, once they exist. Creating them needs a
schema that is writable for a moment; nothing else ever does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import apsw

from raftsql.database.environment import FORMAT_VERSION
from raftsql.raft.messages import ORIGIN, Position

TABLES: Final = """
CREATE TABLE sqlite_raftsql_position(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    log_index INTEGER NOT NULL,
    term INTEGER NOT NULL,
    clock_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE sqlite_raftsql_facts(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE sqlite_raftsql_sessions(
    number INTEGER PRIMARY KEY,
    nonce BLOB NOT NULL,
    keep_ms INTEGER NOT NULL,
    heard_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE sqlite_raftsql_answers(log_index INTEGER PRIMARY KEY, records BLOB NOT NULL) STRICT;
INSERT INTO sqlite_raftsql_position VALUES (1, 0, 0, 0);
"""

POSITION_SQL: Final = "SELECT log_index, term FROM sqlite_raftsql_position"
"""The applied index and its term: what a reader asks first, to know which moment it sees."""

MEMBERSHIP: Final = "membership"
FORMAT: Final = "format"
"""Facts that this room keeps for itself; others may keep theirs under other names."""


class FormatUnknown(Exception):
    """The file was written by a raftsql whose tables this one does not know."""


def create(connection: apsw.Connection) -> None:
    """Create the tables if the file has none; refuse a file of another format."""
    if connection.table_exists("main", "sqlite_raftsql_position"):
        _check_format(connection)
        return
    connection.execute("BEGIN IMMEDIATE")
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
    connection.config(apsw.SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1)
    try:
        connection.execute(TABLES)
    finally:
        connection.config(apsw.SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0)
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    keep_fact(connection, FORMAT, str(FORMAT_VERSION).encode())
    connection.execute("COMMIT")


def _check_format(connection: apsw.Connection) -> None:
    found = fact(connection, FORMAT)
    if found != str(FORMAT_VERSION).encode():
        raise FormatUnknown(f"the database has format {found!r}, this program {FORMAT_VERSION}")


def _rows(connection: apsw.Connection, sql: str, *bindings: apsw.SQLiteValue) -> list[Any]:
    return connection.execute(sql, bindings).fetchall()


def fact(connection: apsw.Connection, name: str) -> bytes | None:
    """What is kept under a name."""
    rows = _rows(connection, "SELECT value FROM sqlite_raftsql_facts WHERE name = ?", name)
    return bytes(rows[0][0]) if rows else None


def keep_fact(connection: apsw.Connection, name: str, value: bytes) -> None:
    """Keep a small thing beside the rows, within the transaction that is open."""
    connection.execute("INSERT OR REPLACE INTO sqlite_raftsql_facts VALUES (?, ?)", (name, value))


def position(connection: apsw.Connection) -> tuple[Position, int]:
    """The last applied place in the log, and the clock of the last command."""
    rows = _rows(connection, "SELECT log_index, term, clock_ms FROM sqlite_raftsql_position")
    if not rows:
        return ORIGIN, 0
    index, term, clock_ms = rows[0]
    return Position(index=index, term=term), clock_ms


def keep_position(connection: apsw.Connection, index: int, term: int, clock_ms: int) -> None:
    """Note how far the log is applied, within the transaction that applied it."""
    connection.execute(
        "UPDATE sqlite_raftsql_position SET log_index = ?, term = ?, clock_ms = ?",
        (index, term, clock_ms),
    )


def answer_rows(connection: apsw.Connection) -> Sequence[tuple[int, bytes]]:
    """The packed answers of each batch that still has a living one, oldest first."""
    return _rows(
        connection, "SELECT log_index, records FROM sqlite_raftsql_answers ORDER BY log_index"
    )


def keep_answers(connection: apsw.Connection, key: int, records: bytes) -> None:
    """Keep the answers of one batch under its last index."""
    connection.execute("INSERT INTO sqlite_raftsql_answers VALUES (?, ?)", (key, records))


def drop_answers(connection: apsw.Connection, keys: Sequence[int]) -> None:
    """Forget the answers of batches none of which can be asked for again."""
    connection.executemany(
        "DELETE FROM sqlite_raftsql_answers WHERE log_index = ?", [(key,) for key in keys]
    )


def session_rows(connection: apsw.Connection) -> Sequence[tuple[int, bytes, int, int]]:
    """The sessions as they were opened, by number."""
    return _rows(
        connection,
        "SELECT number, nonce, keep_ms, heard_ms FROM sqlite_raftsql_sessions ORDER BY number",
    )


def keep_session(
    connection: apsw.Connection, number: int, nonce: bytes, keep_ms: int, heard_ms: int
) -> None:
    """Keep a session, or that it was heard of."""
    connection.execute(
        "INSERT OR REPLACE INTO sqlite_raftsql_sessions VALUES (?, ?, ?, ?)",
        (number, nonce, keep_ms, heard_ms),
    )


def drop_session(connection: apsw.Connection, number: int) -> None:
    """Forget a session."""
    connection.execute("DELETE FROM sqlite_raftsql_sessions WHERE number = ?", (number,))
