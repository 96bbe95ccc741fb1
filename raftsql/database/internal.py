"""The tables raftsql keeps beside the user's, in the same file and the same transactions.

Their names begin with `sqlite_raftsql_`: tools skip such tables, and SQLite itself refuses to
drop, alter or index them or to put triggers on them, once they exist. Creating them needs a
schema that is writable for a moment; nothing else ever does.
"""

from __future__ import annotations

from typing import Any, Final

import apsw

from raftsql.database.environment import FORMAT_VERSION
from raftsql.raft.messages import Position
from raftsql.sql.access import NOBODY_YET, Access, decode_access

TABLES: Final = """
CREATE TABLE sqlite_raftsql_position(
    log_index INTEGER PRIMARY KEY,
    term INTEGER NOT NULL,
    clock_ms INTEGER NOT NULL,
    answers BLOB NOT NULL
) STRICT;
CREATE TABLE sqlite_raftsql_facts(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE sqlite_raftsql_sessions(
    number INTEGER PRIMARY KEY,
    nonce BLOB NOT NULL,
    keep_ms INTEGER NOT NULL,
    heard_ms INTEGER NOT NULL
) STRICT;
INSERT INTO sqlite_raftsql_position VALUES (0, 0, 0, x'');
"""
# One row a batch of commands: its last place in the log, and the answers that clients may ask for
# again. The newest row is the position; older ones stay while an answer in them does. So a batch
# costs one insert and one delete, nearly always in the same page.

POSITION_SQL: Final = (
    "SELECT log_index, term, clock_ms FROM sqlite_raftsql_position ORDER BY log_index DESC LIMIT 1"
)
"""The applied index, its term and its clock: what tells a reader which moment it sees."""

MEMBERSHIP: Final = "membership"
FORMAT: Final = "format"
ACCESS: Final = "access"
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
        raise FormatUnknown(
            f"the database has format {found!r}, this program {FORMAT_VERSION}: start the release"
            " of raftsql that wrote it"
        )


def _rows(connection: apsw.Connection, sql: str, *bindings: apsw.SQLiteValue) -> list[Any]:
    return connection.execute(sql, bindings).fetchall()


def fact(connection: apsw.Connection, name: str) -> bytes | None:
    """What is kept under a name."""
    rows = _rows(connection, "SELECT value FROM sqlite_raftsql_facts WHERE name = ?", name)
    return bytes(rows[0][0]) if rows else None


def keep_fact(connection: apsw.Connection, name: str, value: bytes) -> None:
    """Keep a small thing beside the rows, within the transaction that is open."""
    connection.execute("INSERT OR REPLACE INTO sqlite_raftsql_facts VALUES (?, ?)", (name, value))


def access(connection: apsw.Connection) -> Access:
    """Who may do what."""
    found = fact(connection, ACCESS)
    return NOBODY_YET if found is None else decode_access(found)


def position(connection: apsw.Connection) -> tuple[Position, int]:
    """The last applied place in the log, and the clock of the last command."""
    ((index, term, clock_ms),) = _rows(connection, POSITION_SQL)
    return Position(index=index, term=term), clock_ms


KEEP_BATCH: Final = "INSERT INTO sqlite_raftsql_position VALUES (?, ?, ?, ?)"
DROP_BATCH: Final = "DELETE FROM sqlite_raftsql_position WHERE log_index = ?"


def answer_rows(connection: apsw.Connection) -> list[tuple[int, bytes]]:
    """The rows of the position, oldest first: where each batch ended, and its answers."""
    return _rows(
        connection, "SELECT log_index, answers FROM sqlite_raftsql_position ORDER BY log_index"
    )


def session_rows(connection: apsw.Connection) -> list[tuple[int, bytes, int, int]]:
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
