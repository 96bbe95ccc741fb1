"""How fast the journal is on this machine's disk: `python -m benchmarks.journal [FOLDER]`.

Batches of 1, 10, 100 and 1000 entries of 100 bytes, each saved with its sync; the journal's own
cost per entry, which is what it takes without a disk; reading, and opening a million entries.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from raftsql.raft.messages import Entry, EntryKind, HardState
from raftsql.storage.files import RealFile, RealFiles
from raftsql.storage.journal import Journal

PAYLOAD = b"p" * 100
OPENED_ENTRIES = 1_000_000


class UnsyncedFile(RealFile):
    """A file whose sync does nothing: shows what the journal costs without the disk."""

    __slots__ = ()

    def sync(self) -> None:
        """Leave it to the kernel."""

    def write(self, offset: int, data: bytes) -> None:
        """Leave it out."""


class UnsyncedFiles(RealFiles):
    """Files that never touch the disk after their creation."""

    def create(self, path: Path) -> RealFile:
        return _taken_over(super().create(path))

    def open(self, path: Path) -> RealFile:
        return _taken_over(super().open(path))


def _taken_over(file: RealFile) -> UnsyncedFile:
    taken = UnsyncedFile(file._descriptor)
    file._descriptor = -1
    return taken


def entries(first: int, count: int) -> list[Entry]:
    return [Entry(1, index, EntryKind.COMMAND, PAYLOAD) for index in range(first, first + count)]


def save_batches(journal: Journal, size: int, batches: int) -> list[float]:
    """Seconds that each save took, sorted."""
    taken = []
    for _ in range(batches):
        batch = entries(journal.last.index + 1, size)
        start = perf_counter()
        journal.save(None, batch)
        taken.append(perf_counter() - start)
    return sorted(taken)


def measured(name: str, work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    seconds = perf_counter() - start
    print(f"{name:<58} {seconds * 1000:9.1f} ms")
    return seconds


def saves(root: Path) -> None:
    print("entries   saves/s   entries/s   p50 us   p99 us   the journal alone, us per entry")
    for size, batches in ((1, 4000), (10, 3000), (100, 2000), (1000, 400)):
        journal = Journal.open(root / f"saves-{size}", RealFiles())
        journal.save(HardState(1, 1), [])
        save_batches(journal, size, 50)
        taken = save_batches(journal, size, batches)
        journal.close()
        bare = Journal.open(root / f"bare-{size}", RealFiles())
        bare.save(HardState(1, 1), [])
        bare._segments[-1].file = _taken_over(RealFiles().create(root / "nothing"))
        bare._room = 1 << 40
        alone = save_batches(bare, size, batches)
        rate = batches / sum(taken)
        print(
            f"{size:7} {rate:9.0f} {rate * size:11.0f} {taken[batches // 2] * 1e6:8.0f}"
            f" {taken[batches * 99 // 100] * 1e6:8.0f} {alone[batches // 2] * 1e6 / size:14.2f}"
        )


def million(root: Path) -> None:
    folder = root / "million"
    journal = Journal.open(folder, RealFiles())
    while journal.last.index < OPENED_ENTRIES:
        journal.save(HardState(1, 1), entries(journal.last.index + 1, 100))
    journal.close()
    measured("open a million entries", lambda: Journal.open(folder, RealFiles()))
    journal = Journal.open(folder, RealFiles())
    memory = sum(2 * 8 * len(segment.samples[0]) for segment in journal._segments)
    print(f"{'their index in memory':<58} {memory / 1024:9.0f} KiB")
    measured("read 10,000 in pieces of 64 KiB", lambda: read_all(journal, 500_000, 509_999))
    measured("read 1,000 single entries", lambda: [journal.read(i, i, 1) for i in range(1, 1001)])
    measured("verify all", journal.verify)
    journal.close()
    for index in folder.glob("*.index"):
        index.unlink()
    measured("open without the indexes of full segments", lambda: Journal.open(folder, RealFiles()))


def singles(root: Path) -> None:
    """A last segment full of single-entry batches: the slowest to read through at a start."""
    folder = root / "singles"
    journal = Journal.open(folder, UnsyncedWrites())
    while journal._segments[-1].end < journal._room - 1024:
        journal.save(HardState(1, 1), entries(journal.last.index + 1, 1))
    count = journal.last.index
    measured(f"open {count} entries saved one by one", lambda: Journal.open(folder, RealFiles()))


class UnsyncedWrites(RealFiles):
    """Files that are written but not synced, to fill a journal quickly."""

    def create(self, path: Path) -> RealFile:
        file = super().create(path)
        taken = _WrittenFile(file._descriptor)
        file._descriptor = -1
        return taken


class _WrittenFile(RealFile):
    __slots__ = ()

    def sync(self) -> None:
        """Leave it to the kernel."""


def read_all(journal: Journal, first: int, last: int) -> None:
    while first <= last:
        first += len(journal.read(first, last, 65536))


def main() -> None:
    parent = Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd()
    root = Path(tempfile.mkdtemp(prefix="journal-benchmark-", dir=parent))
    try:
        saves(root)
        million(root)
        singles(root)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
