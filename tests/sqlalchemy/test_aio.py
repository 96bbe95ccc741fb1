"""The dialect `raftsql+aio://`."""

from __future__ import annotations

import asyncio
import gc

import pytest

pytest.importorskip("sqlalchemy")

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from raftsql_driver.aio import AsyncConnection
from raftsql_driver.sqlalchemy.aio import AsyncRaftsqlDialect

pytestmark = pytest.mark.e2e
CREATE = text("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
INSERT = text("INSERT INTO t(b) VALUES(:b)")
NUMBERS = text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) "
    "SELECT i, hex(zeroblob(20)) FROM n"
)


@pytest.fixture
async def table(aengine: AsyncEngine) -> AsyncEngine:
    async with aengine.begin() as connection:
        await connection.execute(CREATE)
    return aengine


async def count(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM t")))


def collect(forgotten: list[object]) -> None:
    forgotten.clear()
    gc.collect()


async def test_both_urls_find_the_dialect(engine: Engine, aengine: AsyncEngine) -> None:
    assert type(aengine.dialect) is AsyncRaftsqlDialect
    assert isinstance(aengine.pool, AsyncAdaptedQueuePool)
    other = create_async_engine(engine.url)
    assert type(other.dialect) is AsyncRaftsqlDialect
    await other.dispose()


async def test_what_is_committed_stays_and_what_is_rolled_back_goes(table: AsyncEngine) -> None:
    async with table.begin() as connection:
        await connection.execute(INSERT, [{"b": "x"}, {"b": "y"}])
    async with table.connect() as connection:
        await connection.execute(text("DELETE FROM t"))
    assert await count(table) == 2


async def test_tasks_have_connections_of_their_own(table: AsyncEngine) -> None:
    async def insert(number: int) -> None:
        async with table.begin() as connection:
            await connection.execute(INSERT, {"b": str(number)})

    await asyncio.gather(*(insert(number) for number in range(20)))
    assert await count(table) == 20


async def test_a_large_result_is_streamed_page_by_page(aengine: AsyncEngine) -> None:
    async with aengine.connect() as connection:
        result = await connection.stream(NUMBERS)
        first = await result.fetchone()
        assert first is not None
        assert first.i == 1
        rest = [row.i async for row in result]
    assert rest == list(range(2, 50001))


async def test_isolation_levels_and_consistency_reach_the_driver(table: AsyncEngine) -> None:
    async with table.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, AsyncConnection)
        await connection.execute(text("SELECT 1"), execution_options={"consistency": "stale"})
        assert not driver.in_transaction
        rows = await connection.stream(NUMBERS, execution_options={"consistency": "session"})
        await rows.close()
        assert not driver.in_transaction
        await connection.rollback()  # SQLAlchemy's own; the driver has begun nothing
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        assert await connection.get_isolation_level() == "AUTOCOMMIT"
        await connection.execute(INSERT, {"b": "kept"})
        await connection.rollback()
    assert await count(table) == 1


async def test_an_error_has_its_class(table: AsyncEngine) -> None:
    async with table.connect() as connection:
        with pytest.raises(IntegrityError):
            await connection.execute(text("INSERT INTO t VALUES(1, 'a'), (1, 'b')"))


async def test_a_closed_connection_is_replaced(aengine: AsyncEngine) -> None:
    async with aengine.connect() as connection:
        raw = await connection.get_raw_connection()
        await raw.driver_connection.close()
        with pytest.raises(DBAPIError) as caught:
            await connection.execute(text("SELECT 1"))
        assert caught.value.connection_invalidated
        await connection.rollback()
        assert await connection.scalar(text("SELECT 1")) == 1


async def test_a_forgotten_connection_gives_the_writer_back(table: AsyncEngine) -> None:
    """Nobody can await anything while it is collected, so it is closed by a task of its own."""
    connection = await table.connect()
    await connection.execute(INSERT, {"b": "gone"})
    forgotten = [connection]
    del connection
    with pytest.warns(Warning, match="garbage collector"):
        collect(forgotten)
    async with table.begin() as connection:
        await connection.execute(INSERT, {"b": "kept"})
    assert await count(table) == 1


async def test_a_session_maps_objects(table: AsyncEngine) -> None:
    async with async_sessionmaker(table).begin() as session:
        await session.execute(INSERT, {"b": "x"})
        assert (await session.execute(text("SELECT b FROM t"))).scalars().all() == ["x"]
