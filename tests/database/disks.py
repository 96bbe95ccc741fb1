"""A disk that fails on purpose, beneath everything that SQLite writes.

`FaultyDisk` passes every call to real files, and remembers what was synced and which writes came
after, so that it can show what a power loss may leave. It counts the calls that change the disk,
and at a chosen one it dies (nothing works from then on) or fails that one call. Reads it counts
apart, those of one file if that is wanted, and a chosen one of them fails.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any, ClassVar

import apsw

from raftsql.database.environment import UNIX_EPOCH_JULIAN_MS


class PowerLost(apsw.IOError):
    """The machine is off."""


class FaultyDisk(apsw.VFS):
    """The system's VFS with a saboteur in it."""

    made: ClassVar[int] = 0

    def __init__(
        self,
        *,
        die_at: int = -1,
        fail_at: int = -1,
        fail_with: type[apsw.Error] = apsw.IOError,
        short: bool = False,
        fail_read_at: int = -1,
        fail_reads_of: str = "",
    ) -> None:
        FaultyDisk.made += 1
        self.name = f"faulty-disk-{FaultyDisk.made}"
        self.calls = 0
        self.off = False
        self.failed = False
        self._die_at, self._fail_at = die_at, fail_at
        self._fail_with, self._short = fail_with, short
        self.reads = 0
        self._fail_read_at, self._fail_reads_of = fail_read_at, fail_reads_of
        self.synced: dict[str, bytes] = {}
        self.unsynced: dict[str, list[tuple[int, bytes | None]]] = {}
        super().__init__(self.name, "")

    def before(self, file: _File | None = None, data: bytes = b"", offset: int = 0) -> None:
        """Count a call that changes the disk, and sabotage it when it is its turn."""
        if self.off:
            raise PowerLost
        self.calls += 1
        if self.calls == self._die_at:
            self.off = True
            raise PowerLost
        if self.calls == self._fail_at:
            self.failed = True
            if self._short and file is not None and data:
                file.write_through(data[: len(data) // 2], offset)
            raise self._fail_with

    def before_read(self, path: str) -> None:
        """Count a read of a file whose name ends so, and let it fail when it is its turn."""
        if not path.endswith(self._fail_reads_of or path):
            return
        self.reads += 1
        if self.reads == self._fail_read_at:
            self.failed = True
            raise self._fail_with

    def after_power_loss(self, chance: Random | None = None) -> dict[str, bytes]:
        """What is on the disk when unsynced writes are lost; with `chance`, only some of them."""
        left = {}
        for path, pending in self.unsynced.items():
            contents = bytearray(self.synced.get(path, b""))
            for offset, data in pending:
                if chance is not None and chance.random() < 0.5:
                    _apply(contents, offset, data)
            left[path] = bytes(contents)
        return left

    def after_process_death(self) -> dict[str, bytes]:
        """What is on the disk when only the process died."""
        return {p: Path(p).read_bytes() for p in self.unsynced if Path(p).exists()}

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return _File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.before()
        super().xDelete(filename, syncdir)
        self.synced.pop(filename, None)
        self.unsynced.pop(filename, None)

    def xCurrentTimeInt64(self) -> int:
        return UNIX_EPOCH_JULIAN_MS


def _apply(contents: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del contents[offset:]
        return
    if len(contents) < offset:
        contents.extend(bytes(offset - len(contents)))
    contents[offset : offset + len(data)] = data


class _File(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        found = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._path = found or ""
        super().__init__("", name, flags)
        if self._path:
            disk.unsynced.setdefault(self._path, [])

    def write_through(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        self._note(offset, data)

    def _note(self, offset: int, data: bytes | None) -> None:
        if self._path:
            self._disk.unsynced[self._path].append((offset, data))

    def xRead(self, amount: int, offset: int) -> bytes:
        self._disk.before_read(self._path)
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.before(self, data, offset)
        self.write_through(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._disk.before()
        super().xTruncate(newsize)
        self._note(newsize, None)

    def xSync(self, flags: int) -> None:
        self._disk.before()
        super().xSync(flags)
        if self._path:
            self._disk.synced[self._path] = Path(self._path).read_bytes()
            self._disk.unsynced[self._path] = []


def restored(left: dict[str, bytes], folder: Path) -> Path:
    """Put files where a restarted node finds them; the database's path."""
    folder.mkdir()
    for path, contents in left.items():
        (folder / Path(path).name).write_bytes(contents)
    return folder / "a.db"
