"""A guard of speed: ratios inside one run, which are much the same on slow machines and fast ones.

Each bound is far below what was measured when it was written (which stands beside it), and above
what is left when what it guards is lost. Of both figures the best of three turns counts, since what
else goes on on the machine can only spoil one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from benchmarks.ours import Cluster
from benchmarks.peers.plain import PlainFile
from benchmarks.results import Measured
from benchmarks.work import Client, Work
from raftsql_driver.stream import Stream

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(300)]

SECONDS = 0.4
TURNS = 3
MANY = 64
BATCH_ROWS = 100

Rate = Callable[[], float]


@pytest.fixture(scope="module")
def ours() -> Iterator[Client]:
    """Three nodes, and our driver."""
    with Cluster(3) as cluster:
        cluster.clients[0].fill()
        yield cluster.clients[0]


@pytest.fixture(scope="module")
def plain() -> Iterator[Client]:
    """One file of SQLite's that is as durable, and no network."""
    with PlainFile() as servers:
        servers.clients[0].fill()
        yield servers.clients[0]


def rate(client: Client, work: Work, clients: int) -> Rate:
    """Rows a second."""

    def measure() -> float:
        measured = client.run(work, clients=clients, seconds=SECONDS)
        assert isinstance(measured, Measured)
        return measured.count * work.rows / measured.elapsed

    return measure


def best_ratio(fast: Rate, slow: Rate) -> float:
    """In turn, so that both have the same machine."""
    turns = [(fast(), slow()) for _ in range(TURNS)]
    return max(one for one, _ in turns) / max(other for _, other in turns)


@contextmanager
def one_request_a_message() -> Iterator[None]:
    """The driver as it would be if it did not coalesce."""

    def one(self: Stream) -> list[Any]:
        frame, *self._waiting = self._waiting
        return [frame]

    coalesced = Stream._batch
    Stream._batch = one  # type: ignore[method-assign]
    try:
        yield
    finally:
        Stream._batch = coalesced  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("work", "bound"),
    [
        (Work("insert"), 6.0),  # 27
        (Work("read"), 5.0),  # 18
        (Work("read", level="lease"), 2.5),  # 9
        (Work("mixed"), 4.0),  # 10
    ],
    ids=("inserts", "linearizable", "lease", "mixed"),
)
def test_many_clients_do_many_times_what_one_does(ours: Client, work: Work, bound: float) -> None:
    assert best_ratio(rate(ours, work, MANY), rate(ours, work, 1)) > bound


def test_requests_that_wait_together_travel_together(ours: Client) -> None:
    together = rate(ours, Work("read", level="lease"), MANY)

    def apart() -> float:
        with one_request_a_message():
            return rate(ours, Work("read", level="lease"), MANY)()

    assert best_ratio(together, apart) > 2.5  # 9


def test_a_batch_is_one_command(ours: Client) -> None:
    batch = rate(ours, Work("batch", BATCH_ROWS), 1)
    assert best_ratio(batch, rate(ours, Work("insert"), 1)) > 12.0  # 62


def test_batched_inserts_of_three_nodes_keep_up_with_one_file(ours: Client, plain: Client) -> None:
    inserts = rate(plain, Work("insert"), 1)
    assert best_ratio(rate(ours, Work("insert"), MANY), inserts) > 0.15  # 0.9


def test_a_large_batch_costs_not_many_times_what_sqlite_takes(ours: Client, plain: Client) -> None:
    many = Work("batch", 10_000, inside=True)
    assert best_ratio(rate(ours, many, 1), rate(plain, many, 1)) > 0.08  # 0.5
