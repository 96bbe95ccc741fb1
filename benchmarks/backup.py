"""Backup, restore and verify of a database, beside `cp` and SQLite's own backup of the same file.

    python -m benchmarks.backup [--size-mb 200] [--nodes 3]

The file is made by Python's sqlite3, restored into a cluster, backed up from it and compared with
it. A client writes single rows all the while; what it feels of each step stands behind the step.
Every way ends with the file synced. `sqlite3 .backup` is the backup function behind that command.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import raftsql
from benchmarks.nodes import Nodes

ROW_BYTES = 1000


def made(path: Path, size_mb: int) -> Path:
    """A database with rows of random bytes, numbers and an index."""
    rows = size_mb * 1_000_000 // (ROW_BYTES + 40)
    chance = random.Random(1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TABLE big(id INTEGER PRIMARY KEY, n INTEGER, filling BLOB)")
        connection.execute("CREATE TABLE written(id INTEGER PRIMARY KEY, at TEXT)")
        connection.executemany(
            "INSERT INTO big(n, filling) VALUES (?, ?)",
            ((chance.getrandbits(40), chance.randbytes(ROW_BYTES)) for _ in range(rows)),
        )
        connection.execute("CREATE INDEX by_n ON big(n)")
        connection.commit()
    # What is not synced now would be in the first sync of whatever is measured next.
    synced(path)
    return path


class Writer:
    """One client that inserts single rows, and remembers how long each took."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self._taken: list[float] = []
        self.errors = 0

    def _write(self) -> None:
        connection = raftsql.connect(self._url, autocommit=True, timeout=120.0)
        while not self._over.is_set():
            began = time.perf_counter()
            try:
                connection.execute("INSERT INTO written(at) VALUES ('now')")
            except raftsql.Error:
                self.errors += 1
            self._taken.append(time.perf_counter() - began)
        connection.close()

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def felt(self) -> str:
        """What it felt since the last time it was asked."""
        taken, self._taken = sorted(self._taken), []
        if not taken:
            return "nothing was written"
        p50, p99, worst = (taken[int((len(taken) - 1) * q)] * 1e3 for q in (0.5, 0.99, 1.0))
        return f"{len(taken):>6} writes, p50 {p50:.1f} p99 {p99:.1f} worst {worst:.0f} ms"


def timed(label: str, size: int, job: Callable[[], object], writer: Writer | None = None) -> None:
    """Do it and print how fast it was."""
    if writer is not None:
        writer.felt()
    began = time.perf_counter()
    job()
    seconds = time.perf_counter() - began
    felt = f"   {writer.felt()}" if writer is not None else ""
    print(f"{label:34}{seconds:>8.2f} s{size / seconds / 1e6:>9.0f} MB/s{felt}", flush=True)


def synced(path: Path) -> None:
    """Make what was written last."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def program(url: str, *arguments: str) -> None:
    """An operator's command."""
    command = [sys.executable, "-m", "raftsql.server", *arguments, "--url", url]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def copied(source: Path, target: Path) -> None:
    """As `cp` does."""
    subprocess.run(["cp", str(source), str(target)], check=True)
    synced(target)


def backed_up(source: Path, target: Path) -> None:
    """As `.backup` in the sqlite3 program does."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
    synced(target)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Room for the files, which goes."""
    with tempfile.TemporaryDirectory(prefix="raftsql-backup-") as name:
        yield Path(name)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size-mb", type=int, default=200)
    parser.add_argument("--nodes", type=int, default=3)
    options = parser.parse_args()
    with folder() as place, Nodes(options.nodes) as nodes:
        source = made(place / "source.db", options.size_mb)
        size = source.stat().st_size
        print(f"{size / 1e6:.0f} MB, {options.nodes} nodes on this machine")
        timed("cp", size, lambda: copied(source, place / "cp.db"))
        timed("sqlite3 .backup", size, lambda: backed_up(source, place / "sqlite.db"))
        timed("restore", size, lambda: program(nodes.url, "restore", str(source), "--yes"))
        timed("backup", size, lambda: program(nodes.url, "backup", str(place / "a.db")))
        timed("verify", size, lambda: program(nodes.url, "verify"))
        timed("verify and compare a file", size, lambda: _verify(nodes.url, place / "a.db"))
        with Writer(nodes.url) as writer:
            time.sleep(2)
            print(f"{'undisturbed':57}{writer.felt()}")
            backup = place / "b.db"
            timed("backup", size, lambda: program(nodes.url, "backup", str(backup)), writer)
            timed("verify", size, lambda: program(nodes.url, "verify"), writer)
            timed(
                "restore", size, lambda: program(nodes.url, "restore", str(source), "--yes"), writer
            )
        print(f"{writer.errors} writes failed")
        timed("backup --gzip", size, lambda: _gzip(nodes.url, place / "c.db.gz"))
        timed("backup --sql", size, lambda: _sql(nodes.url, place / "d.sql"))


def _verify(url: str, path: Path) -> None:
    program(url, "verify", "--file", str(path))


def _gzip(url: str, path: Path) -> None:
    program(url, "backup", str(path), "--gzip")


def _sql(url: str, path: Path) -> None:
    program(url, "backup", str(path), "--sql")


if __name__ == "__main__":
    main()
