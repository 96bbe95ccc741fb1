"""Transactions that are run again when nothing of them happened."""

from __future__ import annotations

import pytest

from raftsql_driver import errors
from raftsql_driver.again import RETRIES_MAX, pause
from raftsql_driver.aio import AsyncConnection
from raftsql_driver.sync import Connection
from tests.driver.fake import FakeServer

INSERT = "INSERT INTO t(b) VALUES('x')"


def test_what_work_returns_is_returned_and_committed(table: Connection, server: FakeServer) -> None:
    assert table.run_transaction(lambda c: c.execute(INSERT).lastrowid) == 1
    assert not table.in_transaction
    assert server.query("SELECT a FROM t") == [(1,)]


def test_a_lost_transaction_is_run_again_in_turn(table: Connection, server: FakeServer) -> None:
    modes = []

    def work(connection: Connection) -> str:
        assert connection._transaction is not None
        modes.append(connection._transaction.begin.name)
        connection.execute(INSERT)
        if len(modes) < 3:
            server.break_streams()
        connection.execute(INSERT)
        return "done"

    assert table.run_transaction(work) == "done"
    assert modes == ["DEFERRED", "IMMEDIATE", "IMMEDIATE"]
    assert server.query("SELECT count(*) FROM t") == [(2,)]


def test_a_commit_that_did_not_arrive_is_run_again(table: Connection, server: FakeServer) -> None:
    def work(connection: Connection) -> None:
        connection.execute(INSERT)
        if not runs:
            server.faults.break_before = 1
        runs.append(1)

    runs: list[int] = []
    table.run_transaction(work)
    assert len(runs) == 2
    assert server.query("SELECT count(*) FROM t") == [(1,)]


def test_any_other_error_rolls_back_and_is_raised_at_once(
    table: Connection, server: FakeServer
) -> None:
    def work(connection: Connection) -> None:
        runs.append(1)
        connection.execute(INSERT)
        connection.execute("INSERT INTO t(a) VALUES(1)")

    runs: list[int] = []
    with pytest.raises(errors.IntegrityError):
        table.run_transaction(work)
    assert (len(runs), table.in_transaction) == (1, False)
    assert server.query("SELECT count(*) FROM t") == [(0,)]


def test_it_ends_after_so_many_tries(table: Connection) -> None:
    def work(_: Connection) -> None:
        runs.append(1)
        raise errors.SerializationFailure("in the way")

    runs: list[int] = []
    with pytest.raises(errors.SerializationFailure, match="in the way"):
        table.run_transaction(work, retries_max=2)
    assert len(runs) == 3


def test_it_has_a_transaction_of_its_own(table: Connection) -> None:
    table.execute("BEGIN")
    with pytest.raises(errors.ProgrammingError, match="commit or roll back first"):
        table.run_transaction(lambda c: c.execute(INSERT))
    table.rollback()


async def test_tasks_run_theirs_again_too(aconnection: AsyncConnection, server: FakeServer) -> None:
    await aconnection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    await aconnection.commit()

    async def work(connection: AsyncConnection) -> int:
        runs.append(1)
        cursor = await connection.execute(INSERT)
        if len(runs) < 2:
            server.break_streams()
            await connection.execute(INSERT)
        return cursor.lastrowid or 0

    runs: list[int] = []
    assert await aconnection.run_transaction(work) == 1
    assert len(runs) == 2
    with pytest.raises(errors.SerializationFailure):
        await aconnection.run_transaction(_in_the_way, retries_max=1)
    await aconnection.execute("BEGIN")
    with pytest.raises(errors.ProgrammingError, match="inside"):
        await aconnection.run_transaction(work)


async def _in_the_way(_: AsyncConnection) -> None:
    raise errors.SerializationFailure("in the way")


def test_pauses_grow_and_are_bounded() -> None:
    assert pause(1) <= 0.02
    assert 0.5 <= pause(RETRIES_MAX) <= 1.0
