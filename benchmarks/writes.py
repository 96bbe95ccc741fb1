"""Single-row inserts and point reads through the driver, by how many clients there are.

    python -m benchmarks.writes [--nodes 3] [--seconds 4] [--clients 1 8 64 256] [--processes 4 16]

Clients in one process share a stream; processes have one each. Every insert is autocommitted and
waits for its answer. Latencies are of single requests, in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import raftsql
from benchmarks.nodes import Nodes

INSERT = "INSERT INTO foo (name) VALUES (?)"
SELECT = "SELECT name FROM foo WHERE id = ?"


@dataclass(slots=True)
class Measured:
    """What a load came to."""

    rate: float
    p50: float
    p95: float
    p99: float
    client_us: float

    def row(self, label: str) -> str:
        """One line of the table."""
        return (
            f"{label:36}{self.rate:>10,.0f}/s {self.p50:>8.2f} {self.p95:>8.2f} {self.p99:>8.2f}"
            f" {self.client_us:>8.0f}"
        )


def summed_up(latencies: list[float], elapsed: float, cpu: float) -> Measured:
    """Rate and quantiles."""
    latencies.sort()
    count = len(latencies)

    def at(share: float) -> float:
        return latencies[min(count - 1, int(count * share))] * 1e3

    return Measured(count / elapsed, at(0.5), at(0.95), at(0.99), cpu / count * 1e6)


def cpu_seconds() -> float:
    """What this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def load(
    url: str,
    clients: int,
    seconds: float,
    ask: Callable[[raftsql.AsyncConnection], Awaitable[object]],
) -> Measured:
    """So many clients in this process, each asking again as soon as it has its answer."""
    connections = [
        await raftsql.AsyncConnection.connect(url, autocommit=True, timeout=30)
        for _ in range(clients)
    ]
    for connection in connections:
        await ask(connection)
    latencies: list[float] = []
    stop_at = time.perf_counter() + seconds

    async def one(connection: raftsql.AsyncConnection) -> None:
        now = time.perf_counter()
        while now < stop_at:
            await ask(connection)
            then, now = now, time.perf_counter()
            latencies.append(now - then)

    began, cpu = time.perf_counter(), cpu_seconds()
    await asyncio.gather(*(one(connection) for connection in connections))
    elapsed, cpu = time.perf_counter() - began, cpu_seconds() - cpu
    for connection in connections:
        await connection.close()
    return summed_up(latencies, elapsed, cpu)


def insert(connection: raftsql.AsyncConnection) -> Awaitable[object]:
    """One row."""
    return connection.execute(INSERT, ("fiona",))


def select(level: str) -> Callable[[raftsql.AsyncConnection], Awaitable[object]]:
    """One row by its key."""

    async def ask(connection: raftsql.AsyncConnection) -> object:
        cursor = await connection.execute(SELECT, (7,), consistency=level)
        return await cursor.fetchone()

    return ask


def worker(url: str, seconds: float) -> None:
    """One process with one synchronous client; prints its count."""
    with raftsql.connect(url, autocommit=True, timeout=30) as connection:
        connection.execute(INSERT, ("fiona",))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        stop_at = time.perf_counter() + seconds
        count = 0
        while time.perf_counter() < stop_at:
            connection.execute(INSERT, ("fiona",))
            count += 1
    print(count, flush=True)


def processes(url: str, count: int, seconds: float) -> float:
    """Inserts a second of so many processes."""
    command = [sys.executable, "-m", "benchmarks.writes", "--worker", url, str(seconds)]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    try:
        for one in workers:
            assert one.stdout is not None
            one.stdout.readline()
        for one in workers:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        outputs = [one.communicate(timeout=seconds + 60)[0] for one in workers]
    finally:
        for one in workers:
            if one.poll() is None:
                one.kill()
    return sum(int(text.split()[-1]) for text in outputs) / seconds


async def tables(url: str, options: argparse.Namespace) -> None:
    """All loads in one process."""
    print(f"{'':36}{'rate':>12} {'p50':>8} {'p95':>8} {'p99':>8} {'client µs':>8}")
    for clients in options.clients:
        measured = await load(url, clients, options.seconds, insert)
        print(measured.row(f"insert, {clients} clients"), flush=True)
    for level in ("linearizable", "lease", "session", "stale"):
        for clients in (1, 64):
            measured = await load(url, clients, options.seconds, select(level))
            print(measured.row(f"{level} read, {clients} clients"), flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8, 64, 256])
    parser.add_argument("--processes", type=int, nargs="*", default=[4, 16])
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker[0], float(options.worker[1]))
        return
    with Nodes(options.nodes) as nodes:
        with raftsql.connect(nodes.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE foo (id INTEGER PRIMARY KEY, name TEXT)")
        print(f"{options.nodes} nodes; {options.seconds} s a row")
        asyncio.run(tables(nodes.url, options))
        for count in options.processes:
            rate = processes(nodes.url, count, options.seconds)
            print(f"{f'insert, {count} processes':36}{rate:>10,.0f}/s", flush=True)
        for number in nodes.processes:
            memory, cpu = nodes.resident_mb(number), nodes.cpu_seconds(number)
            print(f"node {number}: {memory:.0f} MB resident, {cpu:.1f} s of processor time")


if __name__ == "__main__":
    main()
