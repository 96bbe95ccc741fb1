"""One read-only connection: runs a client's query and packs its rows for the wire.

A result leaves here in pages of msgpack bytes, each row encoded as it is fetched, so that neither
a whole result nor a page of Python objects is ever in memory. What a statement is, SQLite itself
says, before its first step: it is a query when it is read-only and has columns (BEGIN, ATTACH and
settings are "read-only" too, but have none), or when it is an EXPLAIN.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw
import msgspec

from raftsql.database import guard, text
from raftsql.database.environment import STATEMENTS_CACHED, Role, open_connection
from raftsql.database.errors import MachineStopped, position_of, stop_for
from raftsql.database.internal import POSITION_SQL
from raftsql.database.schema import TABLES_SQL, governing
from raftsql.raft.messages import Position
from raftsql.sql import functions, pragmas
from raftsql.sql.access import Access, Rights, nobody_yet
from raftsql.sql.commands import Column, Failed, Parameters, Refusal

STEPS_BETWEEN_LOOKS: Final = 50_000
"""Steps of SQLite's machine between two questions whether time is up: about a millisecond."""

ROWS_MAX: Final = 10_000
BYTES_MAX: Final = 256 * 1024
"""A page, unless told otherwise: large enough to be cheap a row, small enough for any memory."""

_ARRAY: Final = struct.Struct(">BI")
_ARRAY_MARK: Final = 0xDD
"""msgpack's array with a length of 32 bits, so that the length can be filled in afterwards."""

_EXPLAIN: Final = re.compile("explain", re.IGNORECASE)
"""What may be one is not cached: an EXPLAIN that was prepared before the schema changed reads
memory that is gone, and ends the process."""

_encoder: Final = msgspec.msgpack.Encoder()
_encode: Final = _encoder.encode
_encode_into: Final = _encoder.encode_into
_NO_ROWS: Final = _encode(())


class ReadCut(Exception):
    """Time was up, or nobody waits any more: the read was given up, and nothing was harmed."""


class HoldEnded(ReadCut):
    """What was held is let go of: the database was replaced, or the holder closed it."""


class InUse(ReadCut):
    """Another call works with what is held just now: nothing was read; try again soon."""


class ReadBusy(Exception):
    """No reader, or no hold, is free: nothing was read; ask again later or another node."""


class ReadBroken(MachineStopped):
    """The database can't be read as it should (I/O, corruption, anything unknown): stop."""

    def reason(self, path: Path) -> MachineStopped:
        """Why the node stops, in the words that a failed write would have."""
        cause = self.__cause__
        return stop_for(path, cause) if isinstance(cause, apsw.Error) else self


class Mine(NamedTuple):
    """What a client's own connection would answer for its writes: programs ask it in a SELECT."""

    last_insert_rowid: int = 0
    changes: int = 0
    total_changes: int = 0
    user: int = 0
    """The number of the one who asks, where there are users."""


NOTHING_MINE: Final = Mine()

Row = tuple[Any, ...]
Described = tuple[tuple[str, str | None], ...]
Expired = Callable[[], bool]
"""Asked now and then, from the thread that reads: true when the read shall be given up."""


class _NotOneQuery(ValueError):
    """Raised from within SQLite's compiling, and told to the client."""


class Limits(NamedTuple):
    """How much of a result fits one page, and who may cut the reading of it short."""

    rows_max: int = ROWS_MAX
    bytes_max: int = BYTES_MAX
    expired: Expired | None = None


USUAL: Final = Limits()


class Part(NamedTuple):
    """Some rows of a result, packed, and the query itself if it has more of them."""

    columns: list[Column]
    rows: bytes
    """msgpack: a list of rows, each a list of values."""
    length: int
    rest: Running | None


class Running:
    """A query that has begun: its columns, and the rows not yet shown."""

    __slots__ = ("_cursor", "_rows", "columns")

    def __init__(self, columns: list[Column], cursor: apsw.Cursor, ahead: tuple[Row, ...]) -> None:
        self.columns = columns
        self._cursor = cursor
        self._rows: Iterator[Row] = chain(ahead, cursor)
        """Those fetched already, to know whether there are more, and then the cursor's."""

    def part(self, limits: Limits) -> Part:
        """Pack rows until a page is full: one row at least, however large."""
        rows_max, bytes_max, _ = limits
        buffer = bytearray(_ARRAY.size)
        length = 0
        rest = None
        for row in self._rows:
            _encode_into(row, buffer, -1)
            length += 1
            if length >= rows_max or len(buffer) >= bytes_max:
                following = next(self._rows, None)
                if following is not None:
                    self._rows = chain((following,), self._cursor)
                    rest = self
                break
        _ARRAY.pack_into(buffer, 0, _ARRAY_MARK, length)
        return Part(self.columns, bytes(buffer), length, rest)

    def close(self) -> None:
        """Let go of the cursor, and with it of the moment it reads."""
        self._cursor.close(force=True)


class Reader:
    """A read-only connection and what its functions answer for the query that runs on it."""

    def __init__(
        self, path: Path, *, vfs: str = "", access: Callable[[], Access] = nobody_yet
    ) -> None:
        self._trusting = True
        """Set while statements of our own are compiled and begun."""
        self._expired: Expired | None = None
        self._mine = NOTHING_MINE
        self._access = access
        self._rights: Rights | None = None
        """Set while a query is compiled whose user may not read everything."""
        self._tables: dict[str, str] = {}
        """What those rights name."""
        self._problem: str | None = None
        """What the user may not do."""
        self._begun = ""
        """The text of the query that was begun last, as SQLite cut it; empty when none was."""
        self._known: dict[str, list[Column]] = {}
        """Texts that were found to be queries, and the columns they gave when compiled last."""
        self._compiled = False
        """Whether SQLite compiled something since it was last set to false: it asks then."""
        try:
            self.connection = open_connection(path, Role.READER, vfs=vfs)
        except apsw.Error as error:
            raise ReadBroken(f"{path} can't be opened for reading: {error}") from error
        self._install(self.connection)
        self._trusting = False

    def _install(self, connection: apsw.Connection) -> None:
        mine: dict[str, Callable[..., int]] = {
            "last_insert_rowid": lambda: self._mine.last_insert_rowid,
            "changes": lambda: self._mine.changes,
            "total_changes": lambda: self._mine.total_changes,
        }
        for name, answered in mine.items():
            connection.create_scalar_function(name, answered, 0, flags=apsw.SQLITE_INNOCUOUS)
        connection.authorizer = self._authorize
        connection.exec_trace = self._before_first_step
        connection.set_progress_handler(self._look, STEPS_BETWEEN_LOOKS)

    def begin(self) -> None:
        """Start a read transaction; the moment it sees is chosen by its first query."""
        self._control("BEGIN")

    def commit(self) -> None:
        """End the read transaction, if one is open."""
        if self.connection.in_transaction:
            self._control("COMMIT")

    def _control(self, sql: str) -> list[tuple[Any, ...]]:
        """A statement that clients may share the compiled form of: it tells them nothing."""
        self._trusting = True
        try:
            return self.connection.execute(sql).fetchall()
        except apsw.Error as error:
            raise _raised(error) from error
        finally:
            self._trusting = False

    def position(self) -> Position:
        """What is applied at the moment that is seen; chooses the moment if none is yet."""
        ((index, term, _),) = self._own(POSITION_SQL)
        return Position(index=index, term=term)

    def _own(self, sql: str) -> list[tuple[Any, ...]]:
        self._trusting = True
        try:
            # Not from the cache, nor into it: a client could send the same text.
            return self.connection.execute(sql, can_cache=False).fetchall()
        except apsw.Error as error:
            raise _raised(error) from error
        finally:
            self._trusting = False

    def first(self, sql: str, parameters: Parameters, mine: Mine, limits: Limits) -> Part | Failed:
        """Run a query and pack its first page."""
        self._mine = mine
        self._expired = limits.expired
        rights = self._access().rights(mine.user)
        if rights is not None:
            return self._first_within(rights, sql, parameters, limits)
        try:
            part = self._attempt(sql, parameters, limits)
        except UnicodeDecodeError:
            # Nothing was shown of it yet, so it may begin again, reading what is not UTF-8.
            with text.replacing():
                part = self._attempt(sql, parameters, limits)
        if part is None:
            if not self.connection.in_transaction:
                self.begin()
                self._control("PRAGMA schema_version")
            # Now the moment is chosen, and with it the schema: what is described is what runs.
            part = self._attempt(sql, parameters, limits, settled=True)
            assert part is not None, "a query under a settled schema has its columns"
        return part

    def _first_within(
        self, rights: Rights, sql: str, parameters: Parameters, limits: Limits
    ) -> Part | Failed:
        """The same for a user who may not read everything: compiled anew each time, under a schema
        that can't change meanwhile, so that all it reads is asked about."""
        if not self.connection.in_transaction:
            self.begin()
        self._control("PRAGMA schema_version")
        self._tables = governing(self._own(TABLES_SQL))
        self._rights, self._problem = rights, None
        try:
            with text.replacing():
                part = self._attempt(sql, parameters, limits, settled=True)
        finally:
            self._rights = None
        if self._problem is not None:
            if isinstance(part, Part) and part.rest is not None:
                part.rest.close()
            return Failed(Refusal.ACCESS, 0, self._problem)
        assert part is not None, "a query under a settled schema has its columns"
        return part

    def _attempt(
        self, sql: str, parameters: Parameters, limits: Limits, *, settled: bool = False
    ) -> Part | Failed | None:
        """None when there are no rows, and the columns may be those of an older schema."""
        self._begun = ""
        self._compiled = False
        cursor: apsw.Cursor | None = None
        part: Part | None = None
        try:
            can_cache = self._rights is None and _EXPLAIN.search(sql) is None
            cursor = self.connection.execute(sql, parameters, can_cache=can_cache)
            if not self._begun:
                return Failed(Refusal.SQL, apsw.SQLITE_MISUSE, "there is no statement in it")
            columns = self._known[self._begun]
            if self._compiled and not settled:
                anew = self._anew(cursor)
                if anew is None:
                    return None
                columns = anew
            part = _first_part(columns, cursor, limits)
            return part
        except UnicodeDecodeError:
            raise
        except (apsw.Error, TypeError, ValueError, OverflowError, KeyError) as error:
            return answer(error, sql)
        finally:
            if part is None:
                if self._compiled:
                    self._known.pop(self._begun, None)
                if cursor is not None:
                    cursor.close(force=True)

    def _anew(self, cursor: apsw.Cursor) -> list[Column] | None:
        """The columns of a query that was compiled again by its first step.

        That is what SQLite does with one from the cache when the schema has changed. (Virtual
        tables compile statements of their own then, which looks the same.) If it has rows it can
        be described again. If not, that step was its last one, and it must run once more.
        """
        try:
            described = cursor.get_description()
        except apsw.ExecutionCompleteError:
            return None
        columns = self._known[self._begun] = _columns(described)
        return columns

    def next(self, running: Running, sql: str, limits: Limits) -> Part | Failed:
        """Go on with a query that has begun, for one page."""
        self._expired = limits.expired
        try:
            with text.replacing():
                return running.part(limits)
        except (apsw.Error, _NotOneQuery) as error:
            return answer(error, sql)

    def cut(self) -> None:
        """Give up what runs; called from any thread, and nothing if nothing does."""
        with suppress(apsw.ConnectionClosedError):
            self.connection.interrupt()

    def close(self) -> None:
        """Close the connection, whatever is still under way on it."""
        self.connection.close(force=True)

    def _look(self) -> bool:
        return self._expired is not None and self._expired()

    def _authorize(
        self, action: int, first: str | None, second: str | None, schema: str | None, by: str | None
    ) -> int:
        if self._trusting:
            return guard.OK
        self._compiled = True
        if self._rights is not None and not self._begun:
            problem = self._rights.problem(guard.uses_of(action, first, second), self._tables)
            if problem is not None:
                self._problem = problem
                return guard.DENY
        if action == apsw.SQLITE_PRAGMA:
            return guard.OK if _pragma_reads((first or "").upper(), second) else guard.DENY
        if action == apsw.SQLITE_FUNCTION:
            forbidden = (second or "").upper() in functions.FORBIDDEN_FUNCTIONS
            return guard.DENY if forbidden else guard.OK
        return guard.reading(action, first, second, schema, by)

    def _before_first_step(self, cursor: apsw.Cursor, sql: str, _: object) -> bool:
        if self._trusting:
            return True
        if self._begun or self._compiled or sql not in self._known:
            self._judge(cursor, sql)
            self._compiled = False
        else:
            self._begun = sql
        return True

    def _judge(self, cursor: apsw.Cursor, sql: str) -> None:
        if not cursor.has_vdbe:
            return
        if self._begun:
            raise _NotOneQuery("one query at a time: there is a second statement")
        described = cursor.get_description()
        if not cursor.is_explain and not (cursor.is_readonly and described):
            raise _NotOneQuery("this is not a query: it can't run on a reader")
        if len(self._known) >= STATEMENTS_CACHED:
            self._known.clear()
        self._known[sql] = _columns(described)
        self._begun = sql


def _columns(described: Described) -> list[Column]:
    return [Column(name, declared) for name, declared in described]


def _first_part(columns: list[Column], cursor: apsw.Cursor, limits: Limits) -> Part:
    """Most results have one row or none, and need no cursor kept and no page filled."""
    row = next(cursor, None)
    if row is None:
        return Part(columns, _NO_ROWS, 0, None)
    second = next(cursor, None)
    if second is None:
        return Part(columns, _encode((row,)), 1, None)
    return Running(columns, cursor, (row, second)).part(limits)


def _pragma_reads(name: str, argument: str | None) -> bool:
    if name in pragmas.SCHEMA_PRAGMAS or name in pragmas.LOCAL_PRAGMAS:
        return True
    return argument is None and (
        name in pragmas.GET_PRAGMAS
        or name in pragmas.SETTING_PRAGMAS
        or name in pragmas.WRITE_PRAGMAS
    )


_ANSWERED: Final = frozenset(
    {
        apsw.SQLITE_ERROR,
        apsw.SQLITE_ABORT,
        apsw.SQLITE_READONLY,
        apsw.SQLITE_TOOBIG,
        apsw.SQLITE_CONSTRAINT,
        apsw.SQLITE_MISMATCH,
        apsw.SQLITE_MISUSE,
        apsw.SQLITE_AUTH,
        apsw.SQLITE_RANGE,
        # A sort that found no room, in memory or in the folder for temporary files: the query's
        # fault or its neighbours', and the database was only read.
        apsw.SQLITE_FULL,
        apsw.SQLITE_NOMEM,
    }
)


def answer(error: Exception, sql: str) -> Failed:
    """What a client is told of an error; raises those that are not about its query."""
    if isinstance(error, KeyError):
        return Failed(Refusal.SQL, apsw.SQLITE_RANGE, f"there is no value for parameter {error}")
    if not isinstance(error, apsw.Error):
        return Failed(Refusal.SQL, apsw.SQLITE_MISUSE, str(error))
    if isinstance(error, apsw.BindingsError):
        return Failed(Refusal.SQL, apsw.SQLITE_RANGE, str(error))
    code = _code(error)
    if code & 0xFF not in _ANSWERED and code != apsw.SQLITE_CORRUPT_VTAB:
        raise _raised(error) from error
    return Failed(Refusal.SQL, code, str(error), position_of(error, sql))


def _raised(error: apsw.Error) -> Exception:
    code = _code(error)
    match code & 0xFF:
        case apsw.SQLITE_INTERRUPT:
            return ReadCut("the read was given up")
        case apsw.SQLITE_BUSY | apsw.SQLITE_LOCKED:
            return ReadBusy(str(error))
        case _:
            return ReadBroken(f"{error} ({code})")


def _code(error: apsw.Error) -> int:
    """SQLite's extended code. An error that did not come from SQLite has none: believe nothing."""
    code: int = getattr(error, "extendedresult", apsw.SQLITE_INTERNAL)
    return code
