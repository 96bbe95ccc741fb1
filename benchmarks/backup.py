"""Backup, restore and verify of a database, beside `cp` and SQLite's own backup of the same file.

    python -m benchmarks.backup [--size-mb 200] [--nodes 3] [--markdown]

The file is made by Python's sqlite3, restored into a cluster, backed up from it and compared with
it. At the end a client writes single rows; what it feels of each step stands behind the step. Every
way ends with the file synced. sqlite3 `.backup` is the backup function behind that command. Behind
the rate: seconds of processor time of the command and of all nodes, and the most memory that the
command and any of the nodes had in use.
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
from typing import NamedTuple

import raftsql
from benchmarks import usage
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


class Line(NamedTuple):
    """One way that was measured."""

    what: str
    seconds: float
    rate: float
    """Megabytes of the database a second."""
    client_cpu: float
    """Seconds of processor time that the command used."""
    nodes_cpu: float
    """And the nodes together: what does not change when others use the machine."""
    client_mb: float
    """The most memory that the command had in use; 0: there was none."""
    nodes_mb: float
    """The most that any node had in use meanwhile."""
    felt: str = ""


class Bench:
    """Times one way after the other, and watches memory meanwhile."""

    def __init__(self, nodes: Nodes, size: int) -> None:
        self.nodes = nodes
        self.size = size
        self.lines: list[Line] = []

    def timed(self, what: str, job: Callable[[], object], writer: Writer | None = None) -> None:
        """Do it, print how fast it was, and keep that."""
        pids = [process.pid for process in self.nodes.processes.values()]
        usage.forget_peaks(pids)
        if writer is not None:
            writer.felt()
        meter, own = usage.Meter(pids), os.times()
        began = time.perf_counter()
        client_mb = job()
        seconds = time.perf_counter() - began
        used = os.times()
        line = Line(
            what, seconds, self.size / seconds / 1e6, sum(used[:4]) - sum(own[:4]),
            meter.cpu_seconds(pids), client_mb if isinstance(client_mb, float) else 0.0,
            max(usage.peak_mb(pid) for pid in pids), writer.felt() if writer is not None else "",
        )  # fmt: skip
        self.lines.append(line)
        cpu = f"{line.client_cpu:>6.1f} {line.nodes_cpu:>6.1f} s"
        memory = f"{line.client_mb:>6.0f} {line.nodes_mb:>6.0f} MB"
        rate = f"{seconds:>8.2f} s{line.rate:>8.0f} MB/s"
        print(f"{what:26}{rate}  {cpu}  {memory}  {line.felt}", flush=True)

    def table(self) -> str:
        """As Markdown, beside the first line."""
        head = [
            "| | seconds | MB/s | of `cp` | cpu s, command | cpu s, nodes | peak, command "
            "| peak, a node |",
            "|---|--:|--:|--:|--:|--:|--:|--:|",
        ]
        first = self.lines[0].rate
        rows = [
            f"| {line.what} | {line.seconds:.1f} | {line.rate:.0f} | {line.rate / first:.2f} "
            f"| {line.client_cpu:.1f} | {_if(line, f'{line.nodes_cpu:.1f}')} "
            f"| {_if(line, f'{line.client_mb:.0f} MB')} | {_if(line, f'{line.nodes_mb:.0f} MB')} |"
            for line in self.lines
        ]
        return "\n".join([*head, *rows])


def _if(line: Line, text: str) -> str:
    """What is told of a way that asks nodes."""
    return text if line.client_mb else ""


def synced(path: Path) -> None:
    """Make what was written last."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def program(url: str, *arguments: str) -> float:
    """An operator's command; the most memory it had in use, in megabytes."""
    command = [sys.executable, "-m", "raftsql.server", *arguments, "--url", url]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return used.ru_maxrss / 1024


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
    parser.add_argument("--markdown", action="store_true", help="print the table for a page too")
    options = parser.parse_args()
    with folder() as place, Nodes(options.nodes) as nodes:
        source = made(place / "source.db", options.size_mb)
        bench = Bench(nodes, source.stat().st_size)
        print(f"{bench.size / 1e6:.0f} MB, {options.nodes} nodes on this machine")
        _measure(bench, source, place)
    if options.markdown:
        print(bench.table())


def _measure(bench: Bench, source: Path, place: Path) -> None:
    timed, url, backup = bench.timed, bench.nodes.url, str(place / "a.db")
    timed("`cp`", lambda: copied(source, place / "cp.db"))
    timed("sqlite3 `.backup`", lambda: backed_up(source, place / "sqlite.db"))
    timed("restore of a SQLite file", lambda: program(url, "restore", str(source), "--yes"))
    timed("backup", lambda: program(url, "backup", backup))
    timed("backup --unchecked", lambda: program(url, "backup", backup, "--unchecked", "--force"))
    timed("restore of a backup", lambda: program(url, "restore", backup, "--yes"))
    timed("verify", lambda: program(url, "verify"))
    timed("verify --file", lambda: program(url, "verify", "--file", backup))
    timed("backup --gzip", lambda: program(url, "backup", str(place / "c.db.gz"), "--gzip"))
    timed("backup --zstd", lambda: program(url, "backup", str(place / "c.db.zst"), "--zstd"))
    timed("backup --sql", lambda: program(url, "backup", str(place / "d.sql"), "--sql"))
    with Writer(url) as writer:
        time.sleep(2)
        print(f"{'a writer, undisturbed':32}{writer.felt()}")
        timed("backup, and a writer", lambda: program(url, "backup", backup, "--force"), writer)
        timed("verify, and a writer", lambda: program(url, "verify"), writer)
        timed(
            "restore, and a writer", lambda: program(url, "restore", str(source), "--yes"), writer
        )
    print(f"{writer.errors} writes failed")


if __name__ == "__main__":
    main()
