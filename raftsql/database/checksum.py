"""Whether two databases hold the same: a checksum of the schema and of every table's rows.

It is logical. Page layout, free pages, indexes and the cluster's own tables are left out, so a
vacuumed copy, a user's backup and a node that was rebuilt from a snapshot all agree. What is in:
the text of every schema object, the values a program can set in the file's header, and each row
with its key, each value with its type: 1, 1.0, '1' and x'31' are four different values, and text
that is not UTF-8 counts by its bytes.

Full-text indexes may keep their segments differently for the same rows: FTS4 merges some of them at
every commit, and nodes put different numbers of log entries into one transaction. So of FTS3, FTS4
and FTS5 tables everything is summed but the segments.

Nodes compare more than a backup can: with `cluster`, the sessions with their answers and what
else the cluster keeps are summed too, by their meaning, since nodes store them in different
batches.

It takes a while, so it comes in steps: a caller may stop between any two. The connection holds a
read transaction for as long, or the sum would be of no moment in particular.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from raftsql.database import internal, text
from raftsql.database.environment import Role, open_connection
from raftsql.database.errors import stop_for
from raftsql.database.guard import INTERNAL_PREFIX
from raftsql.database.schema import TABLES_SQL, hidden_row_number, quoted, with_shadows
from raftsql.database.sessions import Sessions

STEP_BYTES: Final = 1 << 18
"""Canonical bytes in one step: about a millisecond's work."""

_DIGEST_BYTES: Final = 16
_DAMAGED_TEXT: Final = 1
"""The msgpack extension that stands for text whose bytes are not UTF-8."""

_encoder: Final = msgspec.msgpack.Encoder()

_SEGMENTS: Final = ("_segments", "_segdir", "_data", "_idx")
"""How the names of shadow tables end that hold full-text segments."""

_PLAIN, _GENERATED_STORED = 0, 3
"""Values of `hidden` in table_xinfo."""


class TableSum(msgspec.Struct, array_like=True, frozen=True):
    """How many rows a table has, and what they are."""

    rows: int
    digest: bytes


class Checksum(msgspec.Struct, array_like=True, frozen=True):
    """What a database holds, small enough to be sent and compared."""

    schema: bytes
    tables: dict[str, TableSum]

    @property
    def total(self) -> bytes:
        """One digest over all of it: equal when everything is."""
        digest = hashlib.blake2b(self.schema, digest_size=_DIGEST_BYTES)
        for name in sorted(self.tables):
            digest.update(_encoder.encode((name, self.tables[name])))
        return digest.digest()


class Difference(msgspec.Struct, array_like=True, frozen=True):
    """Where two checksums part: the schema, or the tables with these names."""

    schema: bool
    tables: list[str]

    def __bool__(self) -> bool:
        return self.schema or bool(self.tables)


def compare(left: Checksum, right: Checksum) -> Difference:
    """Name what differs between two databases; the result is false when nothing does."""
    names = sorted(left.tables.keys() | right.tables.keys())
    return Difference(
        schema=left.schema != right.schema,
        tables=[name for name in names if left.tables.get(name) != right.tables.get(name)],
    )


class Summing:
    """A checksum under way, of the moment at which it was begun."""

    def __init__(self, path: Path, *, cluster: bool = False, vfs: str = "") -> None:
        self._path = path
        self._connection = open_connection(path, Role.SERVICE, vfs=vfs)
        self._connection.execute("BEGIN")
        self.position, _ = internal.position(self._connection)
        """The moment: nothing that is applied later is summed."""
        self._steps = in_steps(self._connection, cluster=cluster)

    def step(self) -> Checksum | None:
        """Sum some more: the checksum when that was all of it."""
        try:
            next(self._steps)
            return None
        except StopIteration as finished:
            self.close()
            checksum: Checksum = finished.value
            return checksum
        except apsw.Error as error:
            self.close()
            raise stop_for(self._path, error) from error

    def close(self) -> None:
        """Let go of the moment, finished or not."""
        self._steps.close()
        self._connection.close(True)


def take(connection: apsw.Connection, *, cluster: bool = False) -> Checksum:
    """Sum the whole database in one go."""
    steps = in_steps(connection, cluster=cluster)
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            result: Checksum = finished.value
            return result


def in_steps(
    connection: apsw.Connection, *, cluster: bool = False
) -> Generator[None, None, Checksum]:
    """Sum the database, pausing after every STEP_BYTES; what it returns at the end is the sum."""
    assert connection.in_transaction, "a checksum is of one moment: hold a read transaction"
    with text.exact():
        schema = _schema_digest(connection)
        names = list(_summed_tables(connection))
    tables: dict[str, TableSum] = {}
    if cluster:
        tables |= _cluster_sums(connection)
    for name in names:
        tables[name] = yield from _table_sum(connection, name)
    return Checksum(schema, tables)


def _cluster_sums(connection: apsw.Connection) -> dict[str, TableSum]:
    position, clock_ms = internal.position(connection)
    facts = connection.execute("SELECT * FROM sqlite_raftsql_facts ORDER BY name").fetchall()
    contents: dict[str, list[Any]] = {
        "position": [(position.index, position.term, clock_ms)],
        "facts": facts,
        "sessions": list(Sessions(connection).contents()),
    }
    return {
        INTERNAL_PREFIX + name: TableSum(
            len(rows),
            hashlib.blake2b(_encoder.encode(rows), digest_size=_DIGEST_BYTES).digest(),
        )
        for name, rows in contents.items()
    }


def _schema_digest(connection: apsw.Connection) -> bytes:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for setting in ("encoding", "user_version", "application_id"):
        digest.update(_encoder.encode(connection.pragma(setting)))
    for row in connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema"
        " WHERE substr(tbl_name, 1, ?1) != ?2 AND substr(name, 1, ?1) != ?2"
        " ORDER BY type, name",
        (len(INTERNAL_PREFIX), INTERNAL_PREFIX),
    ):
        digest.update(_canonical(row))
    return digest.digest()


def _summed_tables(connection: apsw.Connection) -> Iterator[str]:
    """Every table with rows of its own, in the order of their names."""
    listed: list[Any] = connection.execute(TABLES_SQL).fetchall()
    kinds = with_shadows(listed)
    for name, kind in sorted(kinds.items()):
        segments = kind == "shadow" and name.endswith(_SEGMENTS)
        if kind in ("table", "shadow") and not segments and not name.startswith(INTERNAL_PREFIX):
            yield name


def _table_sum(connection: apsw.Connection, name: str) -> Generator[None, None, TableSum]:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    rows = 0
    buffer = bytearray()
    with text.exact():
        cursor = connection.execute(_query(connection, name))
    while True:
        with text.exact():
            count, finished = _fill(cursor, buffer)
        rows += count
        digest.update(buffer)
        buffer.clear()
        if finished:
            return TableSum(rows, digest.digest())
        yield


def _fill(cursor: apsw.Cursor, buffer: bytearray) -> tuple[int, bool]:
    """Encode rows until a step is full; a row costs its own memory and no more."""
    encode_into = _encoder.encode_into
    count = 0
    for row in cursor:
        count += 1
        start = len(buffer)
        try:
            encode_into(row, buffer, start)
        except UnicodeEncodeError:
            del buffer[start:]
            buffer += _canonical(row)
        if len(buffer) >= STEP_BYTES:
            return count, False
    return count, True


def _canonical(row: tuple[Any, ...]) -> bytes:
    """A row that may hold damaged text; the same bytes as the fast way when it holds none."""
    return _encoder.encode(
        [
            msgspec.msgpack.Ext(_DAMAGED_TEXT, text.text_bytes(value))
            if isinstance(value, str) and text.is_damaged(value)
            else value
            for value in row
        ]
    )


def _query(connection: apsw.Connection, name: str) -> str:
    """All rows by the table's own tree, which is the order of its key."""
    row_number = hidden_row_number(connection, name)
    columns = [] if row_number is None else [row_number]
    for column, hidden in connection.execute(
        "SELECT name, hidden FROM pragma_table_xinfo(?)", (name,)
    ):
        # A virtual generated column is computed from the others; computing it may even fail.
        if hidden in (_PLAIN, _GENERATED_STORED):
            columns.append(quoted(column))
    return f"SELECT {', '.join(columns)} FROM main.{quoted(name)} NOT INDEXED"
