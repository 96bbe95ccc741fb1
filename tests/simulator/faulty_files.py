"""A file system in memory that fails as disks do: for the storage tests and the simulator.

It keeps what programs see (the kernel's memory) apart from what is durable (the disk):
- a write is seen at once and durable after `sync`; at a `crash` each write since then is kept,
  dropped, cut after any byte, or kept in some of its sectors, as chance has it;
- a name (created, renamed, removed) is durable after `sync_folder`; at a crash any of the changes
  since then may be lost, in any order;
- a failed `sync` forgets what was to be written: the program goes on seeing it, the disk never
  gets it, and the next `sync` says all is well.

`fail_at(n, fault)` makes the n-th call from now fail. Calls that change nothing count too.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from random import Random

SECTOR_BYTES = 512


class Fault(Enum):
    """What a call can be made to do."""

    EIO = "an I/O error before anything happened"
    ENOSPC = "no space left, before anything happened"
    SHORT_WRITE = "half of the data is written, then no space is left"
    LOST_SYNC = "the sync fails and what was to be written is dropped"
    POWER = "the machine stops here"


class PowerLoss(BaseException):
    """The machine stopped in the middle of a call. Nobody below a test may catch it."""


@dataclass(slots=True)
class Inode:
    """A file's bytes as programs see them and as the disk has them."""

    seen: bytearray = field(default_factory=bytearray)
    disk: bytearray = field(default_factory=bytearray)
    # Changes since the last sync: (offset, data) for a write, (size, None) for a new size.
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)


NameChanges = tuple[tuple[str, Inode | None], ...]


class MemoryFile:
    """An open file; it stays readable after its name is gone."""

    __slots__ = ("_files", "_generation", "inode")

    def __init__(self, files: MemoryFiles, inode: Inode) -> None:
        self._files = files
        self._generation = files.generation
        self.inode = inode

    def read(self, offset: int, size: int) -> bytes:
        self._call("read")
        return bytes(memoryview(self.inode.seen)[offset : offset + size])

    def write(self, offset: int, data: bytes) -> None:
        fault = self._call("write")
        if fault is Fault.SHORT_WRITE:
            data = data[: len(data) // 2]
        if data:
            _put(self.inode.seen, offset, data)
            self.inode.pending.append((offset, data))
        if fault is Fault.SHORT_WRITE:
            raise OSError(errno.ENOSPC, "no space left (injected, after a part)")
        if fault is Fault.POWER:
            raise PowerLoss

    def preallocate(self, size: int) -> None:
        self._call("preallocate")
        if size > len(self.inode.seen):
            self._resize(size)

    def truncate(self, size: int) -> None:
        self._call("truncate")
        self._resize(size)

    def sync(self) -> None:
        fault = self._call("sync")
        if fault is Fault.LOST_SYNC:
            self.inode.pending.clear()
            raise OSError(errno.EIO, "sync failed (injected)")
        if fault is Fault.POWER:
            raise PowerLoss
        for change in self.inode.pending:
            _apply(self.inode.disk, change)
        self.inode.pending.clear()

    def size(self) -> int:
        return len(self.inode.seen)

    def close(self) -> None:
        """Nothing is held."""

    def _resize(self, size: int) -> None:
        _apply(self.inode.seen, (size, None))
        self.inode.pending.append((size, None))

    def _call(self, name: str) -> Fault | None:
        assert self._generation == self._files.generation, "a file opened before the crash is used"
        return self._files.called(name)


@dataclass(slots=True)
class MemoryLock:
    """A lock that a crash releases too."""

    files: MemoryFiles
    path: str

    def release(self) -> None:
        self.files.locked.discard(self.path)


class MemoryFiles:
    """The file system. `generation` grows at each crash; files opened before are dead then."""

    def __init__(self) -> None:
        self.seen: dict[str, Inode] = {}
        self.disk: dict[str, Inode] = {}
        # Steps since the last sync of their folder: (folder, ((name, its inode or None), ...)).
        self.names_pending: list[tuple[str, NameChanges]] = []
        self.folders: set[str] = set()
        self.locked: set[str] = set()
        self.generation = 0
        self.calls = 0
        self.log: Callable[[str], None] | None = None
        self._faults: dict[int, Fault] = {}

    # -- the calls of raftsql.storage.files.Files

    def create(self, path: Path) -> MemoryFile:
        self.called("create")
        inode = Inode()
        self._name(path, inode)
        return MemoryFile(self, inode)

    def open(self, path: Path) -> MemoryFile:
        self.called("open")
        return MemoryFile(self, self._inode(path))

    def exists(self, path: Path) -> bool:
        return str(path) in self.seen or str(path) in self.folders

    def names(self, folder: Path) -> list[str]:
        self.called("names")
        prefix = f"{folder}/"
        if str(folder) not in self.folders:
            raise FileNotFoundError(errno.ENOENT, "no such folder", str(folder))
        found = [name for name in (*self.seen, *self.folders) if name.startswith(prefix)]
        return sorted({name[len(prefix) :].partition("/")[0] for name in found})

    def make_folder(self, path: Path) -> None:
        self.called("make_folder")
        self.folders.update(str(each) for each in (path, *path.parents))

    def rename(self, source: Path, target: Path) -> None:
        self.called("rename")
        inode = self._inode(source)
        # One step, as the journal of a real file system has it: both names change or neither.
        assert source.parent == target.parent, "the room renames within a folder"
        changes = ((str(source), None), (str(target), inode))
        _rename(self.seen, changes)
        self.names_pending.append((str(target.parent), changes))

    def unlink(self, path: Path) -> None:
        self.called("unlink")
        self._inode(path)
        self._name(path, None)

    def sync_folder(self, path: Path) -> None:
        fault = self.called("sync_folder")
        if fault is Fault.LOST_SYNC:
            raise OSError(errno.EIO, "sync of a folder failed (injected)")
        kept = []
        for change in self.names_pending:
            if change[0] == str(path):
                _rename(self.disk, change[1])
            else:
                kept.append(change)
        self.names_pending = kept

    def lock(self, path: Path) -> MemoryLock | None:
        self.called("lock")
        if str(path) in self.locked:
            return None
        self.locked.add(str(path))
        if str(path) not in self.seen:
            self._name(path, Inode())
        return MemoryLock(self, str(path))

    # -- what goes wrong

    def fail_at(self, call: int, fault: Fault) -> None:
        """Make the `call`-th call from now (1 is the next one) fail as `fault` says."""
        self._faults[self.calls + call] = fault

    def forget_faults(self) -> None:
        """Let all later calls succeed."""
        self._faults.clear()

    def crash(self, chance: Random) -> None:
        """Lose what was not synced, or keep any part of it, and release the locks."""
        self.generation += 1
        self.locked.clear()
        for inode in {id(i): i for i in (*self.seen.values(), *self.disk.values())}.values():
            for change in inode.pending:
                _survive(inode.disk, change, chance)
            inode.pending.clear()
        self._survive_names(chance)
        self.seen = dict(self.disk)
        for inode in self.seen.values():
            inode.seen = bytearray(inode.disk)

    def flip(self, path: Path, offset: int, bit: int) -> None:
        """Damage one bit of a file at rest."""
        inode = self._inode(path)
        for content in (inode.disk, inode.seen):
            if offset < len(content):
                content[offset] ^= 1 << bit

    def content(self, path: Path) -> bytes:
        """A file's bytes as programs see them, uncounted."""
        return bytes(self._inode(path).seen)

    def called(self, name: str) -> Fault | None:
        """Count a call and raise, or return, the fault that was planned for it."""
        self.calls += 1
        if self.log is not None:
            self.log(name)
        fault = self._faults.pop(self.calls, None) if self._faults else None
        if fault is None:
            return None
        if fault is Fault.SHORT_WRITE and name != "write":
            fault = Fault.ENOSPC
        if fault is Fault.LOST_SYNC and name not in ("sync", "sync_folder"):
            fault = Fault.EIO
        if fault is Fault.ENOSPC and name in ("read", "open", "names"):
            fault = Fault.EIO
        if fault is Fault.EIO:
            raise OSError(errno.EIO, f"I/O error (injected into {name})")
        if fault is Fault.ENOSPC:
            raise OSError(errno.ENOSPC, f"no space left (injected into {name})")
        if fault is Fault.POWER and name not in ("write", "sync"):
            raise PowerLoss
        return fault

    def _survive_names(self, chance: Random) -> None:
        """Lose changes of names: the latest ones, or any, but none that builds on a lost one."""
        keep = chance.randint(0, len(self.names_pending))
        any_order = chance.random() < 0.5
        lost: set[str] = set()
        for place, (_, changes) in enumerate(self.names_pending):
            names = {name for name, _ in changes}
            kept = chance.random() < 0.5 if any_order else place < keep
            if kept and not names & lost:
                _rename(self.disk, changes)
            else:
                lost |= names
        self.names_pending.clear()

    def _inode(self, path: Path) -> Inode:
        inode = self.seen.get(str(path))
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        return inode

    def _name(self, path: Path, inode: Inode | None) -> None:
        changes = ((str(path), inode),)
        _rename(self.seen, changes)
        self.names_pending.append((str(path.parent), changes))


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _apply(content: bytearray, change: tuple[int, bytes | None]) -> None:
    offset, data = change
    if data is not None:
        _put(content, offset, data)
    elif offset < len(content):
        del content[offset:]
    else:
        content.extend(bytes(offset - len(content)))


def _rename(names: dict[str, Inode], changes: NameChanges) -> None:
    for name, inode in changes:
        if inode is None:
            names.pop(name, None)
        else:
            names[name] = inode


def _survive(content: bytearray, change: tuple[int, bytes | None], chance: Random) -> None:
    """Let a change that was not synced reach the disk, or a part of it, or nothing."""
    offset, data = change
    fate = chance.randrange(4)
    if fate == 0:
        return
    if fate == 1 or data is None:
        _apply(content, change)
    elif fate == 2:
        _put(content, offset, data[: chance.randint(0, len(data))])
    else:
        for start, stop in _sectors(offset, len(data)):
            if chance.random() < 0.5:
                _put(content, offset + start, data[start:stop])


def _sectors(offset: int, size: int) -> list[tuple[int, int]]:
    """Where the sectors of a disk cut a write of `size` bytes at `offset`."""
    cuts = list(range(SECTOR_BYTES - offset % SECTOR_BYTES, size, SECTOR_BYTES))
    return list(zip([0, *cuts], [*cuts, size], strict=True))
