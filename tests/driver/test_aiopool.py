"""Pools for tasks: `raftsql_driver.aiopool`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from raftsql_driver import errors
from raftsql_driver.aio import AsyncConnection
from raftsql_driver.aiopool import AsyncConnectionPool
from tests.driver.fake import FakeServer


async def test_tasks_borrow_too(server: FakeServer) -> None:
    async with AsyncConnectionPool(server.url, min_size=1, max_size=3) as pool:
        await pool.wait()
        async with pool.connection() as connection:
            await connection.execute("CREATE TABLE t(a)")

        async def work() -> None:
            async with pool.connection() as connection:
                await connection.execute("INSERT INTO t VALUES(1)")

        await asyncio.gather(*[work() for _ in range(30)])
        assert server.query("SELECT count(*) FROM t") == [(30,)]
        assert pool.get_stats()["pool_size"] == 3
        await pool.check()
        await pool.resize(1, 1)
        await pool.drain()
        assert pool.pop_stats()["requests_errors"] == 0
    assert pool.closed
    with pytest.raises(errors.PoolClosed):
        await pool.getconn()


async def test_tasks_wait_their_turn_and_give_up_in_time(server: FakeServer) -> None:
    pool = AsyncConnectionPool(server.url, min_size=0, max_size=1, max_waiting=1)
    await pool.open()
    one = await pool.getconn()
    with pytest.raises(errors.PoolTimeout):
        await pool.getconn(timeout=0.05)
    waiter = asyncio.create_task(pool.getconn())
    await asyncio.sleep(0)
    with pytest.raises(errors.TooManyRequests):
        await pool.getconn()
    given_up = waiter
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    waiter = asyncio.create_task(pool.getconn())
    await asyncio.sleep(0)
    await pool.putconn(one)
    assert await waiter is one
    await pool.putconn(one)
    await pool.close()


async def test_configured_checked_and_reset_by_tasks(server: FakeServer) -> None:
    calls: list[str] = []

    def noting(name: str) -> Any:
        async def note(connection: AsyncConnection) -> None:
            calls.append(name)
            if name == "check" and calls.count("check") == 2:
                raise errors.OperationalError("broken")

        return note

    pool = AsyncConnectionPool(
        server.url,
        min_size=1,
        max_idle=0.0,
        configure=noting("configure"),
        check=noting("check"),
        reset=noting("reset"),
    )
    async with pool:
        for _ in range(3):
            async with pool.connection():
                pass
    assert calls == ["configure", "reset", "check", "reset", "check", "configure", "reset"]


async def test_a_cancelled_callback_takes_no_place_of_the_pool_along(server: FakeServer) -> None:
    reached = asyncio.Event()

    async def forever(connection: AsyncConnection) -> None:
        reached.set()
        await asyncio.Event().wait()

    async with AsyncConnectionPool(server.url, min_size=1, max_size=1, check=forever) as pool:
        await pool.putconn(await pool.getconn())
        task = asyncio.create_task(pool.getconn())
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pool.get_stats()["pool_size"] == 0
        await pool.putconn(await pool.getconn(timeout=1))


async def test_what_a_cancelled_waiter_was_given_is_the_next_ones(server: FakeServer) -> None:
    async with AsyncConnectionPool(server.url, min_size=0, max_size=1) as pool:
        one = await pool.getconn()
        first, second = (asyncio.create_task(pool.getconn(timeout=20)) for _ in range(2))
        await asyncio.sleep(0)
        assert pool.get_stats()["requests_waiting"] == 2
        await pool.putconn(one)  # It is the first one's,
        first.cancel()  # who does not want it any more.
        assert await second is one
        assert first.cancelled()
        await pool.putconn(one)


async def test_a_pool_of_tasks_says_how_full_it_is(server: FakeServer) -> None:
    pool = AsyncConnectionPool(server.url, min_size=1, max_size=3, name="web")
    assert repr(pool) == "<raftsql.AsyncConnectionPool 'web' closed, 0 of 3 in use>"


async def test_a_look_at_the_pool_that_is_cancelled_loses_no_connection(
    server: FakeServer,
) -> None:
    async with AsyncConnectionPool(server.url, min_size=3, max_size=3) as pool:
        await pool.wait()
        server.faults.slow_s = 60.0
        looking = asyncio.ensure_future(pool.check())
        await asyncio.sleep(0)
        assert pool.get_stats()["pool_available"] == 0
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        server.faults.slow_s = 0.0
        assert pool.get_stats()["pool_available"] == 3
