"""A node's disk: slow, full, failing in its fsync; and what it would hold had the power gone.

The layer lies between the product and the system on both ways to the disk, the storage room's files
and SQLite's VFS. Before each write it notes in a file of its own what was there (the kernel keeps
that when the process is killed), and forgets it when the file is synced. After a kill -9 of all
nodes, `lose` puts back what a power cut could have lost: any part of what was never synced. Names
(new files, renames) last at once here; `tests/storage` and the simulator lose those too.
"""

from __future__ import annotations

import errno
import os
import random
import struct
import threading
import time
from pathlib import Path
from typing import Any, Final

import apsw

from tests.faults.knobs import Knobs

SECTOR: Final = 512
NOTE: Final = struct.Struct("<QQQI")
"""Inode, the file's size before, offset, and how many bytes of before follow."""
SYNCED: Final = (1 << 64) - 1
"""Stands for the size in a note that says: all before this is on the disk."""


class Undo:
    """What was there before each write that is not synced yet."""

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        self._lock = threading.Lock()
        self._made: dict[int, int] = {}
        """By inode, how many changes there ever were."""
        self._safe: dict[int, int] = {}
        """By inode, how many of them are on the disk."""
        self._open = 0
        """Changes of all files that are not."""

    def before(self, descriptor: int, offset: int, size: int) -> None:
        """A file is about to be changed there."""
        stat = os.fstat(descriptor)
        old = os.pread(descriptor, size, offset) if offset < stat.st_size else b""
        with self._lock:
            self._made[stat.st_ino] = self._made.get(stat.st_ino, 0) + 1
            self._open += 1
            os.write(self._file, NOTE.pack(stat.st_ino, stat.st_size, offset, len(old)) + old)

    def marker(self, inode: int) -> int:
        """How many changes there were until now: taken before a sync begins."""
        with self._lock:
            return self._made.get(inode, 0)

    def synced(self, inode: int, marker: int) -> None:
        """The changes up to the marker are on the disk; later ones may not be."""
        with self._lock:
            news = marker - self._safe.get(inode, 0)
            if news <= 0:
                return  # Another sync, which began later, has ended before.
            os.write(self._file, NOTE.pack(inode, SYNCED, news, 0))
            self._safe[inode] = marker
            self._open -= news
            if not self._open:
                os.ftruncate(self._file, 0)


def lose(undo: Path, data: Path, chance: random.Random, *, everything: bool = False) -> int:
    """Take from a dead node's files what was not synced, or some of it; how many writes went."""
    if not undo.exists():
        return 0  # It died before it wrote anything.
    notes: dict[int, list[tuple[int, int, bytes]]] = {}
    content, at = undo.read_bytes(), 0
    while at + NOTE.size <= len(content):
        inode, size, offset, length = NOTE.unpack_from(content, at)
        at += NOTE.size
        if size == SYNCED:
            notes[inode] = notes.get(inode, [])[offset:]
            continue
        notes.setdefault(inode, []).append((size, offset, content[at : at + length]))
        at += length
    paths = {path.stat().st_ino: path for path in data.rglob("*") if path.is_file()}
    undo.write_bytes(b"")
    mood = 1.0 if everything else chance.choice((0.0, 0.5, 1.0, 1.0))
    lost = 0
    for inode, changes in notes.items():
        if inode in paths:
            lost += _undone(paths[inode], changes, mood, chance)
    return lost


def _undone(
    path: Path, changes: list[tuple[int, int, bytes]], mood: float, chance: random.Random
) -> int:
    lost = 0
    with path.open("r+b") as file:
        for size, offset, old in reversed(changes):
            if chance.random() >= mood:
                continue
            lost += 1
            for start in range(0, len(old), SECTOR):
                if mood == 1.0 or chance.random() < 0.7:
                    file.seek(offset + start)
                    file.write(old[start : start + SECTOR])
            if mood == 1.0:
                file.truncate(size)
    return lost


def install(knobs: Knobs, undo_path: Path) -> None:
    """From now on this process's files are under the knobs."""
    undo = Undo(undo_path)
    _install_files(knobs, undo)
    _kept.append(_Disk(knobs, undo))
    _install_syncs(knobs, undo)


def _wait_and_fail(knobs: Knobs) -> None:
    """What a sync does before it is one."""
    if knobs.slow_ms:
        time.sleep(knobs.slow_ms / 1000)
    if knobs.sync_fails:
        raise OSError(errno.EIO, "sync failed (injected)")


def _no_room() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device (injected)")


def _install_files(knobs: Knobs, undo: Undo) -> None:
    from raftsql.storage.files import RealFile

    write, truncate = RealFile.write, RealFile.truncate
    preallocate, sync = RealFile.preallocate, RealFile.sync

    def noted_write(self: Any, offset: int, data: bytes) -> None:
        if knobs.full:
            raise _no_room()
        undo.before(self._descriptor, offset, len(data))
        write(self, offset, data)

    def noted_truncate(self: Any, size: int) -> None:
        tail = max(0, self.size() - size)
        undo.before(self._descriptor, size, tail)
        truncate(self, size)

    def full_preallocate(self: Any, size: int) -> None:
        if knobs.full:
            raise _no_room()
        undo.before(self._descriptor, size, 0)
        preallocate(self, size)

    def faulty_sync(self: Any) -> None:
        inode = os.fstat(self._descriptor).st_ino
        marker = undo.marker(inode)
        _wait_and_fail(knobs)
        sync(self)
        undo.synced(inode, marker)

    RealFile.write, RealFile.truncate = noted_write, noted_truncate  # type: ignore[method-assign]
    RealFile.preallocate, RealFile.sync = full_preallocate, faulty_sync  # type: ignore[method-assign]


def _install_syncs(knobs: Knobs, undo: Undo) -> None:
    """Syncs that do not go through SQLite: of its files, but by their names."""
    from raftsql.database.disk import Disk

    right = Disk.sync_file

    def sync_file(self: Disk, path: Path) -> None:
        inode = path.stat().st_ino
        marker = undo.marker(inode)
        _wait_and_fail(knobs)
        right(self, path)
        undo.synced(inode, marker)

    Disk.sync_file = sync_file  # type: ignore[method-assign]


class _Disk(apsw.VFS):
    """Becomes the process's usual VFS, so that every connection's files are under the knobs."""

    def __init__(self, knobs: Knobs, undo: Undo) -> None:
        import raftsql.database.environment  # noqa: F401 - its VFS has to be the usual one before.

        self.knobs, self.undo = knobs, undo
        super().__init__("faults", "", makedefault=1)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _DiskFile(self, name, flags)


_BASE: Final = "cksmvfs"
_kept: Final[list[_Disk]] = []
"""A VFS is gone with its last reference."""


class _DiskFile(apsw.VFSFile):
    def __init__(self, vfs: _Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._knobs, self._undo = vfs.knobs, vfs.undo
        super().__init__(_BASE, name, flags)
        filename = name.filename() if isinstance(name, apsw.URIFilename) else name
        # For looking only. It is never closed: that would drop the locks SQLite has on the file.
        self._look = _looking_at(filename) if filename else -1

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._knobs.full:
            raise apsw.FullError("No space left on device (injected)")
        if self._look >= 0:
            self._undo.before(self._look, offset, len(data))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        if self._look >= 0:
            tail = max(0, os.fstat(self._look).st_size - size)
            self._undo.before(self._look, size, tail)
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        inode = os.fstat(self._look).st_ino if self._look >= 0 else -1
        marker = self._undo.marker(inode)
        if self._knobs.slow_ms:
            time.sleep(self._knobs.slow_ms / 1000)
        if self._knobs.sync_fails:
            raise apsw.IOError("sync failed (injected)")
        super().xSync(flags)
        self._undo.synced(inode, marker)


_looked_at: dict[tuple[int, int], int] = {}


def _looking_at(filename: str) -> int:
    """A descriptor of the file, one for all who open it."""
    stat = os.stat(filename)
    key = (stat.st_dev, stat.st_ino)
    if key not in _looked_at:
        _looked_at[key] = os.open(filename, os.O_RDONLY | os.O_CLOEXEC)
    return _looked_at[key]
