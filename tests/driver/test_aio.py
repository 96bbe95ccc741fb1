"""Connections for asyncio, against the fake cluster: what test_sync.py shows for threads."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from raftsql_driver import errors, rows
from raftsql_driver.aio import AsyncConnection, AsyncCursor
from raftsql_proto import frames as f
from tests.driver.fake import FakeServer


@pytest.fixture
async def table(aconnection: AsyncConnection) -> AsyncConnection:
    await aconnection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
    await aconnection.commit()
    return aconnection


async def test_commit_and_rollback(server: FakeServer, table: AsyncConnection) -> None:
    await table.execute("INSERT INTO t(b) VALUES(?)", ("kept",))
    await table.commit()
    await table.execute("INSERT INTO t(b) VALUES(?)", ("lost",))
    assert table.in_transaction
    await table.rollback()
    assert server.query("SELECT b FROM t") == [("kept",)]


async def test_close_rolls_back(server: FakeServer, table: AsyncConnection) -> None:
    await table.execute("INSERT INTO t(b) VALUES('x')")
    await table.close()
    assert server.query("SELECT b FROM t") == []
    await table.close()
    with pytest.raises(errors.ProgrammingError, match="closed database"):
        await table.commit()


async def test_a_connection_block_commits_or_rolls_back(
    server: FakeServer, table: AsyncConnection
) -> None:
    async with table:
        await table.execute("INSERT INTO t(b) VALUES('kept')")
    with suppress(ZeroDivisionError):
        async with table:
            await table.execute("INSERT INTO t(b) VALUES('lost')")
            raise ZeroDivisionError
    assert server.query("SELECT b FROM t") == [("kept",)]


async def test_transaction_blocks_nest(server: FakeServer, table: AsyncConnection) -> None:
    await table.set_autocommit(True)
    async with table.transaction():
        await table.execute("INSERT INTO t(b) VALUES('outer')")
        with suppress(ZeroDivisionError):
            async with table.transaction():
                await table.execute("INSERT INTO t(b) VALUES('inner')")
                raise ZeroDivisionError
    assert server.query("SELECT b FROM t") == [("outer",)]


async def test_rows_come_in_all_ways(table: AsyncConnection) -> None:
    await table.executemany("INSERT INTO t(b) VALUES(?)", [(str(n),) for n in range(7)])
    cursor = await table.execute("SELECT a FROM t ORDER BY a")
    assert await cursor.fetchone() == (1,)
    assert await cursor.fetchmany(2) == [(2,), (3,)]
    assert await cursor.fetchmany(size=1) == [(4,)]
    assert [row async for row in cursor] == [(5,), (6,), (7,)]
    assert await cursor.fetchone() is None
    assert await cursor.fetchall() == []


async def test_a_large_result_comes_in_pages(server: FakeServer, table: AsyncConnection) -> None:
    cursor = await table.executemany("INSERT INTO t(b) VALUES(?)", [("x",)] * 4500)
    assert cursor.rowcount == 4500
    cursor = await table.execute("SELECT a FROM t ORDER BY a")
    assert [row[0] async for row in cursor] == list(range(1, 4501))
    assert server.seen["Fetch"] == 4
    cursor = await table.execute("SELECT a FROM t ORDER BY a")
    assert len(await cursor.fetchmany(3000)) == 3000
    assert len(await cursor.fetchall()) == 1500
    cursor = await table.execute("SELECT a FROM t ORDER BY a")
    async with cursor:
        await cursor.fetchone()
    with pytest.raises(errors.ProgrammingError, match="closed cursor"):
        await cursor.fetchone()


async def test_scripts_and_settings(server: FakeServer, aconnection: AsyncConnection) -> None:
    await aconnection.set_isolation_level(None)
    await aconnection.executescript("CREATE TABLE s(a); INSERT INTO s VALUES(1)")
    assert server.query("SELECT a FROM s") == [(1,)]
    await aconnection.set_isolation_level("IMMEDIATE")
    await aconnection.execute("SELECT 1")
    assert server.frames[-1].begin == f.Begin.IMMEDIATE


async def test_a_cursor_of_ones_own_with_rows_of_ones_own(server: FakeServer) -> None:
    class Mine(AsyncCursor):
        pass

    connection = await AsyncConnection.connect(
        server.url, cursor_factory=Mine, row_factory=rows.dict_row
    )
    cursor = connection.cursor(consistency="stale")
    assert type(cursor) is Mine
    assert cursor.connection is connection
    assert await (await cursor.execute("SELECT 1 AS one")).fetchall() == [{"one": 1}]
    await connection.close()


async def test_tasks_share_one_stream_and_their_requests_travel_together(
    server: FakeServer,
) -> None:
    setup = await AsyncConnection.connect(server.url, autocommit=True)
    await setup.execute("CREATE TABLE t(a)")

    async def work() -> None:
        connection = await AsyncConnection.connect(server.url, autocommit=True)
        for _ in range(10):
            await connection.execute("INSERT INTO t VALUES(1)")
        await connection.close()

    await asyncio.gather(*[work() for _ in range(20)])
    assert server.query("SELECT count(*) FROM t") == [(200,)]
    assert server.connections == 1
    await setup.close()


async def test_tasks_in_one_transaction_take_turns(
    server: FakeServer, table: AsyncConnection
) -> None:
    async def insert() -> None:
        await table.execute("INSERT INTO t(b) VALUES('x')")

    await asyncio.gather(*[insert() for _ in range(20)])
    await table.commit()
    assert server.query("SELECT count(*) FROM t") == [(20,)]


async def test_a_cancelled_task_cancels_its_request(server: FakeServer) -> None:
    connection = await AsyncConnection.connect(server.url, autocommit=True)
    server.faults.slow_s = 5.0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await connection.execute("SELECT 1")
    server.faults.slow_s = 0.0
    assert await (await connection.execute("SELECT 2")).fetchone() == (2,)
    assert server.seen["Cancel"] == 1
    await connection.close()


async def test_a_task_cancelled_in_a_transaction_loses_it(
    server: FakeServer, table: AsyncConnection
) -> None:
    await table.execute("INSERT INTO t(b) VALUES('x')")
    server.faults.slow_s = 5.0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await table.execute("SELECT 1")
    server.faults.slow_s = 0.0
    with pytest.raises(errors.TransactionLost, match="interrupted"):
        await table.execute("SELECT 1")
    await table.rollback()
    assert await (await table.execute("SELECT * FROM t")).fetchall() == []


async def test_a_task_cancelled_while_it_commits_is_out_of_its_transaction(
    server: FakeServer, table: AsyncConnection
) -> None:
    await table.execute("INSERT INTO t(b) VALUES('x')")
    server.faults.slow_s = 5.0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await table.commit()
    server.faults.slow_s = 0.0
    assert not table.in_transaction
    await table.execute("INSERT INTO t(b) VALUES('y')")
    await table.commit()
    assert server.query("SELECT b FROM t") == [("y",)]


async def test_a_cancelled_block_that_waited_for_the_writer_holds_nothing(
    server: FakeServer, table: AsyncConnection
) -> None:
    other = await AsyncConnection.connect(server.url, autocommit=True)
    await table.execute("INSERT INTO t(b) VALUES('x')")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), other.transaction("IMMEDIATE"):
            pass
    assert not other.in_transaction
    await table.commit()
    await table.execute("INSERT INTO t(b) VALUES('y')", timeout=5)
    await table.commit()
    await other.close()


async def test_a_forgotten_connection_of_tasks_rolls_back(server: FakeServer) -> None:
    connection = await AsyncConnection.connect(server.url)
    await connection.execute("CREATE TABLE t(a)")
    del connection
    other = await AsyncConnection.connect(server.url, autocommit=True)
    with pytest.raises(errors.OperationalError, match="no such table"):
        await other.execute("SELECT * FROM t", timeout=5)
    await other.close()


async def test_a_dropped_cursor_of_a_task_leaves_nothing_held(server: FakeServer) -> None:
    connection = await AsyncConnection.connect(server.url, autocommit=True)
    await connection.execute("CREATE TABLE t(a)")
    await connection.executemany("INSERT INTO t VALUES(?)", [(n,) for n in range(4500)])
    assert await (await connection.execute("SELECT a FROM t")).fetchone() == (0,)
    assert len(await (await connection.execute("SELECT a FROM t")).fetchmany(2500)) == 2500
    (stream,) = server.nodes[0].streams
    for _ in range(1000):  # A page that was on its way is let go of when it comes.
        await connection.execute("SELECT 1")
        if not stream.cursors:
            break
    assert stream.cursors == {}
    await connection.close()


async def test_a_timeout_bounds_a_call(server: FakeServer) -> None:
    connection = await AsyncConnection.connect(server.url, autocommit=True)
    server.faults.slow_s = 5.0
    with pytest.raises(errors.TimedOut):
        await connection.execute("SELECT 1", timeout=0.2)
    server.faults.slow_s = 0.0
    await connection.close()


def test_event_loops_one_after_the_other_have_streams_of_their_own(
    server: FakeServer, capfd: Any, caplog: Any
) -> None:
    async def work() -> Any:
        connection = await AsyncConnection.connect(server.url, autocommit=True)
        return await (await connection.execute("SELECT 1")).fetchone()

    for _ in range(3):
        assert asyncio.run(work()) == (1,)
    assert server.connections == 3
    assert caplog.text == ""
    assert "Error" not in capfd.readouterr().err
