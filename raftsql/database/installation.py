"""Puts a whole new file in the place of the database, so that a crash leaves the old or the new.

The danger is the old WAL. It is a file of its own, found by name, and SQLite would replay it into
whatever database lies beside it: over a new file that is corruption. And without its WAL the old
file is no database either, if a checkpoint was under way. So neither may ever lie alone where
a node could open it, and no order of two operations achieves that. Hence three steps:

1. the new file, synced, gets the name `...-ready`: from here on it *is* the database;
2. the old WAL and its index are removed, and the folder synced;
3. the new file gets the database's name.

`finish` does steps 2 and 3, and every start of a node does `finish` before it opens anything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from raftsql.database.disk import Disk

_READY: Final = "-ready"
_BESIDE: Final = ("-wal", "-shm", "-journal")


def beside(path: Path, suffix: str) -> Path:
    """The file that SQLite, or this module, keeps beside a database under a longer name."""
    return path.with_name(path.name + suffix)


def install(incoming: Path, live: Path, disk: Disk) -> None:
    """Let the file at `incoming` become the database at `live`.

    Both must be closed by everybody, whole in themselves (no WAL beside `incoming`), and in one
    folder. Returns when it will last.
    """
    assert incoming.parent == live.parent, "a rename is one step only within a folder"
    leftover = beside(incoming, "-wal")
    assert not leftover.exists() or not leftover.stat().st_size, (
        f"{leftover} holds a part of the file that is to be installed"
    )
    disk.sync_file(incoming)
    disk.rename(incoming, beside(live, _READY))
    disk.sync_folder(live.parent)
    finish(live, disk)


def finish(live: Path, disk: Disk) -> bool:
    """Bring an installation to its end that a crash may have cut; whether there was one."""
    ready = beside(live, _READY)
    if not ready.exists():
        return False
    for suffix in _BESIDE:
        disk.remove(beside(live, suffix))
    disk.sync_folder(live.parent)
    disk.rename(ready, live)
    disk.sync_folder(live.parent)
    return True
