"""The one seam to the operating system: the few calls the storage room makes.

`RealFiles` hands them to the kernel. The tests and the simulator put a file system in memory in
its place, which can lose what was not synced and fail at any call.

The promises the room relies on, and no more than these:
- what was written before `File.sync` returned survives a crash; what was not may be there, gone
  or there in part, in any order;
- a file's name survives a crash once `sync_folder` returned;
- `rename` replaces the target in one step.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Protocol


class File(Protocol):
    """An open file, read and written at offsets. One writer at a time; readers at any time."""

    def read(self, offset: int, size: int) -> bytes:
        """The bytes at `offset`: fewer than `size` only where the file ends."""

    def write(self, offset: int, data: bytes) -> None:
        """Write all of `data`, or raise OSError with any part of it written."""

    def preallocate(self, size: int) -> None:
        """Grow the file to `size` with zeros whose room on the disk is reserved."""

    def truncate(self, size: int) -> None:
        """Cut the file to `size`."""

    def sync(self) -> None:
        """Make everything written durable. After an OSError nothing is known about it."""

    def size(self) -> int:
        """How many bytes the file has."""

    def close(self) -> None:
        """Give the file back; a second time does nothing."""


class Lock(Protocol):
    """A lock held on a file until it is released or the process ends."""

    def release(self) -> None:
        """Let another process have it."""


class Files(Protocol):
    """The calls on names and folders."""

    def create(self, path: Path) -> File:
        """Open a new, empty file; one that exists is emptied."""

    def open(self, path: Path) -> File:
        """Open an existing file."""

    def exists(self, path: Path) -> bool:
        """Whether a file or folder has this name."""

    def names(self, folder: Path) -> list[str]:
        """The names in a folder, sorted."""

    def make_folder(self, path: Path) -> None:
        """Create a folder, and those above it, unless it is there."""

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name, replacing what had that name."""

    def unlink(self, path: Path) -> None:
        """Remove a file."""

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder durable."""

    def lock(self, path: Path) -> Lock | None:
        """Lock a file against other processes and write this one's id into it; None if taken."""


class RealFile:
    """A file of the operating system. It is closed with its last reference at the latest."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, offset: int, size: int) -> bytes:
        data = os.pread(self._descriptor, size, offset)
        if len(data) == size or not data:
            return data
        return data + self.read(offset + len(data), size - len(data))

    def write(self, offset: int, data: bytes) -> None:
        written = os.pwrite(self._descriptor, data, offset)
        if written < len(data):
            # Huge or interrupted writes come short; when the disk is full the rest says so.
            self._write_rest(offset + written, memoryview(data)[written:])

    def _write_rest(self, offset: int, rest: memoryview) -> None:
        while rest:
            written = os.pwrite(self._descriptor, rest, offset)
            offset += written
            rest = rest[written:]

    def preallocate(self, size: int) -> None:
        os.posix_fallocate(self._descriptor, 0, size)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


class RealLock:
    """A flock on a file; the kernel releases it with the process, however that ends."""

    __slots__ = ("_file",)

    def __init__(self, file: RealFile) -> None:
        self._file = file

    def release(self) -> None:
        self._file.close()


class RealFiles:
    """The operating system's files."""

    def create(self, path: Path) -> RealFile:
        return RealFile(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))

    def open(self, path: Path) -> RealFile:
        return RealFile(os.open(path, os.O_RDWR | os.O_CLOEXEC))

    def exists(self, path: Path) -> bool:
        return path.exists()

    def names(self, folder: Path) -> list[str]:
        return sorted(os.listdir(folder))

    def make_folder(self, path: Path) -> None:
        if path.is_dir():
            return
        if path.exists():
            raise NotADirectoryError(
                errno.ENOTDIR, "it is a file, and has to be a folder", str(path)
            )
        self.make_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        self.sync_folder(path.parent)

    def rename(self, source: Path, target: Path) -> None:
        os.rename(source, target)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def sync_folder(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lock(self, path: Path) -> RealLock | None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        file = RealFile(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        # For the one who is refused; the lock itself is the kernel's and ends with this process.
        file.truncate(0)
        file.write(0, f"{os.getpid()}\n".encode())
        return RealLock(file)
