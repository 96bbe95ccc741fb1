"""The driver in both colours, beside plain sqlite3 on a local file, in one run.

    python -m benchmarks.driver [--nodes 3] [--seconds 3] [--rows 1000000] [--json FILE]

Three nodes on loopback, with fsync, share the machine with the client. sqlite3 writes one file with
WAL and synchronous=FULL, without a network and without copies: it is there to show what those cost.
Latencies are of single requests in milliseconds; `client µs` is the client's processor time for a
request or a row; `MB` is how much the client grew while it read a large result.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import raftsql
from benchmarks.driver_loads import (
    MANY,
    NUMBERS,
    SCHEMA,
    Measured,
    Memory,
    alone,
    insert,
    local,
    many_rows,
    rows_measured,
    select,
    select_async,
    select_local,
    tasks,
    threads,
)
from benchmarks.nodes import Nodes

LEVELS = ("linearizable", "lease", "session", "stale")
THREADS = 64
TASKS = 256
MANY_ROWS = 50_000
MEMORY_MB_MAX = 48.0
"""A large result must not cost more than a few pages, however many rows it has."""
TIMEOUT_S = 120.0


class Table:
    """The results so far."""

    def __init__(self) -> None:
        self.results: list[Measured] = []
        print(
            f"{'':34}{'':9}{'rate':>11}{'':6}{'p50':>8}{'p95':>8}{'p99':>8}{'client µs':>9}"
            f"{'MB':>7}{'/ sqlite3':>10}",
            flush=True,
        )

    def add(self, measured: Measured) -> None:
        """Print a line; sqlite3's comes first for each kind of work."""
        for other in self.results:
            if other.what == measured.what and other.by == "sqlite3":
                measured.ratio = measured.rate / other.rate
        self.results.append(measured)
        print(measured.line(), flush=True)


class Bench:
    """One cluster, one local file, and what is done to both."""

    def __init__(self, nodes: Nodes, table: Table, options: argparse.Namespace) -> None:
        self.url = nodes.url
        self.file = nodes.folder / "local.db"
        self.table = table
        self.seconds: float = options.seconds
        self.rows: int = options.rows
        for connection in (self.connect(), self.local()):
            connection.executescript(SCHEMA)
            connection.close()

    def connect(self) -> raftsql.Connection:
        """The blocking colour."""
        return raftsql.connect(self.url, autocommit=True, timeout=TIMEOUT_S)

    def connect_async(self) -> Awaitable[raftsql.AsyncConnection]:
        """The other one."""
        return raftsql.AsyncConnection.connect(self.url, autocommit=True, timeout=TIMEOUT_S)

    def local(self) -> Any:
        """sqlite3."""
        return local(self.file)

    def tasks(self, what: str, ask: Callable[[Any], Awaitable[object]], clients: int) -> None:
        """A load of tasks in an event loop of its own."""
        load = tasks(what, self.connect_async, ask, clients=clients, seconds=self.seconds)
        self.table.add(asyncio.run(load))

    def writes(self) -> None:
        """Inserts, each a transaction of its own."""
        what = "insert, 1 client"
        self.table.add(alone(what, "sqlite3", self.local, insert, self.seconds))
        self.table.add(alone(what, "sync", self.connect, insert, self.seconds))
        self.tasks(what, insert, 1)
        what = f"insert, {THREADS} threads"
        for by, connect in (("sqlite3", self.local), ("sync", self.connect)):
            load = threads(what, by, connect, insert, clients=THREADS, seconds=self.seconds)
            self.table.add(load)
        self.tasks(f"insert, {TASKS} tasks", insert, TASKS)

    def reads(self) -> None:
        """One row by its key, at each level."""
        alone_there = alone("", "sqlite3", self.local, select_local, self.seconds)
        many_there = threads(
            "", "sqlite3", self.local, select_local, clients=THREADS, seconds=self.seconds
        )
        for level in LEVELS:
            alone_there.what = what = f"{level} read, 1 client"
            self.table.add(Measured(**asdict(alone_there)))
            self.table.add(alone(what, "sync", self.connect, select(level), self.seconds))
            self.tasks(what, select_async(level), 1)
            many_there.what = what = f"{level} read, {THREADS} threads"
            self.table.add(Measured(**asdict(many_there)))
            load = threads(
                what, "sync", self.connect, select(level), clients=THREADS, seconds=self.seconds
            )
            self.table.add(load)
            self.tasks(f"{level} read, {TASKS} tasks", select_async(level), TASKS)

    def batches(self) -> None:
        """`executemany`, on its own and in a transaction."""
        for what, inside in (("executemany", False), ("executemany in a transaction", True)):
            for by, connect in (("sqlite3", self.local), ("sync", self.connect)):
                connection = connect()
                with rows_measured(what, by, MANY_ROWS) as measured:
                    if inside or by == "sqlite3":
                        connection.execute("BEGIN")
                    connection.executemany(MANY, many_rows(MANY_ROWS))
                    if inside or by == "sqlite3":
                        connection.execute("COMMIT")
                connection.close()
                self.table.add(measured)
            asyncio.run(self._batch_async(what, inside=inside))

    async def _batch_async(self, what: str, *, inside: bool) -> None:
        connection = await self.connect_async()
        with rows_measured(what, "async", MANY_ROWS) as measured:
            if inside:
                await connection.execute("BEGIN")
            await connection.executemany(MANY, many_rows(MANY_ROWS))
            if inside:
                await connection.execute("COMMIT")
        await connection.close()
        self.table.add(measured)

    def fetches(self) -> None:
        """A large result, by iteration: its time and the memory it takes."""
        sql, what = NUMBERS.format(rows=self.rows), f"fetch {self.rows:,} rows of 4"
        for by, connect in (("sqlite3", self.local), ("sync", self.connect)):
            connection, memory = connect(), Memory()
            with rows_measured(what, by, self.rows) as measured:
                for _ in connection.execute(sql):
                    memory.look()
            connection.close()
            self._fetched(measured, memory)
        asyncio.run(self._fetch_async(sql, what))

    async def _fetch_async(self, sql: str, what: str) -> None:
        connection, memory = await self.connect_async(), Memory()
        with rows_measured(what, "async", self.rows) as measured:
            async for _ in await connection.execute(sql):
                memory.look()
        await connection.close()
        self._fetched(measured, memory)

    def _fetched(self, measured: Measured, memory: Memory) -> None:
        measured.memory_mb = memory.grown_mb
        self.table.add(measured)
        assert memory.grown_mb < MEMORY_MB_MAX, "a result is read in constant memory"


def main() -> None:
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="*", choices=("writes", "reads", "batches", "fetches"))
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with Nodes(options.nodes) as nodes:
        table = Table()
        bench = Bench(nodes, table, options)
        for name in options.only or ("writes", "reads", "batches", "fetches"):
            getattr(bench, name)()
    if options.json:
        found = [asdict(measured) for measured in table.results]
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
