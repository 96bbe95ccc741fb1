"""A log to feed machines with, and the ways to look at what they made of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest

from raftsql.database import internal, text
from raftsql.database.environment import Role, open_connection
from raftsql.database.machine import Machine
from raftsql.raft.messages import Entry, EntryKind
from raftsql.sql import commands
from raftsql.sql.commands import CommandKind

CLOCK_MS = 1_700_000_000_000


class Log:
    """Builds entries as a leader would: each with an index, a clock and a seed."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.clock_ms = CLOCK_MS

    def append(self, kind: CommandKind, body: object, **header: Any) -> Entry:
        index = len(self.entries) + 1
        self.clock_ms += 7
        header.setdefault("clock_ms", self.clock_ms)
        header.setdefault("seed", pow(3, index, 2**64))
        payload = commands.seal(kind, commands.encode(body), **header)
        entry = Entry(1, index, EntryKind.COMMAND, payload)
        self.entries.append(entry)
        return entry

    def sql(self, sql: str, parameters: commands.Parameters = None, **header: Any) -> Entry:
        return self.append(CommandKind.EXECUTE, commands.Statement(sql, parameters), **header)

    def script(self, *texts: str, **header: Any) -> Entry:
        body = [commands.Statement(sql) for sql in texts]
        return self.append(CommandKind.SCRIPT, body, **header)

    def many(self, sql: str, rows: Sequence[Any], **header: Any) -> Entry:
        return self.append(CommandKind.MANY, commands.Many(sql, list(rows)), **header)

    def open_session(self, nonce: bytes, keep_ms: int = 60_000, **header: Any) -> Entry:
        return self.append(CommandKind.OPEN_SESSION, commands.OpenSession(nonce, keep_ms), **header)

    def plain(self, kind: EntryKind, payload: bytes = b"") -> Entry:
        entry = Entry(1, len(self.entries) + 1, kind, payload)
        self.entries.append(entry)
        return entry


class Bench:
    """One machine and its log; each call appends, applies and gives the answer."""

    def __init__(self, path: Path, **settings: Any) -> None:
        self.path = path
        self.log = Log()
        self.machine = Machine.open(path, **settings)

    def apply(self, entry: Entry) -> Any:
        (packed,) = self.machine.apply([entry])
        return None if packed is None else commands.decode_answer(packed)

    def sql(self, sql: str, parameters: commands.Parameters = None, **header: Any) -> Any:
        return self.apply(self.log.sql(sql, parameters, **header))

    def script(self, *texts: str, **header: Any) -> Any:
        return self.apply(self.log.script(*texts, **header))

    def many(self, sql: str, rows: Sequence[Any], **header: Any) -> Any:
        return self.apply(self.log.many(sql, rows, **header))

    def batch(self, *entries: Entry) -> list[Any]:
        """Apply entries, appended before, in one call."""
        return [
            None if packed is None else commands.decode_answer(packed)
            for packed in self.machine.apply(entries)
        ]

    def rows(self, sql: str) -> list[Any]:
        """Look, through a connection of one's own."""
        return rows(self.path, sql)

    def reopen(self) -> None:
        self.machine.close()
        self.machine = Machine.open(self.path)


def rows(path: Path, sql: str) -> list[Any]:
    connection = open_connection(path, Role.SERVICE)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def dump(path: Path) -> dict[str, list[Any]]:
    """Schema and all rows of all tables, typed, in key order; rowids too where there are any."""
    connection = open_connection(path, Role.SERVICE)
    try:
        with text.exact():
            return _dump(connection)
    finally:
        connection.close()


PENDING = ("_data", "_idx", "_segments", "_segdir", "_stat")
"""Below full-text tables: where words lie depends on where transactions ended."""


def _dump(connection: apsw.Connection) -> dict[str, list[Any]]:
    schema = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema"
        " WHERE name NOT LIKE 'sqlite\\_raftsql\\_%' ESCAPE '\\' ORDER BY type, name"
    ).fetchall()
    contents: dict[str, list[Any]] = {"schema": schema}
    virtual = [str(r[1]) for r in schema if "VIRTUAL TABLE" in str(r[3]).upper()]
    for kind, name, _, sql in schema:
        pending = any(f"{owner}{suffix}" == name for owner in virtual for suffix in PENDING)
        if kind != "table" or pending:
            continue
        keyed = "WITHOUT ROWID" in str(sql).upper() or "vocab" in str(sql)
        columns = "*" if keyed else "rowid, *"
        found = connection.execute(f'SELECT {columns} FROM "{name}"').fetchall()
        contents[str(name)] = [[(type(v).__name__, repr(v)) for v in row] for row in found]
    return contents


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "a.db")


def keep_position(connection: apsw.Connection, index: int, term: int, clock_ms: int) -> None:
    """Note that the log is applied so far, as the writer does with every batch."""
    connection.execute("DELETE FROM sqlite_raftsql_position WHERE answers = x''")
    connection.execute(internal.KEEP_BATCH, (index, term, clock_ms, b""))
