"""What a connection tells of itself and of a statement, without running anything."""

from __future__ import annotations

import pytest

import raftsql
from raftsql_driver import errors
from raftsql_driver.aio import AsyncConnection
from raftsql_driver.sync import connect
from tests.driver.fake import FakeServer


def test_a_verdict_has_names_for_what_it_says(server: FakeServer) -> None:
    connection = connect(server.url)
    verdict = connection.examine("SELECT 1")
    assert verdict == raftsql.Verdict("pure", "read", "", -1, 0)
    assert server.frames[-1].sql == "SELECT 1"
    assert not connection.in_transaction
    connection.examine("SELECT 1", strict=True)
    assert server.frames[-1].strict
    connection.close()
    with pytest.raises(errors.ProgrammingError, match="closed"):
        connection.examine("SELECT 1")


async def test_tasks_may_ask_too(server: FakeServer) -> None:
    connection = await AsyncConnection.connect(server.url)
    assert (await connection.examine("SELECT 1")).verdict == "pure"
    await connection.close()


def test_a_connection_names_the_node_that_answered_last(three: FakeServer) -> None:
    connection = connect(three.url, autocommit=True, consistency="stale")
    first = three.nodes[0].address
    assert connection.node == first
    connection.execute("CREATE TABLE t(a)")
    three.faults.follow = False
    three.leader = 3
    connection.execute("INSERT INTO t VALUES(1)")
    assert (connection.node, connection.node_id) == (three.nodes[2].address, 3)
    connection.close()


def test_a_connection_says_that_its_transaction_is_lost(three: FakeServer) -> None:
    connection = connect(three.url)
    assert not connection.transaction_lost
    connection.execute("CREATE TABLE t(a)")
    assert not connection.transaction_lost
    three.break_streams()
    with pytest.raises(errors.TransactionLost):
        connection.execute("INSERT INTO t VALUES(1)")
    assert connection.transaction_lost
    connection.rollback()
    assert not connection.transaction_lost
    connection.close()
