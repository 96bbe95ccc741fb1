"""Loads for `benchmarks.driver`: the same work through both colours of the driver and sqlite3."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.loads import asked_again
from benchmarks.usage import own_cpu_seconds, resident_mb

INSERT = "INSERT INTO foo(name) VALUES(?)"
SELECT = "SELECT name FROM foo WHERE id = ?"
MANY = "INSERT INTO bar VALUES(?, ?, ?, ?)"
NUMBERS = (
    "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c LIMIT {rows}) "
    "SELECT x, 'name ' || x, x * 1.5, x % 7 FROM c"
)
SCHEMA = "CREATE TABLE foo(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE bar(a, b, c, d);"
SAMPLE_ROWS = 20_000


@dataclass(slots=True)
class Measured:
    """What one load came to; what was not measured is 0."""

    what: str
    by: str
    rate: float
    unit: str = "/s"
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    client_us: float = 0.0
    """Processor time of the client for each request or row."""
    memory_mb: float = 0.0
    """By how much the client grew at most while it worked."""
    ratio: float = field(default=0.0)
    """The rate divided by that of sqlite3."""

    def line(self) -> str:
        """One line of the table."""
        cells = f"{self.what:34}{self.by:9}{self.rate:>11,.0f}{self.unit:6}"
        cells += f"{self.p50:8.2f}{self.p95:8.2f}{self.p99:8.2f}" if self.p50 else " " * 24
        cells += f"{self.client_us:9.2f}" if self.client_us else " " * 9
        cells += f"{self.memory_mb:7.1f}" if self.memory_mb else " " * 7
        return cells + (f"{self.ratio:10.3f}" if self.ratio else "")


def summed_up(what: str, by: str, latencies: list[float], elapsed: float, cpu: float) -> Measured:
    """Rate and quantiles of requests."""
    latencies.sort()
    count = len(latencies)
    p50, p95, p99 = (latencies[min(count - 1, int(count * q))] * 1e3 for q in (0.5, 0.95, 0.99))
    return Measured(what, by, count / elapsed, "/s", p50, p95, p99, cpu / count * 1e6)


def threads(
    what: str, by: str, connect: Callable[[], Any], ask: Callable[[Any], object],
    *, clients: int, seconds: float,
) -> Measured:  # fmt: skip
    """So many threads with a connection each, asking again as soon as they have an answer."""
    latencies: list[float] = []
    start = threading.Barrier(clients + 1)
    failures: list[BaseException] = []

    def one() -> None:
        try:
            connection = connect()
            ask(connection)
            mine: list[float] = []
            start.wait()
            now = time.perf_counter()
            stop_at = now + seconds
            while now < stop_at:
                ask(connection)
                then, now = now, time.perf_counter()
                mine.append(now - then)
            latencies.extend(mine)
            connection.close()
        except BaseException as error:
            failures.append(error)
            start.abort()
            raise

    workers = [threading.Thread(target=one) for _ in range(clients)]
    for worker in workers:
        worker.start()
    start.wait()
    began, cpu = time.perf_counter(), own_cpu_seconds()
    for worker in workers:
        worker.join()
    elapsed, cpu = time.perf_counter() - began, own_cpu_seconds() - cpu
    assert not failures, failures[0]
    return summed_up(what, by, latencies, elapsed, cpu)


def alone(
    what: str, by: str, connect: Callable[[], Any], ask: Callable[[Any], object], seconds: float
) -> Measured:
    """One client, in this thread."""
    connection = connect()
    ask(connection)
    latencies: list[float] = []
    began, cpu = time.perf_counter(), own_cpu_seconds()
    now, stop_at = began, began + seconds
    while now < stop_at:
        ask(connection)
        then, now = now, time.perf_counter()
        latencies.append(now - then)
    measured = summed_up(what, by, latencies, now - began, own_cpu_seconds() - cpu)
    connection.close()
    return measured


async def tasks(
    what: str, connect: Callable[[], Awaitable[Any]], ask: Callable[[Any], Awaitable[object]],
    *, clients: int, seconds: float,
) -> Measured:  # fmt: skip
    """So many tasks with a connection each."""
    latencies, elapsed, cpu = await asked_again(connect, ask, clients=clients, seconds=seconds)
    return summed_up(what, "async", latencies, elapsed, cpu)


@contextmanager
def rows_measured(what: str, by: str, rows: int) -> Iterator[Measured]:
    """Time what is done with so many rows."""
    measured = Measured(what, by, 0.0, " rows")
    began, cpu = time.perf_counter(), own_cpu_seconds()
    yield measured
    elapsed, cpu = time.perf_counter() - began, own_cpu_seconds() - cpu
    measured.rate, measured.client_us = rows / elapsed, cpu / rows * 1e6


class Memory:
    """How much the process grows while it iterates."""

    def __init__(self) -> None:
        self._before = resident_mb()
        self._most = self._before
        self._seen = 0

    def look(self) -> None:
        """Call it for each row; it looks now and then."""
        self._seen += 1
        if self._seen % SAMPLE_ROWS == 0:
            self._most = max(self._most, resident_mb())

    @property
    def grown_mb(self) -> float:
        """At most."""
        return max(0.1, self._most - self._before)


def insert(connection: Any) -> Any:
    """One row; the same call for all three."""
    return connection.execute(INSERT, ("fiona",))


def select(level: str) -> Callable[[Any], object]:
    """One row by its key."""

    def ask(connection: Any) -> object:
        return connection.execute(SELECT, (7,), consistency=level).fetchone()

    return ask


def select_async(level: str) -> Callable[[Any], Awaitable[object]]:
    """The same for asyncio."""

    async def ask(connection: Any) -> object:
        return await (await connection.execute(SELECT, (7,), consistency=level)).fetchone()

    return ask


def select_local(connection: Any) -> object:
    """The same for sqlite3."""
    return connection.execute(SELECT, (7,)).fetchone()


def many_rows(count: int) -> Iterable[tuple[int, str, float, int]]:
    """Rows for `executemany`."""
    return ((k, f"name {k}", k * 1.5, k % 7) for k in range(count))


def local(path: Path) -> sqlite3.Connection:
    """sqlite3 on a file: as durable as a node's journal, and with readers beside the writer."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=60, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection
