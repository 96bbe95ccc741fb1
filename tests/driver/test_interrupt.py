"""Ctrl-C on a real node: what runs there stops at once, and the connection goes on."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import raftsql
from benchmarks.nodes import Nodes

pytestmark = pytest.mark.e2e

FOREVER = "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
WAIT_S = 15.0


@pytest.fixture(scope="module")
def node() -> Iterator[Nodes]:
    with Nodes(1) as nodes, raftsql.connect(nodes.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE t(a)")
        yield nodes
        connection.close()


@contextmanager
def interrupted(node: Nodes) -> Iterator[None]:
    """Ctrl-C, as soon as the node works hard."""

    def strike(*_: object) -> None:
        if node.cpu_seconds(1) > began + 0.2:
            raise KeyboardInterrupt

    began = node.cpu_seconds(1)
    before = signal.signal(signal.SIGALRM, strike)
    heard = False
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        yield
    except KeyboardInterrupt:
        heard = True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert heard, "the statement ended before the node worked hard"


def wait_until(happened: Callable[[], bool], what: str) -> None:
    give_up_at = time.monotonic() + WAIT_S
    while not happened():
        assert time.monotonic() < give_up_at, f"waited in vain for {what}"


def is_idle(node: Nodes) -> bool:
    """Whether the node used less than half of a processor for a moment."""
    began = node.cpu_seconds(1)
    time.sleep(0.2)
    return node.cpu_seconds(1) - began < 0.1


@pytest.mark.parametrize("level", ["linearizable", "stale"])
def test_a_read_stops_at_the_node(node: Nodes, level: str) -> None:
    with raftsql.connect(node.url, autocommit=True) as connection:
        with interrupted(node):
            connection.execute(FOREVER, consistency=level)
        assert connection.execute("SELECT 1").fetchone() == (1,)
        wait_until(lambda: is_idle(node), "the read to stop")
        connection.close()


@pytest.mark.parametrize("sql", [FOREVER, f"INSERT INTO t {FOREVER}"], ids=["read", "write"])
def test_a_transaction_frees_the_writer(node: Nodes, sql: str) -> None:
    with raftsql.connect(node.url) as connection:
        connection.execute("INSERT INTO t VALUES(0)")
        with interrupted(node):
            connection.execute(sql)
        assert connection.transaction_lost
        connection.rollback()
        connection.execute("INSERT INTO t VALUES(1)", timeout=WAIT_S)
        connection.rollback()
        wait_until(lambda: is_idle(node), "the statement to stop")
        connection.close()


def test_a_first_statement_leaves_no_transaction_behind(node: Nodes) -> None:
    with raftsql.connect(node.url) as connection, raftsql.connect(node.url) as other:
        with interrupted(node):
            connection.execute(f"INSERT INTO t {FOREVER}")
        other.execute("INSERT INTO t VALUES(2)", timeout=WAIT_S)
        other.rollback()
        connection.rollback()
        connection.close()
        other.close()
