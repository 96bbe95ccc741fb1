"""What reading, copying, summing and compacting a database costs, beside SQLite alone.

    python -m benchmarks.database [--size-mb 1000] [--folder DIR]

Each number is printed with what it is compared with, measured in the same run.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import msgspec

from raftsql.database import backup, checksum, internal, restore, snapshot
from raftsql.database.compaction import Compactor, wal_bytes
from raftsql.database.disk import Disk
from raftsql.database.environment import Role, open_connection
from raftsql.database.installation import install
from raftsql.database.reader import Limits
from raftsql.database.readers import Page, Query, Readers
from raftsql.raft.messages import Entry, EntryKind
from raftsql.sql.commands import CommandKind, seal

ROW_BYTES = 220


def main() -> None:
    """Measure everything once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size-mb", type=int, default=1000)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="benchmark-", dir=arguments.folder))
    try:
        reads(folder / "small")
        bulk(folder, arguments.size_mb)
    finally:
        shutil.rmtree(folder)


def best(action: Callable[[], Any], times: int, rounds: int = 40) -> float:
    """Microseconds of one call, in the quietest of many short rounds."""
    found = []
    for _ in range(rounds):
        begun = time.perf_counter()
        for _ in range(times):
            action()
        found.append((time.perf_counter() - begun) / times)
    return min(found) * 1e6


def filled(path: Path, rows: int) -> apsw.Connection:
    """A database with a table of many rows of usual kinds, all of it in the database file."""
    writer = open_connection(path, Role.WRITER)
    internal.create(writer)
    writer.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, amount REAL, count, pad)")
    for start in range(0, rows, 100_000):
        with writer:
            writer.executemany(
                "INSERT INTO t VALUES (?, ?, ?, ?, ?)",
                (
                    (i, f"name {i}", i * 1.5, i % 1000, b"x" * (ROW_BYTES - 40))
                    for i in range(start, min(start + 100_000, rows))
                ),
            )
        writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    return writer


def reads(path: Path) -> None:
    """Point reads and big results."""
    writer = filled(path, 200_000)
    readers = Readers(path)
    point = "SELECT id, name, amount, count FROM t WHERE id = ?"
    bare = open_connection(path, Role.SERVICE)
    encode = msgspec.msgpack.Encoder().encode
    alone = best(lambda: bare.execute(point, (77,)).fetchall(), 500)
    ours = best(lambda: readers.read(point, (77,)), 500)
    empty = best(lambda: readers.read(point, (-1,)), 500)
    queries = [Query(point, [i]) for i in range(32)]
    together = best(lambda: readers.read_many(queries), 20) / 32
    print(f"point read       {ours:6.2f} µs, SQLite alone {alone:.2f}; without a row {empty:.2f};")
    print(f"                 {together:6.2f} µs each when 32 wait together")
    big = "SELECT id, name, amount, count FROM t"
    alone = best(lambda: encode(bare.execute(big).fetchall()), 1, 5) / 200_000
    ours = best(lambda: paged(readers, big), 1, 5) / 200_000
    print(f"big result       {ours:6.3f} µs a row, fetched and packed whole {alone:.3f}")
    readers.close()
    writer.close()


def paged(readers: Readers, sql: str) -> int:
    """Read a whole result, page by page."""
    page = readers.read(sql, limits=Limits())
    assert isinstance(page, Page)
    rows = page.length
    while page.more is not None:
        following = page.more.next_page()
        assert isinstance(following, Page)
        page = following
        rows += page.length
    return rows


class WritesBeside:
    """One-row transactions from another thread, 1 ms apart, and how long the slowest took."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stop = threading.Event()
        self.count = 0
        self.slowest = 0.0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> WritesBeside:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        writer = open_connection(self._path, Role.WRITER)
        while not self._stop.wait(0.001):
            begun = time.perf_counter()
            writer.execute("UPDATE t SET count = count + 1 WHERE id = ?", (self.count * 1009,))
            self.slowest = max(self.slowest, time.perf_counter() - begun)
            self.count += 1
        writer.close()

    def __str__(self) -> str:
        return f"{self.count} writes meanwhile, the slowest {self.slowest * 1000:.1f} ms"


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came of it."""
    begun = time.perf_counter()
    result = action()
    return time.perf_counter() - begun, result


def bulk(folder: Path, size_mb: int) -> None:
    """What is done to a whole database."""
    path = folder / "database"
    rows = size_mb * 1_000_000 // ROW_BYTES
    writer = filled(path, rows)
    size = path.stat().st_size / 1e6
    print(f"a database of {size:.0f} MB, {rows} rows")
    disk = Disk()
    seconds, _ = timed(lambda: (shutil.copy(path, folder / "cp"), disk.sync_file(folder / "cp")))
    print(f"cp and fsync     {size / seconds:6.0f} MB/s")
    (folder / "cp").unlink()
    with WritesBeside(path) as beside:
        seconds, _ = timed(lambda: snapshot.take(path, folder / "snapshot", disk))
    print(f"snapshot         {size / seconds:6.0f} MB/s, {beside}")
    with WritesBeside(path) as beside:
        seconds, _ = timed(lambda: backup.take(path, folder / "backup", disk))
    print(f"backup           {size / seconds:6.0f} MB/s, {beside}")
    seconds, _ = timed(lambda: snapshot.digest(folder / "backup"))
    print(f"file's digest    {size / seconds:6.0f} MB/s")
    seconds, _ = timed(lambda: snapshot.verify(folder / "snapshot"))
    print(f"quick_check      {size / seconds:6.0f} MB/s")
    seconds, found = timed(lambda: restore.inspect(folder / "backup"))
    assert found == []
    print(f"inspection       {size / seconds:6.0f} MB/s")
    compaction(writer, path)
    summing(writer, path, rows)
    payload = seal(CommandKind.RESTORE, b"", clock_ms=0, seed=0)
    entry = Entry(1, 1, EntryKind.COMMAND, payload)
    prepare = timed(lambda: restore.prepare(folder / "backup", path, entry))
    writer.close()
    switch = timed(lambda: install(folder / "backup", path, disk))
    print(f"switch           {prepare[0]:6.3f} s to prepare, {switch[0]:.3f} s to install")


def compaction(writer: apsw.Connection, path: Path) -> None:
    """Compaction of what changed in a big database."""
    compactor = Compactor(path, Disk())
    compactor.compact()
    with writer:
        writer.execute("UPDATE t SET count = count + 1 WHERE id % 100 = 0 AND id < 1000000")
    changed = wal_bytes(path) / 1e6
    written = bytes_written()
    with WritesBeside(path) as beside:
        seconds, _ = timed(compactor.compact)
    written = bytes_written() - written
    print(f"compaction       {seconds:6.3f} s after {changed:.0f} MB of changes,", end=" ")
    print(f"{written / 1e6:.0f} MB written in all, {beside}")
    print(f"                 {timed(compactor.start_over)[0]:6.3f} s to empty the WAL after it")
    print(f"                 {timed(compactor.compact)[0]:6.3f} s when nothing changed")
    compactor.close()


def bytes_written() -> int:
    """What this process has written so far."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def summing(writer: apsw.Connection, path: Path, rows: int) -> None:
    """The checksum, beside fetching the same rows."""
    service = open_connection(path, Role.SERVICE)
    size = path.stat().st_size / 1e6

    def fetch() -> None:
        for _ in service.execute("SELECT * FROM t"):
            pass

    alone, _ = timed(fetch)
    with service:
        seconds, _ = timed(lambda: checksum.take(service))
    print(f"checksum         {rows / seconds:6.0f} rows/s, {size / seconds:.0f} MB/s;", end=" ")
    print(f"fetching alone {rows / alone:.0f} rows/s")
    service.close()


if __name__ == "__main__":
    main()
