"""Checks a stranger's database file before it may become the cluster's, and makes it fit.

Whoever made the file may have meant harm: broken pages that make a parser stumble, a schema
written by hand, functions hidden in triggers and defaults, a CHECK that never ends. So it is
opened by a connection that can do nothing but look (read-only, no triggers, no views, nothing
trusted in the schema, sizes limited, each action asked about), the text of every object is judged
by the rules that any statement of a client is judged by, and its pages are checked.

A file that passes is made ready by `prepare`: it gets the internal tables of the running cluster,
so that sessions, membership and place in the log outlive the switch, which `installation` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw

from raftsql.database import guard, internal, snapshot, text
from raftsql.database.environment import CHECKSUM_BYTES, LIMITS, Role, open_connection
from raftsql.database.errors import MachineStopped
from raftsql.database.headers import header_of
from raftsql.database.reader import STEPS_BETWEEN_LOOKS
from raftsql.database.rowids import ROWID_MAX
from raftsql.database.schema import quoted, row_number, tables_called
from raftsql.database.sessions import Sessions
from raftsql.database.solo import DONE
from raftsql.raft.messages import Entry
from raftsql.sql.classify import StatementKind
from raftsql.sql.determinism import judge
from raftsql.sql.verdict import Mode, Refused, sentence

FINDINGS_MAX: Final = 10
"""Problems of one kind that are told; more would not help anybody."""

CHANGED: Final = (
    "its pages don't match their checksums: another program has written to it since it was backed "
    "up, or it is damaged. If you know that it was written to, `raftsql restore --changed` takes it"
)
_UNSUMMED: Final = f"error code={apsw.SQLITE_IOERR_DATA}"

HEADER_BYTES: Final = 100
"""Of a database file: all that is known before the first page is read."""
_MAGIC: Final = b"SQLite format 3\x00"
_OWN_TABLES: Final = frozenset({"sqlite_sequence", "sqlite_stat1", "sqlite_stat3", "sqlite_stat4"})
"""Tables that SQLite makes by itself, and the only ones that may have such names."""


class Problem(NamedTuple):
    """Something for which a file is refused."""

    where: str
    """The file, or an object of its schema."""
    why: str


class InspectionCut(Exception):
    """Time was up before the file was looked through: it is neither good nor bad."""


def inspect(
    path: Path, *, mode: Mode = Mode.PINNED, expired: Callable[[], bool] | None = None
) -> list[Problem]:
    """Say what keeps a closed file from being restored; nothing does when the list is empty."""
    try:
        broken = list(_header_problems(path))
        if broken:
            return broken
        connection = _open_to_look(path, expired)
    except (apsw.Error, OSError) as error:
        return [Problem("file", f"it can't be opened: {error}")]
    try:
        # The schema first: it is short, and says what the pages' check would have to compute.
        found = list(_schema_problems(connection, mode))
        found = found or list(_page_problems(connection))
        return found or list(_row_number_problems(connection))
    except apsw.InterruptError as error:
        raise InspectionCut(f"{path.name} was not looked through in time") from error
    except (apsw.Error, UnicodeError) as error:
        return [Problem("file", damage_of(error))]
    finally:
        connection.close()


def damage_of(error: Exception) -> str:
    """What an error that a file's pages have caused says of it."""
    if (
        isinstance(error, apsw.Error)
        and getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_DATA
    ):
        return CHANGED
    return f"it is damaged: {error}"


def _header_problems(path: Path) -> Iterator[Problem]:
    with path.open("rb") as file:
        found = header_problem(file.read(HEADER_BYTES), path.stat().st_size)
    if found:
        yield Problem("file", found)


def header_problem(header: bytes, size: int | None = None) -> str:
    """What a file's first bytes, and its size where that is known, say against it; or ""."""
    if len(header) < HEADER_BYTES or not header.startswith(_MAGIC):
        return "it is no SQLite database"
    page = snapshot.page_size(header)
    if page < 512 or page & (page - 1):
        return f"its header says pages of {page} bytes, which no database has"
    if size is not None and size % page:
        return "it ends within a page: a part of it is missing"
    pages = int.from_bytes(header[28:32], "big")
    is_told = pages and header[24:28] == header[92:96]  # Else an old SQLite has written to it.
    if size is not None and is_told and size < pages * page:
        return f"it ends after {size // page} of its {pages} pages: the rest is missing"
    return ""


def _open_to_look(path: Path, expired: Callable[[], bool] | None) -> apsw.Connection:
    connection = snapshot.open_closed(path)
    _harden(connection)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)
    connection.execute("PRAGMA query_only = ON")
    connection.authorizer = _may_look
    if expired is not None:
        connection.set_progress_handler(expired, STEPS_BETWEEN_LOOKS)
    return connection


def _harden(connection: apsw.Connection) -> None:
    for limit, most in LIMITS.items():
        connection.limit(limit, most)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0)
    connection.execute("PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0")


_LOOKS: Final = frozenset(
    # The last three of these are what full-text tables ask for themselves.
    {"integrity_check", "table_list", "page_count", "page_size", "data_version", "user_version"}
    # And what tells which tables have row numbers.
    | {"table_xinfo", "index_list"}
)


def _may_look(
    action: int, first: str | None, second: str | None, schema: str | None, by: str | None
) -> int:
    """Only what checking pages needs. Virtual tables prepare writes too; none can be done here."""
    match action:
        case apsw.SQLITE_FUNCTION:
            refused = (second or "").lower() in guard.FUNCTIONS_REFUSED
        case apsw.SQLITE_PRAGMA:
            refused = (first or "").lower() not in _LOOKS
        case apsw.SQLITE_ATTACH | apsw.SQLITE_DETACH:
            refused = True
        case _:
            refused = False
    return guard.DENY if refused else guard.OK


def _schema_problems(connection: apsw.Connection, mode: Mode) -> Iterator[Problem]:
    with text.exact():
        rows: list[Any] = connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid"
        ).fetchall()
    for kind, name, table, sql in rows:
        why = _problem_of(kind, name, table, sql, mode)
        if why is not None:
            yield Problem(f"{_shown(kind)} {_shown(name)}", why)


def _problem_of(kind: Any, name: Any, table: Any, sql: Any, mode: Mode) -> str | None:
    if not all(isinstance(each, str) for each in (kind, name, table)):
        return "its entry in the schema is damaged"
    if any(text.is_damaged(each) for each in (name, table, sql) if isinstance(each, str)):
        return "its text is not UTF-8"
    if guard.INTERNAL_PREFIX in f"{name} {table}".lower():
        return "it is a table of raftsql's own: take the file with `raftsql backup`"
    if sql is None:
        automatic = kind == "index" and name.startswith("sqlite_autoindex_")
        return None if automatic else "its definition is missing"
    if not isinstance(sql, str):
        return "its entry in the schema is damaged"
    if name in _OWN_TABLES and kind == "table":
        return None
    if name.lower().startswith("sqlite_"):
        return "names that begin with sqlite_ are SQLite's own"
    statement, verdict = judge(sql, mode)
    if isinstance(verdict, Refused):
        return sentence(sql, verdict)
    if statement.kind is not StatementKind.DDL:
        return "its definition defines nothing"
    return None


def _shown(value: Any) -> str:
    return str(value)[:80].encode("utf-8", "replace").decode()


def _row_number_problems(connection: apsw.Connection) -> Iterator[Problem]:
    """After the last row number SQLite numbers rows by chance, which differs between nodes."""
    for name in tables_called(connection, ""):
        number = row_number(connection, name)
        highest = f"SELECT 1 FROM main.{quoted(name)} WHERE {number} > ?"
        if number is not None and connection.execute(highest, (ROWID_MAX,)).fetchall():
            yield Problem(
                f"table {_shown(name)}",
                f"it has a row numbered {ROWID_MAX + 1}, after which SQLite numbers rows by chance:"
                " give that row another number",
            )


def _page_problems(connection: apsw.Connection) -> Iterator[Problem]:
    with text.replacing():
        for (finding,) in connection.execute(f"PRAGMA integrity_check({FINDINGS_MAX})"):
            if _UNSUMMED in str(finding):
                yield Problem("file", CHANGED)
                return
            if finding != "ok":
                yield Problem("file", str(finding))


def answered(live: Path, entry: Entry) -> bytes | None:
    """The answer to a RESTORE that must not be done: it was before, or its session is gone."""
    header = header_of(entry.payload)
    if not header.session:
        return None
    source = open_connection(live, Role.SERVICE)
    try:
        return Sessions(source).known(header.session, header.sequence, header.floor)
    finally:
        source.close()


def prepare(path: Path, live: Path, entry: Entry, *, vfs: str = "") -> bytes:
    """Give an inspected file what the cluster keeps in the database at `live`, as it is after
    the RESTORE in `entry`: its place in the log, and its answer, which is returned.

    Everything before `entry` must be applied to `live`, and `answered` have said None. It may be
    done again after a crash at any point: each step of it is a transaction of its own. It leaves
    `path` closed and ready to be installed. What it costs does not depend on the size of the file;
    what does is `lay_out`, which comes before.
    """
    source: apsw.Connection | None = None
    target: apsw.Connection | None = None
    try:
        snapshot.stand_alone(path)
        source = open_connection(live, Role.SERVICE)
        target = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs or None)
        _harden(target)
        target.execute("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL")
        internal.create(target)
        _take_over(source, target, entry)
    except (apsw.Error, OSError) as error:
        raise MachineStopped(f"{path.name} can't be prepared: {error}") from error
    finally:
        for connection in (source, target):
            if connection is not None:
                connection.close(True)
    return DONE


def lay_out(path: Path, *, expired: Callable[[], bool] | None = None) -> None:
    """Write a copy of a file that comes from another program anew, with checksums in its pages.

    It is the part of making a file ready whose cost grows with it, and needs nothing of the
    cluster. A file in which it was cut short is of no use any more: begin with the original.
    """
    snapshot.stand_alone(path)
    target = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        _harden(target)
        if expired is not None:
            target.set_progress_handler(expired, STEPS_BETWEEN_LOOKS)
        if target.reserve_bytes("main") == CHECKSUM_BYTES:
            return
        # The VFS begins to sum when it sees page 1 say so. In a rollback mode VACUUM writes others
        # before it, which then have no sums; a checkpoint writes page 1 first.
        target.execute("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0")
        target.reserve_bytes("main", CHECKSUM_BYTES)
        target.execute("VACUUM")
        target.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        target.execute("PRAGMA journal_mode = DELETE")
    except apsw.InterruptError as error:
        raise InspectionCut(f"{path.name} was not laid out in time") from error
    except apsw.Error as error:
        raise OSError(f"{path.name} can't be laid out: {error}") from error
    finally:
        target.close(True)


def _take_over(source: apsw.Connection, target: apsw.Connection, entry: Entry) -> None:
    header = header_of(entry.payload)
    source.execute("BEGIN")
    target.execute("BEGIN IMMEDIATE")
    last, clock_ms = internal.position(source)
    assert last.index == entry.index - 1, f"{entry.index} can't be restored at {last.index}"
    for name in tables_called(source, guard.INTERNAL_PREFIX):
        _copy_rows(name, source, target)
    sessions = Sessions(target)
    clock_ms = max(clock_ms, header.clock_ms)
    if header.session:
        sessions.note(entry.index, header.session, header.sequence, header.floor, clock_ms, DONE)
    sessions.save(entry.index, entry.term, clock_ms)
    target.execute("COMMIT")


def _copy_rows(name: str, source: apsw.Connection, target: apsw.Connection) -> None:
    target.execute(f"DELETE FROM {quoted(name)}")
    rows = source.execute(f"SELECT * FROM {quoted(name)}")
    width = len(target.execute("SELECT 1 FROM pragma_table_info(?)", (name,)).fetchall())
    marks = ", ".join("?" * width)
    target.executemany(f"INSERT INTO {quoted(name)} VALUES ({marks})", rows)
