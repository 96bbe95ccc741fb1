"""Ways to put load on a system: clients that wait for their answers, and writes that are due."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

import raftsql
from benchmarks.histogram import Histogram
from benchmarks.results import Measured
from benchmarks.usage import own_cpu_seconds

Ask = Callable[[Any], Awaitable[object]]
PACED_CONNECTIONS = 500
"""So many writes can be under way at once in an open loop; more fail, and are counted."""


async def asked_again(
    connect: Callable[[], Awaitable[Any]], ask: Ask, *, clients: int, seconds: float
) -> tuple[list[float], float, float]:
    """So many tasks with a connection each, asking again as soon as they have their answer: how
    long each answer took, how long all of it, and the processor time of this process."""
    connections = [await connect() for _ in range(clients)]
    await asyncio.gather(*(ask(connection) for connection in connections))
    latencies: list[float] = []
    began, cpu = time.perf_counter(), own_cpu_seconds()
    stop_at = began + seconds

    async def one(connection: Any) -> None:
        now = time.perf_counter()
        while now < stop_at:
            await ask(connection)
            then, now = now, time.perf_counter()
            latencies.append(now - then)

    await asyncio.gather(*(one(connection) for connection in connections))
    elapsed, cpu = time.perf_counter() - began, own_cpu_seconds() - cpu
    for connection in connections:
        await connection.close()
    return latencies, elapsed, cpu


async def closed(
    connect: Callable[[], Awaitable[Any]], ask: Ask, *, clients: int, seconds: float
) -> Measured:
    """A closed loop: nobody asks before the answer is there."""
    latencies, elapsed, cpu = await asked_again(connect, ask, clients=clients, seconds=seconds)
    return Measured(len(latencies), elapsed, Histogram(latencies), cpu)


def alone(ask: Callable[[], object], *, seconds: float) -> Measured:
    """One client in this thread, with a blocking call."""
    ask()
    latencies: list[float] = []
    cpu = own_cpu_seconds()
    began = now = time.perf_counter()
    stop_at = began + seconds
    while now < stop_at:
        ask()
        then, now = now, time.perf_counter()
        latencies.append(now - then)
    return Measured(len(latencies), now - began, Histogram(latencies), own_cpu_seconds() - cpu)


class Paced:
    """Writes at a steady rate, each begun when it is due and timed from then, whatever the others
    do: a write that takes long holds up no other (no coordinated omission)."""

    def __init__(self, url: str, a_second: float, *, connections: int = PACED_CONNECTIONS) -> None:
        self.latencies: list[tuple[float, float]] = []
        self.errors: list[str] = []
        self._connections = connections
        self._free: list[raftsql.AsyncConnection] = []
        self._waiting: set[float] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=uvloop.run, args=(self._run(url, a_second),))
        self._thread.start()

    async def _run(self, url: str, a_second: float) -> None:
        for _ in range(self._connections):
            self._free.append(
                await raftsql.AsyncConnection.connect(url, autocommit=True, timeout=30)
            )
        under_way: set[asyncio.Task[None]] = set()
        due = time.perf_counter()
        while not self._over.is_set():
            due += 1 / a_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if not self._free:
                self.errors.append(f"all {self._connections} connections wait for their answers")
                continue
            self._waiting.add(due)
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
            self._waiting.discard(due)

    def end(self) -> None:
        """Stop writing."""
        self._over.set()
        self._thread.join()

    def __enter__(self) -> Paced:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def answered_until(self, moment: float) -> bool:
        """Whether nothing that was due before is still under way."""
        return all(due > moment for due in list(self._waiting))

    def between(self, begin: float, end: float) -> Histogram:
        """The writes that were due between two moments."""
        found = list(self.latencies)
        return Histogram(took for at, took in found if begin <= at - took < end)
