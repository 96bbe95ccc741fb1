"""What single writes feel of other work, of a death and of a restart. Ours alone.

Writes come at a steady rate and are timed from when they were due, so one that waits is counted
with the time of all that would have waited behind it.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from statistics import median
from typing import Any

import raftsql
from benchmarks.failover import Load, deaths
from benchmarks.histogram import Histogram
from benchmarks.large import ROW_BYTES, fill_big, read_once
from benchmarks.loads import Paced
from benchmarks.ours import Cluster, Raftsql, asking
from benchmarks.results import OURS, Row
from benchmarks.usage import Meter
from benchmarks.work import SELECT, Work

WRITES_A_SECOND = 200
CONNECTIONS = 300
JOIN_SECONDS_MAX = 120.0
SETTLE_SECONDS = 1.0
OPEN_RATES = (100, 1_000, 4_000)
SIZE_TAG = "megabytes"
ANY = "SELECT length(data) FROM big WHERE id = ?"


def paced_row(label: str, latencies: Histogram, seconds: float, errors: int, nodes: int) -> Row:
    """A line of an open loop."""
    quantiles = [latencies.quantile(share) * 1e3 for share in (0.5, 0.95, 0.99, 0.999)]
    return Row(label, OURS, nodes, latencies.count / seconds, "/s", *quantiles, errors=errors)


def open_loop(cluster: Cluster, seconds: float) -> Iterator[Row]:
    """Writes that are due at a steady rate, with nothing else going on."""
    for rate in OPEN_RATES:
        with Paced(cluster.url, rate, connections=CONNECTIONS) as paced:
            row = _while(paced, f"due inserts, {rate}/s", cluster, lambda: time.sleep(seconds))
        yield row


def disturbed(cluster: Cluster, size_mb: int, seconds: float) -> Iterator[Row]:
    """The same while something large goes on."""
    fill_big(cluster.url, size_mb)
    time.sleep(SETTLE_SECONDS)
    jobs: list[tuple[str, Callable[[], object]]] = [
        ("nothing else", lambda: time.sleep(seconds)),
        ("a backup", lambda: _program(cluster, "backup", str(cluster.folder / "copy.db"))),
        ("a compaction", lambda: _program(cluster, "compact")),
        ("a long read", lambda: _read_long(cluster.url, seconds)),
        ("a join", lambda: _join(cluster)),
    ]
    with Paced(cluster.url, WRITES_A_SECOND, connections=CONNECTIONS) as paced:
        for name, job in jobs:
            yield _while(paced, f"due inserts and {name}, {size_mb} MB", cluster, job)


def _while(paced: Paced, label: str, cluster: Cluster, job: Callable[[], object]) -> Row:
    while not paced.latencies and not paced.errors:
        time.sleep(0.01)
    nodes, errors, began = len(cluster.addresses), len(paced.errors), time.perf_counter()
    job()
    ended = time.perf_counter()
    while not paced.answered_until(ended):
        time.sleep(0.01)
    latencies = paced.between(began, ended)
    return paced_row(label, latencies, ended - began, len(paced.errors) - errors, nodes)


def _program(cluster: Cluster, *arguments: str) -> None:
    command = [sys.executable, "-m", "raftsql.server", *arguments, "--url", cluster.url]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def _read_long(url: str, seconds: float) -> None:
    """Keep one statement open and read on for so long."""
    numbers = "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
    with raftsql.connect(url, autocommit=True, timeout=JOIN_SECONDS_MAX) as connection:
        stop_at = time.perf_counter() + seconds
        for _ in connection.execute(numbers, consistency="stale"):
            if time.perf_counter() > stop_at:
                break


def _join(cluster: Cluster) -> None:
    """A node more, until it votes."""
    leader, number = cluster.leader(), len(cluster.addresses) + 1
    cluster.start(number)
    give_up_at = time.monotonic() + JOIN_SECONDS_MAX
    while time.monotonic() < give_up_at:
        members = cluster.status(leader or cluster.leader()).get("members", [])
        if any(one["node_id"] == number and one["voter"] for one in members):
            return
        time.sleep(0.1)
    raise TimeoutError(f"node {number} did not become a voter; see {cluster.folder}")


def _any(rows: int) -> Callable[[Any], Awaitable[object]]:
    """Read any of so many rows by its key, but not its large value."""
    chance = random.Random(rows)

    async def ask(connection: Any) -> object:
        values = (chance.randint(1, rows),)
        return await (await connection.execute(ANY, values, consistency="lease")).fetchone()

    return ask


def failover(cluster: Cluster, times: int) -> Iterator[Row]:
    """The longest time without a write around the leader's death, and around its stop."""
    with raftsql.connect(cluster.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE beat (id INTEGER PRIMARY KEY, at)")
    load, nodes = Load(cluster.url), len(cluster.addresses)
    try:
        for label, end in (("kill -9", cluster.kill), ("TERM", cluster.stop)):
            gaps = list(deaths(cluster, load, end, times))
            yield Row(f"no write after {label}, median", OURS, nodes, median(gaps), " s")
            yield Row(f"no write after {label}, worst", OURS, nodes, max(gaps), " s")
    finally:
        load.end()


def restart(cluster: Cluster, size_mb: int) -> Iterator[Row]:
    """From the start of a single node's process to its first linearizable answer."""
    fill_big(cluster.url, size_mb)
    for label, end in (("kill -9", cluster.kill), ("TERM", cluster.stop)):
        end(1)
        began = time.perf_counter()
        cluster.start(1)
        read_once(cluster.url, SELECT)
        yield Row(f"restart after {label}", OURS, 1, time.perf_counter() - began, " s")


def sizes(cluster: Cluster, sizes_mb: list[int], seconds: float) -> Iterator[Row]:
    """The same inserts, and reads of rows by chance, while the database grows."""
    client, reached = Raftsql(cluster.addresses), 0
    for size in sorted(sizes_mb):
        fill_big(cluster.url, size - reached)
        reached = size
        rows = size * 1_000_000 // ROW_BYTES
        for kind, ask in (("insert by size", asking(Work("insert"))), ("read by size", _any(rows))):
            meter, pids = Meter(cluster.pids()), cluster.pids()
            measured = client.ask(ask, clients=64, seconds=seconds)
            row = Row.of(
                f"{kind}, {size} MB, 64 clients", OURS, len(cluster.addresses), measured,
                rows=1, servers=meter.cpu_seconds(pids),
            )  # fmt: skip
            row.memory_mb = meter.largest_mb(pids)
            row.tags = {SIZE_TAG: float(size)}
            yield row
