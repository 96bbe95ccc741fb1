"""Compaction: how much of the log the database no longer needs, found without copying it.

The database on disk is the snapshot. With synchronous=NORMAL its newest transactions may still be
lost to a power cut, and the log brings them back; so the log may be dropped only up to what the
disk is certain to hold. That is found in this order:

1. read the applied position P, in a read transaction that ends at once;
2. checkpoint passively, which waits for nobody: SQLite syncs the WAL, copies what no reader still
   needs from it into the database file, and, if that was all of it, syncs that file;
3. if it was not all (a held moment is in the way), sync the WAL ourselves.

Either way P was committed before a sync of the file that holds it. Later writes can't undo that:
the WAL is written over from its start only after all of it is in the database file and synced.
What is written is what changed since the last time, whatever the size of the database.

Only passive checkpoints are used: the other kinds take the writer's lock, and would make apply
fail with "busy".

But a passive one never catches up with a writer that does not pause: more has been appended when
it ends, and SQLite starts the WAL over only when all of it is copied. So once `compact` has done
the bulk of the work beside the writer, `start_over` does the little that is left *between* two of
the writer's transactions, and empties the WAL. Without it the WAL grows as long as the load lasts.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import apsw

from raftsql.database import internal
from raftsql.database.disk import Disk
from raftsql.database.environment import Role, open_connection
from raftsql.database.errors import MachineStopped, stop_for
from raftsql.database.installation import beside
from raftsql.raft.messages import Position


class Compacted(NamedTuple):
    """What is certain to survive a power cut, and what is left in the WAL."""

    durable: Position
    """Log entries up to here are not needed for the database any more."""
    wal_pages_left: int
    """Pages not in the database file yet, since a held moment needs them in the WAL, or the writer
    has added them meanwhile."""


class Compactor:
    """Checkpoints one database from a connection of its own."""

    def __init__(self, path: Path, disk: Disk, *, vfs: str = "") -> None:
        self._path = path
        self._disk = disk
        self._connection = open_connection(path, Role.SERVICE, vfs=vfs)
        self._folder_synced = False

    def compact(self) -> Compacted:
        """Make what is applied durable. It may take as long as writing what changed does."""
        try:
            return self._compact()
        except apsw.Error as error:
            raise stop_for(self._path, error) from error
        except OSError as error:
            raise MachineStopped(f"{self._path} can't be made durable: {error}") from error

    def _compact(self) -> Compacted:
        connection = self._connection
        durable, _ = internal.position(connection)
        pages, copied = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        if copied < pages:
            self._disk.sync_file(beside(self._path, "-wal"))
        if not self._folder_synced:
            # SQLite syncs the folder for a new WAL, but not for a new database.
            self._disk.sync_folder(self._path.parent)
            self._folder_synced = True
        return Compacted(durable, max(pages - copied, 0))

    def start_over(self) -> bool:
        """Copy what is left in the WAL and empty it; false if a held moment or an open
        transaction is in the way.

        Call it right after `compact`, where no transaction of the writer can begin meanwhile: in
        the thread that applies. It costs two syncs, and pages written since `compact`.
        """
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            return False
        except apsw.Error as error:
            raise stop_for(self._path, error) from error
        return True

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def wal_bytes(path: Path) -> int:
    """The size of a database's WAL: what was written since it was emptied, at most."""
    try:
        return beside(path, "-wal").stat().st_size
    except FileNotFoundError:
        return 0
