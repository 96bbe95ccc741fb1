"""The files that are, or were, to take the database's place: named by what is in them.

A restore is replicated by its file's digest and size, so a node may hold the file before the entry
that names it, get it from any other node, and prove that it is the one. A file that is coming in
is a `.part`; it gets its name when it is whole, verified and durable. Once its entry is applied it
is kept, with the entry's index in its name, for as long as the log may still bring a node there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from raftsql.database.disk import Disk
from raftsql.database.snapshot import READ_BYTES, new_digest
from raftsql.sql.commands import Restore

SPARE_BYTES: Final = 128 << 20
"""What a disk must have left beyond a restore's own files: the log goes on meanwhile."""
ROOM_TIMES: Final = 3
"""How often a restore needs room for its file: as it came, as a copy, and for the copy's WAL."""
FILES_MAX: Final = 3
"""Whole files kept at a time; the oldest goes first."""
ROOM_EVERY_BYTES: Final = 16 << 20
"""How often the room on the disk is looked at while a file comes in."""


class NoRoom(Exception):
    """The disk can't hold the file twice, as a restore needs it; how much is missing."""


class StoppedEarly(Exception):
    """The node stops; the work goes on after its start."""


class WrongFile(Exception):
    """What came is not the file that was named."""


class Uploads:
    """The folder of these files. One thread at a time per file; the folder's methods are quick."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        """Nothing is touched before the first file comes."""
        self._folder = folder
        self._disk = disk
        self.stopped = False
        """The node stops: long work on files ends with StoppedEarly."""

    def held(self, restore: Restore) -> Path | None:
        """The whole file, if it is here."""
        found = [p for p in self._files(restore.digest.hex()) if _size(p) == restore.size_bytes]
        return found[0] if found else None

    def begin(self, name: str) -> Upload:
        """A new file on its way in; `name` tells it from others under way."""
        self._folder.mkdir(exist_ok=True)
        self._disk.sync_folder(self._folder.parent)
        path = self._folder / f"{name}.part"
        path.unlink(missing_ok=True)
        return Upload(self, path, 0)

    def resume(self, restore: Restore) -> Upload:
        """Go on with a named file where an earlier receiving of it ended, or begin."""
        path = self._folder / f"{restore.digest.hex()}.part"
        self._forget(but=path)
        if not path.exists() or _size(path) > restore.size_bytes:
            return self.begin(restore.digest.hex())
        return Upload(self, path, _size(path))

    def clean(self) -> None:
        """Remove what an earlier process was receiving, and can't be asked for again."""
        for name in ("incoming", "substitute"):
            (self._folder / f"{name}.part").unlink(missing_ok=True)

    def _forget(self, *, but: Path) -> None:
        """Only one named file is received at a time: those of others will not be gone on with."""
        for part in self._folder.glob("*.part"):
            if part != but and part.stem not in ("incoming", "substitute"):
                part.unlink(missing_ok=True)

    def need(self, size_bytes: int) -> None:
        """NoRoom unless the disk can take so much more."""
        free = shutil.disk_usage(self._folder.parent).free
        if free < size_bytes + SPARE_BYTES:
            raise NoRoom(
                f"the disk has {free >> 20} MiB free, and {(size_bytes + SPARE_BYTES) >> 20} MiB "
                "are needed"
            )

    def pieces(self, file: IO[bytes], size: int) -> Iterator[bytes]:
        """A file in pieces, for as long as the node runs."""
        while piece := file.read(size):
            if self.stopped:
                raise StoppedEarly("the node stops")
            yield piece

    def settle(self, path: Path, restore: Restore) -> Path:
        """Give a durable file its name; others make room for it."""
        whole = self._folder / f"{restore.digest.hex()}.db"
        self._disk.rename(path, whole)
        self._disk.sync_folder(self._folder)
        for old in sorted(self._files(), key=lambda p: p.stat().st_mtime_ns)[:-FILES_MAX]:
            old.unlink(missing_ok=True)
        return whole

    def drop(self, restore: Restore) -> None:
        """The file is not wanted, unless an entry that was applied names it."""
        (self._folder / f"{restore.digest.hex()}.db").unlink(missing_ok=True)

    def applied(self, restore: Restore, index: int) -> None:
        """The entry at `index` was applied from this file: keep it while the log needs it."""
        for path in self._files(restore.digest.hex()):
            self._disk.rename(path, self._folder / f"{restore.digest.hex()}-{index}.db")

    def tidy(self, base: int) -> None:
        """The log holds nothing up to `base` any more: files of entries there may go."""
        for path in self._files():
            index = path.stem.partition("-")[2]
            if index and int(index) <= base:
                path.unlink(missing_ok=True)

    def _files(self, digest: str = "") -> list[Path]:
        return list(self._folder.glob(f"{digest}*.db")) if self._folder.exists() else []


class Upload:
    """A file on its way in. `finish` or `abandon` it; else it can be resumed, if it has a name."""

    def __init__(self, uploads: Uploads, path: Path, received_bytes: int) -> None:
        self._uploads = uploads
        self._path = path
        self._digest = new_digest()
        self._room_seen_at = 0
        self.received_bytes = received_bytes
        if received_bytes:
            with path.open("rb") as file:
                for chunk in uploads.pieces(file, READ_BYTES):
                    self._digest.update(chunk)
        self._file = path.open("ab")

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        if self.received_bytes >= self._room_seen_at:
            self._room_seen_at = self.received_bytes + ROOM_EVERY_BYTES
            # Beside this file there will be the copy that the switch works on, and its WAL.
            self._uploads.need((ROOM_TIMES - 1) * self.received_bytes + 2 * ROOM_EVERY_BYTES)
            # In small parts: one long sync would hold up the journal's.
            self._file.flush()
            self._uploads._disk.sync_file(self._path)
        self._file.write(data)
        self._digest.update(data)
        self.received_bytes += len(data)

    def finish(self, wanted: Restore | None = None) -> Restore:
        """Make it last under its name; WrongFile if it is not the one that was wanted."""
        self._file.flush()
        self._file.close()
        found = Restore(self._digest.digest(), self.received_bytes)
        if wanted is not None and found != wanted:
            self._path.unlink()
            raise WrongFile("the file that came is not the one that was named: its digest differs")
        self._uploads.need((ROOM_TIMES - 1) * self.received_bytes)
        self._uploads._disk.sync_file(self._path)
        self._uploads.settle(self._path, found)
        return found

    def pause(self) -> None:
        """Keep what has come for another try."""
        self._file.close()

    def abandon(self) -> None:
        """Remove what has come."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size
