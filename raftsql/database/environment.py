"""The pinned environment: every connection to a database is opened here, and alike on every node.

A statement's result depends on more than its text and the rows: on the clock, on chance, on
limits, on PRAGMAs, on the build of SQLite. Each of those is fixed here. The clock and chance are
set from the command that runs (`Pinned.set`); everything else is a constant of this module, and
`fingerprint` sums it up so that nodes can refuse a neighbour that would compute differently.

The clock is a VFS that overrides one method, so CURRENT_TIMESTAMP, `datetime('now')`, column
defaults and triggers all obey it without a word of SQL being rewritten. Each writer has a VFS of
its own, so that several machines with different clocks can live in one process.
"""

from __future__ import annotations

import hashlib
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Final

import apsw
import apsw.sqlite_extra

from raftsql.database import faults, guard, numbers
from raftsql.database.errors import MachineStopped
from raftsql.sql.functions import LOCAL_FUNCTIONS
from raftsql.sql.pinned import Chance
from raftsql.sql.values import LENGTH_MAX

FORMAT_VERSION: Final = 1
"""Changed with every change of what apply computes, or of the internal tables."""

UNIX_EPOCH_JULIAN_MS: Final = 210_866_760_000_000
"""1970-01-01 in the milliseconds since noon of 24 November 4714 BC that SQLite counts in."""

STATEMENTS_CACHED: Final = 128
"""Prepared statements a connection keeps; a prepare costs as much as five small inserts. apsw
looks through all of them each time: with 500, that was a quarter of what a small insert costs."""

LIMITS: Final[dict[int, int]] = {
    # What a message carries. Small enough that no node runs out of memory over one value, since
    # running out is not the same on every node and would stop it.
    apsw.SQLITE_LIMIT_LENGTH: LENGTH_MAX,
    apsw.SQLITE_LIMIT_SQL_LENGTH: 16 * 1024 * 1024,
    apsw.SQLITE_LIMIT_COLUMN: 2_000,
    apsw.SQLITE_LIMIT_COMPOUND_SELECT: 500,
    apsw.SQLITE_LIMIT_EXPR_DEPTH: 1_000,
    apsw.SQLITE_LIMIT_FUNCTION_ARG: 1_000,
    # Matching costs text times pattern in one step, which no fuel counts: with SQLite's 50,000 a
    # megabyte of text takes 90 s, with this 1.8 s.
    apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
    apsw.SQLITE_LIMIT_TRIGGER_DEPTH: 1_000,
    apsw.SQLITE_LIMIT_VARIABLE_NUMBER: 32_766,
    # SQLite's own: beyond it is "out of memory", which stops a node. The guard bounds what a
    # statement may come to long before.
    apsw.SQLITE_LIMIT_VDBE_OP: 250_000_000,
    # VACUUM attaches one database by itself; the guard keeps users from doing so.
    apsw.SQLITE_LIMIT_ATTACHED: 1,
    apsw.SQLITE_LIMIT_WORKER_THREADS: 0,
}

SWITCHES: Final[dict[int, int]] = {
    apsw.SQLITE_DBCONFIG_DEFENSIVE: 1,
    apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA: 0,
    # As SQLite's library has them: programs in the field rely on "text" in double quotes.
    apsw.SQLITE_DBCONFIG_DQS_DML: 1,
    apsw.SQLITE_DBCONFIG_DQS_DDL: 1,
    apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER: 1,
    apsw.SQLITE_DBCONFIG_ENABLE_VIEW: 1,
    apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION: 0,
    apsw.SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER: 0,
    apsw.SQLITE_DBCONFIG_LEGACY_ALTER_TABLE: 0,
    apsw.SQLITE_DBCONFIG_LEGACY_FILE_FORMAT: 0,
    apsw.SQLITE_DBCONFIG_REVERSE_SCANORDER: 0,
    apsw.SQLITE_DBCONFIG_ENABLE_COMMENTS: 1,
    apsw.SQLITE_DBCONFIG_FP_DIGITS: 17,
    # A query plan may never depend on bound values: it would depend on which came first.
    apsw.SQLITE_DBCONFIG_ENABLE_QPSG: 1,
    apsw.SQLITE_DBCONFIG_ENABLE_FKEY: 1,
    # Closing must not checkpoint: it would write outside the order that compaction relies on.
    apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE: 1,
}


CHECKSUM_VFS: Final = "cksmvfs"
CHECKSUM_BYTES: Final = 8
"""At the end of every page: a checksum that is written with it and checked when it is read. Bits
that flipped on a disk are then a failed read, which stops the node, and never another answer."""


def _load_checksums() -> None:
    """Put SQLite's checksumming VFS beneath everything this process opens.

    It comes with apsw. Loading it makes it the process's usual VFS, for good, so it is done when
    this module is loaded, before any file is opened.
    """
    if CHECKSUM_VFS in apsw.vfs_names():
        return
    connection = apsw.Connection(":memory:")
    try:
        apsw.sqlite_extra.load(connection, "cksumvfs")
    finally:
        connection.close()


_load_checksums()
faults.listen()


class Role(Enum):
    """What a connection is for, and so what it may do."""

    WRITER = "writer"
    """Applies commands; there is one to a database. Guarded against what a log must not hold."""
    READER = "reader"
    """Runs clients' queries: reads only, and the internal tables do not exist for it."""
    SERVICE = "service"
    """Backup, checksum, checkpoint: our own statements only, nothing hidden from them."""


class ClockVFS(apsw.VFS):
    """The base VFS with a clock that is set, instead of one that runs.

    It also notes whether a write to a file failed, which is how SQLITE_FULL from the disk is told
    from SQLITE_FULL for want of row numbers.
    """

    def __init__(self, base: str) -> None:
        self.vfs_name = f"raftsql-{id(self):x}"
        self.base = base
        self.clock_ms = 0
        self.write_failed = False
        super().__init__(self.vfs_name, base)

    def xCurrentTimeInt64(self) -> int:
        return UNIX_EPOCH_JULIAN_MS + self.clock_ms

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _WatchedFile(self, name, flags)


class _WatchedFile(apsw.VFSFile):
    def __init__(
        self, vfs: ClockVFS, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        self._vfs = vfs
        super().__init__(vfs.base, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        try:
            super().xWrite(data, offset)
        except BaseException:
            self._vfs.write_failed = True
            raise


class Pinned:
    """The clock and the chance of a writer, set anew for each command."""

    def __init__(self, base: str = "") -> None:
        self.vfs = ClockVFS(base)
        self.seed = 0
        self.chance: Chance | None = None
        """Made from the seed by the first draw; most commands draw nothing."""

    def set(self, clock_ms: int, seed: int) -> None:
        """From here on it is `clock_ms`, and chance starts from `seed`."""
        self.vfs.clock_ms = clock_ms
        self.seed = seed
        self.chance = None

    def random(self, *_: apsw.SQLiteValue) -> int:
        """What `random()` answers; a function of the seed and the number of draws."""
        return self._drawn().random()

    def randomblob(self, *arguments: apsw.SQLiteValue) -> bytes:
        """What `randomblob(N)` answers, with SQLite's reading of N: one byte at least."""
        count = max(1, _integer(arguments[0]))
        if count > LENGTH_MAX:
            raise _coded(apsw.TooBigError("string or blob too big"), apsw.SQLITE_TOOBIG)
        return self._drawn().blob(count)

    def _drawn(self) -> Chance:
        if self.chance is None:
            self.chance = Chance(self.seed)
        return self.chance

    def install(self, connection: apsw.Connection) -> None:
        """Let a connection draw from this chance, in defaults, triggers and views too."""
        innocuous = apsw.SQLITE_INNOCUOUS
        connection.create_scalar_function("random", self.random, 0, flags=innocuous)
        connection.create_scalar_function("randomblob", self.randomblob, 1, flags=innocuous)
        for name in LOCAL_FUNCTIONS:
            for arguments in (0, 1):
                connection.create_scalar_function(name.lower(), _refused, arguments)


def _refused(*_: apsw.SQLiteValue) -> apsw.SQLiteValue:
    """Stands for functions of the local build: the guard does not see them in column defaults.

    Not being innocuous, it may not be used in a schema at all while trusted_schema is off.
    """
    raise _coded(apsw.SQLError("this function differs between nodes"), apsw.SQLITE_ERROR)


def _coded(error: apsw.Error, code: int) -> apsw.Error:
    """An error as SQLite gives it: without its code, apply would take it for this node's own."""
    error.result = code  # type: ignore[attr-defined]
    error.extendedresult = code  # type: ignore[attr-defined]
    return error


def open_writer(path: Path, *, base: str = "") -> tuple[apsw.Connection, Pinned, guard.Guard]:
    """Open, or create, the database for apply. `base` names the VFS beneath, for faulty disks."""
    _require_utc()
    pinned = Pinned(base)
    connection = open_connection(path, Role.WRITER, vfs=pinned.vfs.vfs_name)
    pinned.install(connection)
    watch = guard.Guard()
    connection.authorizer = watch.writing
    return connection, pinned, watch


def _require_utc() -> None:
    """Refuse to compute in a zone of this machine's own: the modifiers `localtime` and `utc` ask
    for the process's zone, which nothing in a command can pin."""
    connection = apsw.Connection(":memory:")
    seconds = range(0, 2**31, 2**31 // 97)  # Some 97 moments of 68 years, in summer and winter.
    differs = "SELECT datetime(?1, 'unixepoch') != datetime(?1, 'unixepoch', 'localtime')"
    if any(connection.execute(differs, (moment,)).fetchall() != [(0,)] for moment in seconds):
        raise MachineStopped(
            "this process is not in UTC, so `localtime` would differ between nodes: start it with"
            " TZ=UTC in its environment"
        )


def open_connection(path: Path, role: Role, *, vfs: str = "") -> apsw.Connection:
    """Open the database in a role. `vfs` names another VFS than the system's, for tests.

    Readers keep the system's clock and chance: they change no row.
    """
    writes = role is Role.WRITER
    mode = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(
        str(path),
        flags=apsw.SQLITE_OPEN_READONLY if role is Role.READER else mode,
        vfs=vfs or None,
        statementcachesize=STATEMENTS_CACHED,
    )
    for limit, most in LIMITS.items():
        connection.limit(limit, most)
    for switch, setting in SWITCHES.items():
        connection.config(switch, setting)
    if writes:
        _shape(connection)
    for pragma, value in _PRAGMAS.items():
        connection.execute(f"PRAGMA {pragma} = {value}")
    if role is Role.READER:
        connection.execute("PRAGMA query_only = ON")
        connection.authorizer = guard.reading
    return connection


_PRAGMAS: Final[dict[str, str]] = {
    # Consistent after a power loss; what is lost of the newest, the log applies again.
    "synchronous": "NORMAL",
    # Checkpoints belong to compaction, off the path of writes.
    "wal_autocheckpoint": "0",
    "cell_size_check": "ON",
    # A fault under a mapping is a signal that kills the process; a failed read is an error.
    "mmap_size": "0",
    "recursive_triggers": "OFF",
    "busy_timeout": "0",
    "analysis_limit": "0",
    "automatic_index": "ON",
}


def _shape(connection: apsw.Connection) -> None:
    """What a database file is born with, and what no command may change."""
    connection.reserve_bytes("main", CHECKSUM_BYTES)
    connection.execute("PRAGMA page_size = 4096")
    connection.execute("PRAGMA encoding = 'UTF-8'")
    connection.execute("PRAGMA auto_vacuum = NONE")
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchall()
    assert mode == [("wal",)], f"the database can't be put into WAL mode: {mode}"


@cache
def fingerprint() -> str:
    """What decides a result besides log and rows; nodes of a cluster must agree on it."""
    return f"raftsql {FORMAT_VERSION}, SQLite {apsw.sqlite_lib_version()} {_build_digest()}"


def _build_digest() -> str:
    parts = [
        apsw.sqlite3_sourceid(),
        *(option for option in sorted(apsw.compile_options) if not option.startswith("COMPILER=")),
        repr(sorted(LIMITS.items())),
        repr(sorted(SWITCHES.items())),
        repr(sorted(_PRAGMAS.items())),
        f"{CHECKSUM_BYTES} bytes of checksum a page",
        f"{guard.ACTIONS_MAX} actions",
        numbers.probe(),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _integer(value: object) -> int:
    """Read a value as SQLite's CAST to INTEGER does."""
    match value:
        case int():
            return value
        case float():
            return int(max(-(2.0**62), min(2.0**62, value)))
        case str() | bytes():
            return _leading_integer(value if isinstance(value, str) else value.decode("latin-1"))
        case _:
            return 0


def _leading_integer(text: str) -> int:
    text = text.lstrip(" \t\n\v\f\r")
    digits = len(text) - len(text.lstrip("+-")) if text[:1] in "+-" and text else 0
    if digits > 1:
        return 0
    end = digits
    while end < len(text) and text[end] in "0123456789":
        end += 1
    return int(text[:end]) if end > digits else 0
