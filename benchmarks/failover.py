"""How long nothing can be written when the leader dies, and when it is asked to stop.

    python -m benchmarks.failover [--times 20] [--graceful]

Writers insert without pause through the driver. The leader is killed (kill -9), the longest time
between two successful writes around that moment is noted, the node is started again, and so on.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise

import raftsql
from benchmarks.nodes import Nodes

WRITERS = 4


class Load:
    """Writers that never stop, and when each write succeeded."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.times: list[float] = []
        self.errors: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._write) for _ in range(WRITERS)]
        for thread in self._threads:
            thread.start()

    def _write(self) -> None:
        with raftsql.connect(self.url, autocommit=True, timeout=20) as connection:
            while not self._over.is_set():
                try:
                    connection.execute("INSERT INTO beat (at) VALUES (1)")
                    self.times.append(time.monotonic())
                except raftsql.Error as error:
                    self.errors.append(repr(error))

    def end(self) -> None:
        """Stop writing."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def gap_around(self, moment: float) -> float:
        """The longest time without a successful write that ended after the moment."""
        times = sorted(at for at in self.times if at > moment - 2)
        return max((b - a for a, b in pairwise(times) if b > moment), default=float("inf"))


def deaths(nodes: Nodes, load: Load, end: Callable[[int], object], times: int) -> Iterator[float]:
    """End the leader and start it again, over and over; the seconds without a write each time."""
    for _ in range(times):
        time.sleep(1.0)  # Load from a calm cluster between two deaths.
        leader = nodes.leader()
        moment = time.monotonic()
        end(leader)
        with suppress(TimeoutError):
            nodes.wait_for_leader(voters=3, seconds=10)
        time.sleep(0.5)
        yield load.gap_around(moment)
        nodes.start(leader)
        _wait_level(nodes, leader)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--graceful", action="store_true", help="TERM instead of kill -9")
    options = parser.parse_args()
    with Nodes(3) as nodes:
        with raftsql.connect(nodes.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE beat (id INTEGER PRIMARY KEY, at)")
        load = Load(nodes.url)
        end = nodes.stop if options.graceful else nodes.kill
        gaps = list(deaths(nodes, load, end, options.times))
        load.end()
        with raftsql.connect(nodes.url, autocommit=True) as connection:
            rows = connection.execute("SELECT count(*) FROM beat").fetchone()
    how = "TERM" if options.graceful else "kill -9"
    print(f"{how} of the leader, {len(gaps)} times, {WRITERS} writers: seconds without a write")
    print(
        f"  median {statistics.median(gaps):.3f}  worst {max(gaps):.3f}  best {min(gaps):.3f}"
        f"  acknowledged {len(load.times)}  rows {rows[0] if rows else 0}"
        f"  failed requests {len(load.errors)}"
    )
    for text in sorted(set(load.errors))[:5]:
        print(f"  {text}")


def _wait_level(nodes: Nodes, number: int) -> None:
    give_up_at = time.monotonic() + 20
    while time.monotonic() < give_up_at:
        leader = nodes.leader()
        if leader:
            found = nodes.status(leader)
            match = {m["node_id"]: m["match"] for m in found.get("members", [])}
            if (match.get(number) or 0) > found["last_index"] - 1000:
                return
        time.sleep(0.05)


if __name__ == "__main__":
    main()
