"""What it costs a cluster that a page of the console is open on every node.

    python -m benchmarks.console [--turns 20] [--seconds 2] [--clients 64]

Turns with and without pages alternate in one run, under as many inserts as the machine takes, so
that what else goes on meets both alike. Their rates differ from turn to turn by more than a page
costs; so what a write costs in processor time is told too, which other programs disturb less, and
what pages make an idle cluster use: the share of it that pages can take from writes.
"""

from __future__ import annotations

import argparse
import socket
import threading
import time
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

from benchmarks.nodes import free_ports
from benchmarks.ours import Cluster
from benchmarks.work import Work

SETTLE_SECONDS = 1.5
IDLE_SECONDS = 15.0


class Consoles(Cluster):
    """Nodes that serve consoles."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.ports = free_ports(count)

    def start(self, number: int) -> None:
        """Each has a port of its own for pages."""
        self._flags = ("--http", f"127.0.0.1:{self.ports[number - 1]}", "--console")
        super().start(number)

    def used(self) -> float:
        """The processor seconds that all nodes have used, to the nanosecond."""
        return sum(_used(pid) for pid in self.pids())


def _used(pid: int) -> float:
    nanoseconds = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        nanoseconds += int((task / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


class Page:
    """A page that looks on: it reads what comes and does nothing with it."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)
        self._connection.request("GET", "/console/api/me")
        reply = self._connection.getresponse()
        cookie = str(reply.getheader("set-cookie")).partition(";")[0]
        reply.read()
        self._connection.request("GET", "/console/api/events", headers={"Cookie": cookie})
        self._reply = self._connection.getresponse()
        self.pictures = 0
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while line := self._reply.readline():
            self.pictures += line == b"event: cluster\n"

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._connection.sock is not None, "it is open"
        self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._connection.close()


class Pages:
    """One on every node, or none."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = ports
        self._stack = ExitStack()
        self._open: list[Page] = []

    def __enter__(self) -> Pages:
        self._open = [self._stack.enter_context(Page(port)) for port in self._ports]
        time.sleep(SETTLE_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        assert all(page.pictures for page in self._open), "pages that saw nothing cost nothing"


def turns(cluster: Consoles, *, number: int, seconds: float, clients: int) -> None:
    """Alternate, and print what came out."""
    client, work = cluster.clients[0], Work("insert")
    client.run(work, clients=clients, seconds=seconds)
    rates: dict[bool, list[float]] = {False: [], True: []}
    costs: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(2 * number):
        # Without, with, with, without: what drifts meets both alike.
        looked_at = turn % 4 in (1, 2)
        with Pages(cluster.ports if looked_at else []):
            before = cluster.used()
            measured = client.run(work, clients=clients, seconds=seconds)
            used = cluster.used() - before
        assert measured is not None
        rates[looked_at].append(measured.count / measured.elapsed)
        costs[looked_at].append(1e6 * used / measured.count)
    for name, found, unit in (("writes", rates, "/s"), ("a write costs the nodes", costs, " µs")):
        without, with_pages = median(found[False]), median(found[True])
        pairs = [b / a for a, b in zip(found[False], found[True], strict=True)]
        print(
            f"{name:26}{without:>10,.1f}{unit} without, {with_pages:>10,.1f}{unit} with pages; "
            f"ratio {median(pairs):.4f} (median of {len(pairs)} pairs, "
            f"{min(pairs):.3f} to {max(pairs):.3f})"
        )


def idle(cluster: Consoles) -> None:
    """What pages make nodes use that have nothing else to do."""
    found = {}
    for looked_at in (False, True):
        with Pages(cluster.ports if looked_at else []):
            before = cluster.used()
            time.sleep(IDLE_SECONDS)
            found[looked_at] = (cluster.used() - before) / IDLE_SECONDS
    cost = found[True] - found[False]
    print(
        f"idle nodes use {found[False] * 1e3:.1f} ms of processor each second without pages, "
        f"{found[True] * 1e3:.1f} ms with one on every node: {cost * 1e3:.1f} ms, "
        f"{cost / 2:.2%} of two processors"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--clients", type=int, default=64)
    options = parser.parse_args()
    with Consoles(3) as cluster:
        cluster.clients[0].fill()
        idle(cluster)
        turns(cluster, number=options.turns, seconds=options.seconds, clients=options.clients)


if __name__ == "__main__":
    main()
