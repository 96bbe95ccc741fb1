"""A disk that can lose power: what was not synced is kept in part, or not at all."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from raftsql.database.disk import Disk

SECTOR = 512


class PowerVFS(apsw.VFS):
    """Keeps, beside each real file, what of it would survive a power cut."""

    def __init__(self) -> None:
        self.vfs_name = f"power-{id(self):x}"
        self.durable: dict[str, bytearray] = {}
        self.unsynced: dict[str, list[tuple[int, bytes]]] = {}
        self.written: dict[str, int] = {}
        self.during_sync: Callable[[], object] | None = None
        """Something that happens while a sync takes its time."""
        super().__init__(self.vfs_name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return PowerFile(self, name, flags)

    def xDelete(self, name: str, sync_folder: bool) -> None:
        super().xDelete(name, sync_folder)
        self.durable.pop(Path(name).name, None)
        self.unsynced.pop(Path(name).name, None)

    def sync(self, name: str) -> None:
        """Everything written to the file lasts from here on."""
        meanwhile, self.during_sync = self.during_sync, None
        if meanwhile is not None:
            meanwhile()
            self.during_sync = meanwhile
        image = self.durable.setdefault(name, bytearray())
        for offset, data in self.unsynced.pop(name, []):
            _write(image, offset, data)

    def cut(self, folder: Path, chance: random.Random) -> None:
        """Write into `folder` what a power cut now would leave: of what is not synced, any part."""
        folder.mkdir()
        for name in self.durable.keys() | self.unsynced.keys():
            if name.endswith("-shm"):
                continue
            image = bytearray(self.durable.get(name, b""))
            for offset, data in self.unsynced.get(name, []):
                for start in range(0, len(data), SECTOR):
                    if chance.random() < 0.5:
                        _write(image, offset + start, data[start : start + SECTOR])
            (folder / name).write_bytes(image)


class PowerFile(apsw.VFSFile):
    def __init__(
        self, vfs: PowerVFS, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        filename = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        self._vfs = vfs
        self._name = Path(filename).name
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        self._vfs.unsynced.setdefault(self._name, []).append((offset, bytes(data)))
        self._vfs.written[self._name] = self._vfs.written.get(self._name, 0) + len(data)

    def xTruncate(self, size: int) -> None:
        super().xTruncate(size)
        self._vfs.sync(self._name)
        del self._vfs.durable[self._name][size:]

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._vfs.sync(self._name)


class PowerDisk(Disk):
    """The same disk, for syncs that do not go through SQLite."""

    def __init__(self, vfs: PowerVFS) -> None:
        self._vfs = vfs

    def sync_file(self, path: Path) -> None:
        super().sync_file(path)
        self._vfs.sync(path.name)


def _write(image: bytearray, offset: int, data: Any) -> None:
    if len(image) < offset:
        image.extend(bytes(offset - len(image)))
    image[offset : offset + len(data)] = data
