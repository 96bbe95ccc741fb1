"""Clients in processes of their own, each with one connection, as a web server's workers are.

    python -m benchmarks.worker '{"by": …, "addresses": […], "work": {…}, "seconds": 1}'

waits for a line, works, and prints what it measured as JSON. `together` starts many of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from benchmarks.histogram import Histogram
from benchmarks.ours import Blocking
from benchmarks.peers.etcd import Etcd
from benchmarks.peers.plain import Plain
from benchmarks.peers.postgres import PostgresClient
from benchmarks.peers.rqlite import Pyrqlite, Rqlite
from benchmarks.results import Measured
from benchmarks.work import Client, Work

CLIENTS: dict[str, type[Any]] = {
    one.by: one for one in (Blocking, Etcd, Plain, PostgresClient, Pyrqlite, Rqlite)
}
LATE_SECONDS_MAX = 60.0


def together(client: Client, work: Work, *, processes: int, seconds: float) -> Measured | None:
    """So many processes at once; None where the system has nothing of the kind."""
    told = json.dumps(
        {"by": client.by, "addresses": list(client.addresses), "work": work.packed(),
         "seconds": seconds}
    )  # fmt: skip
    command = [sys.executable, "-m", "benchmarks.worker", told]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    try:
        for one in workers:
            assert one.stdout is not None
            one.stdout.readline()
        for one in workers:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        outputs = [one.communicate(timeout=seconds + LATE_SECONDS_MAX)[0] for one in workers]
    finally:
        for one in workers:
            if one.poll() is None:
                one.kill()
    if any(one.returncode for one in workers):
        raise RuntimeError(f"a client of {client.by} failed; what it said stands above")
    found = [unpacked(json.loads(text)) for text in outputs]
    if any(one is None for one in found):
        return None
    total = Measured(0, 0.0, Histogram(), 0.0)
    for one in found:
        if one is not None:
            total.add(one)
    return total


def packed(measured: Measured | None) -> dict[str, Any] | None:
    """As JSON carries it."""
    if measured is None:
        return None
    return {
        "count": measured.count, "elapsed": measured.elapsed, "cpu": measured.client_cpu,
        "latencies": measured.latencies.packed(),
    }  # fmt: skip


def unpacked(found: dict[str, Any] | None) -> Measured | None:
    """The other way."""
    if found is None:
        return None
    latencies = Histogram.unpacked(found["latencies"])
    return Measured(found["count"], found["elapsed"], latencies, found["cpu"])


def main() -> None:
    """Be one client."""
    told = json.loads(sys.argv[1])
    client = CLIENTS[told["by"]](told["addresses"])
    print("ready", flush=True)
    sys.stdin.readline()
    measured = client.run(Work(**told["work"]), clients=1, seconds=told["seconds"])
    print(json.dumps(packed(measured)))


if __name__ == "__main__":
    main()
