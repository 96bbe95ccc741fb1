"""A large database: how a node joins it under load, and how soon one serves again.

python -m benchmarks.large join [--size-mb 1000]
python -m benchmarks.large restart [--size-mb 1000] [--entries 1000000]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time

import raftsql
from benchmarks.loads import Paced
from benchmarks.nodes import Nodes

ROW_BYTES = 100_000
WRITES_A_SECOND = 200
BATCH_ROWS = 50
CALM_SECONDS = 5.0
JOIN_SECONDS_MAX = 300.0
SELECT = "SELECT name FROM foo WHERE id = ?"


def fill(url: str, size_mb: int) -> None:
    """A large table, and a small one that is written meanwhile."""
    fill_big(url, size_mb)
    with raftsql.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE foo (id INTEGER PRIMARY KEY, name TEXT)")


def fill_big(url: str, size_mb: int) -> None:
    """Insert rows that can't be compressed until the database has grown by so much."""
    blob = os.urandom(ROW_BYTES)
    with raftsql.connect(url, autocommit=True, timeout=120) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS big (id INTEGER PRIMARY KEY, data BLOB)")
        for _ in range(max(1, size_mb * 1_000_000 // (ROW_BYTES * BATCH_ROWS))):
            connection.executemany("INSERT INTO big (data) VALUES (?)", [(blob,)] * BATCH_ROWS)
    os.sync()  # What filling left for the disk to do is not what is measured.


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
        calm = paced.between(began - CALM_SECONDS + 1, began).quantile(0.99) * 1e3
        during = paced.between(began, ended)
        busy, middle = (during.quantile(share) * 1e3 for share in (0.99, 0.5))
        found = nodes.status(leader)
        print(f"join of a node to {options.size_mb} MB under {WRITES_A_SECOND} writes/s")
        print(
            f"  a voter after {ended - began:.1f} s; same leader and term: "
            f"{found.get('role') == 'leader' and found['term'] == term}"
        )
        print(
            f"  p99 of writes: calm {calm:.1f} ms, during the join {busy:.1f} ms, "
            f"{busy / calm:.1f} times; p50 {middle:.1f} ms"
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
    most = str(options.entries * 2)
    with Nodes(
        1, "--log-entries-max", most, "--log-tail-entries", most, "--log-bytes-max", str(16 << 30)
    ) as nodes:
        fill(nodes.url, options.size_mb)
        asyncio.run(insert_many(nodes.url, options.entries))
        found = nodes.status(1)
        times = []
        for how in (nodes.kill, nodes.kill, nodes.stop):
            how(1)
            began = time.perf_counter()
            nodes.start(1)
            read_once(nodes.url, SELECT)
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


def read_once(url: str, sql: str) -> None:
    """Ask until there is an answer; a refused connection fails at once, so it is tried again."""
    while True:
        try:
            with raftsql.connect(url, autocommit=True, timeout=60) as connection:
                connection.execute(sql, (1,)).fetchone()
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
