"""Backups for users: a plain SQLite file that any sqlite3 opens, with nothing of the cluster in it.

The file is a copy taken while writes go on (see `snapshot`), from which the internal tables are
then removed. SQLite refuses to drop tables with such names, so they are renamed in the schema
first; their pages are overwritten with zeros on the way, since they hold clients' answers and
secrets. That touches a few pages, where VACUUM would write the whole file once more; VACUUM is on
offer for those who want a smaller file, or nothing left of what they deleted before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import apsw

from raftsql.database import checksum, snapshot
from raftsql.database.checksum import Checksum
from raftsql.database.disk import Disk
from raftsql.database.guard import INTERNAL_PREFIX
from raftsql.database.schema import quoted, tables_called
from raftsql.raft.messages import Position

CHUNK_BYTES: Final = 512 * 1024
"""What is handed on at a time: gRPC moves chunks of this size fastest."""


class Backup:
    """A backup under way, to `target`, which must not exist."""

    def __init__(self, path: Path, target: Path, disk: Disk, *, vfs: str = "") -> None:
        self._copy = snapshot.Copy(path, target, disk, vfs=vfs)
        self._disk = disk

    @property
    def position(self) -> Position:
        """The moment it is of."""
        return self._copy.meta.last

    @property
    def pages(self) -> int:
        """How many there are in all; 0 before the first step."""
        return self._copy.pages

    def step(self, pages: int = snapshot.PAGES_A_STEP) -> int:
        """Copy some pages; how many remain."""
        return self._copy.step(pages)

    def finish(self, *, vacuum: bool = False) -> Position:
        """Clean a file that is copied whole, and make it last; the moment it is of."""
        self._copy.finish()
        remove_internals(self._copy.target, vacuum=vacuum)
        self._disk.sync_file(self._copy.target)
        return self.position

    def abandon(self) -> None:
        """Give it up: the file is removed, and the moment let go."""
        self._copy.abandon()


def take(path: Path, target: Path, disk: Disk, *, vacuum: bool = False, vfs: str = "") -> Position:
    """Back up in one go; the moment it is of."""
    backup = Backup(path, target, disk, vfs=vfs)
    try:
        while backup.step():
            pass
        return backup.finish(vacuum=vacuum)
    except BaseException:
        backup.abandon()
        raise


def checksum_of(path: Path) -> Checksum:
    """Sum a backup, to compare it with what the cluster held at that moment."""
    connection = snapshot.open_closed(path)
    connection.execute("BEGIN")
    try:
        return checksum.take(connection)
    finally:
        connection.close(True)


def remove_internals(path: Path, *, vacuum: bool = False) -> None:
    """Drop the cluster's own tables from a closed file that nobody else has open."""
    connection = _unguarded(path)
    connection.pragma("writable_schema", True)
    # An index of theirs is found by its name while its table is parsed, so it is renamed alike.
    connection.execute(
        "UPDATE sqlite_schema SET tbl_name = substr(tbl_name, 8),"
        " name = CASE WHEN name = tbl_name THEN substr(name, 8)"
        "   ELSE 'sqlite_autoindex_' || substr(name, 18 + 7) END,"
        " sql = replace(sql, ?1, substr(?1, 8))"
        " WHERE substr(tbl_name, 1, length(?1)) = ?1",
        (INTERNAL_PREFIX,),
    )
    connection.close()
    connection = _unguarded(path)
    renamed = INTERNAL_PREFIX.removeprefix("sqlite_")
    for name in tables_called(connection, renamed):
        connection.execute(f"DROP TABLE {quoted(name)}")
    if vacuum:
        connection.execute("VACUUM")
    connection.close()


def _unguarded(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
    # The file is worthless until this is done, so nothing of it need survive a crash.
    connection.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
    connection.pragma("secure_delete", True)
    return connection
