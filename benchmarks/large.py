"""A large database: how a node joins it under load, and how soon one serves again.

python -m benchmarks.large join [--size-mb 1000]
python -m benchmarks.large restart [--size-mb 1000] [--entries 1000000]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import threading
import time

import raftsql
from benchmarks.nodes import Nodes

ROW_BYTES = 100_000
WRITES_A_SECOND = 200
CONNECTIONS = 500
CALM_SECONDS = 5.0
JOIN_SECONDS_MAX = 300.0


def fill(url: str, size_mb: int) -> None:
    """Insert rows that can't be compressed until the database is so large."""
    blob = os.urandom(ROW_BYTES)
    with raftsql.connect(url, autocommit=True, timeout=120) as connection:
        connection.execute("CREATE TABLE big (id INTEGER PRIMARY KEY, data BLOB)")
        connection.execute("CREATE TABLE foo (id INTEGER PRIMARY KEY, name TEXT)")
        for _ in range(size_mb * 1_000_000 // (ROW_BYTES * 50)):
            connection.executemany("INSERT INTO big (data) VALUES (?)", [(blob,)] * 50)
    os.sync()  # What filling left for the disk to do is not what is measured.


class Paced:
    """Writes at a steady rate, each begun when it is due and timed from then, whatever the others
    do: a write that takes long holds up no other (no coordinated omission)."""

    def __init__(self, url: str, a_second: int) -> None:
        self.latencies: list[tuple[float, float]] = []
        self.errors: list[str] = []
        self._free: list[raftsql.AsyncConnection] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(url, a_second),))
        self._thread.start()

    async def _run(self, url: str, a_second: int) -> None:
        for _ in range(CONNECTIONS):
            self._free.append(
                await raftsql.AsyncConnection.connect(url, autocommit=True, timeout=30)
            )
        under_way: set[asyncio.Task[None]] = set()
        due = time.perf_counter()
        while not self._over.is_set():
            due += 1 / a_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if not self._free:
                self.errors.append(f"all {CONNECTIONS} connections wait for their answers")
                continue
            task = asyncio.create_task(self._write(self._free.pop(), due))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
        for connection in self._free:
            await connection.close()

    async def _write(self, connection: raftsql.AsyncConnection, due: float) -> None:
        try:
            await connection.execute("INSERT INTO foo (name) VALUES ('fiona')")
            now = time.perf_counter()
            self.latencies.append((now, now - due))
        except raftsql.Error as error:
            self.errors.append(repr(error))
        finally:
            self._free.append(connection)

    def end(self) -> None:
        """Stop writing."""
        self._over.set()
        self._thread.join()

    def quantile(self, share: float, begin: float, end: float) -> float:
        """Of the writes that ended between two moments, in milliseconds."""
        found = sorted(took for at, took in self.latencies if begin <= at < end)
        return found[min(len(found) - 1, int(len(found) * share))] * 1e3 if found else 0.0


def join(options: argparse.Namespace) -> None:
    """Add a fourth node to three that hold so much, while writes go on."""
    with Nodes(3) as nodes:
        fill(nodes.url, options.size_mb)
        paced = Paced(nodes.url, WRITES_A_SECOND)
        time.sleep(CALM_SECONDS)
        leader = nodes.leader()
        term = nodes.status(leader)["term"]
        began = time.perf_counter()
        nodes.start(4)
        give_up_at = time.monotonic() + JOIN_SECONDS_MAX
        while time.monotonic() < give_up_at:
            found = nodes.status(leader)
            member = next((m for m in found.get("members", []) if m["node_id"] == 4), None)
            if member is not None and member["voter"]:
                break
            time.sleep(0.2)
        ended = time.perf_counter()
        time.sleep(1.0)
        paced.end()
        calm = paced.quantile(0.99, began - CALM_SECONDS + 1, began)
        busy = paced.quantile(0.99, began, ended)
        found = nodes.status(leader)
        print(f"join of a node to {options.size_mb} MB under {WRITES_A_SECOND} writes/s")
        print(
            f"  a voter after {ended - began:.1f} s; same leader and term: "
            f"{found.get('role') == 'leader' and found['term'] == term}"
        )
        print(
            f"  p99 of writes: calm {calm:.1f} ms, during the join {busy:.1f} ms, "
            f"{busy / calm:.1f} times; p50 {paced.quantile(0.5, began, ended):.1f} ms"
        )
        print(f"  failed writes {len(paced.errors)}")


async def insert_many(url: str, count: int) -> None:
    """Single-row entries, as many clients make them."""
    connections = [
        await raftsql.AsyncConnection.connect(url, autocommit=True, timeout=60) for _ in range(256)
    ]

    async def some(connection: raftsql.AsyncConnection) -> None:
        for _ in range(count // len(connections)):
            await connection.execute("INSERT INTO foo (name) VALUES (?)", ("fiona",))

    await asyncio.gather(*(some(connection) for connection in connections))
    for connection in connections:
        await connection.close()


def restart(options: argparse.Namespace) -> None:
    """Kill a single node that holds so much, and time it until it answers a linearizable read."""
    with Nodes(1, "--log-entries-max", str(options.entries * 2)) as nodes:
        fill(nodes.url, options.size_mb)
        asyncio.run(insert_many(nodes.url, options.entries))
        found = nodes.status(1)
        times = []
        for how in (nodes.kill, nodes.kill, nodes.stop):
            how(1)
            began = time.perf_counter()
            nodes.start(1)
            _read_once(nodes.url)
            times.append(time.perf_counter() - began)
        print(
            f"restart of a node: database {found['database_bytes'] / 1e6:.0f} MB, "
            f"log entries {found['last_index'] - found['first_index'] + 1}"
        )
        print(
            f"  serving again after kill -9: {times[0]:.2f} and {times[1]:.2f} s, after TERM "
            f"{times[2]:.2f} s; median {statistics.median(times):.2f} s"
        )
        print(f"  memory at rest {nodes.resident_mb(1):.0f} MB")


def _read_once(url: str) -> None:
    """Ask until there is an answer; a refused connection fails at once, so it is tried again."""
    while True:
        try:
            with raftsql.connect(url, autocommit=True, timeout=60) as connection:
                connection.execute("SELECT name FROM foo WHERE id = 7").fetchone()
            return
        except raftsql.OperationalError:
            time.sleep(0.01)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("join", "restart"))
    parser.add_argument("--size-mb", type=int, default=1000)
    parser.add_argument("--entries", type=int, default=1_000_000)
    options = parser.parse_args()
    {"join": join, "restart": restart}[options.what](options)


if __name__ == "__main__":
    main()
