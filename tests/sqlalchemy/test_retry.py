"""run_transaction: work that the cluster rolled back is done again, from its beginning."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("sqlalchemy")

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from sqlalchemy.orm import sessionmaker

import raftsql
from raftsql_driver.sqlalchemy import run_async_transaction, run_transaction

pytestmark = pytest.mark.e2e
READ = text("SELECT n FROM counter")
WRITE = text("UPDATE counter SET n = :n")


@pytest.fixture
def counter(engine: Engine) -> Engine:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE counter(n INTEGER UNIQUE)"))
        connection.execute(text("INSERT INTO counter VALUES(0)"))
    return engine


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(READ) or 0)


class Overtaken:
    """Adds one, and is overtaken by another client between its read and its write."""

    def __init__(self, engine: Engine, times: int) -> None:
        self.engine = engine
        self.times = times
        self.levels: list[str | None] = []

    def overtake(self, driver_connection: Any) -> None:
        self.levels.append(driver_connection.isolation_level)
        if len(self.levels) <= self.times:
            with self.engine.begin() as other:
                other.execute(text("UPDATE counter SET n = n + 10"))

    def __call__(self, connection: Any) -> str:
        number = connection.scalar(READ)
        self.overtake(connection.connection.driver_connection)
        connection.execute(WRITE, {"n": number + 1})
        return "done"

    def in_session(self, session: Any) -> str:
        return self(session.connection())

    async def awaited(self, connection: Any) -> str:
        number = await connection.scalar(READ)
        self.overtake((await connection.get_raw_connection()).driver_connection)
        await connection.execute(WRITE, {"n": number + 1})
        return "done"

    async def awaited_in_session(self, session: Any) -> str:
        return await self.awaited(await session.connection())


def test_an_overtaken_transaction_runs_again_and_takes_its_turn_first(counter: Engine) -> None:
    work = Overtaken(counter, 1)
    assert run_transaction(counter, work) == "done"
    assert work.levels == ["DEFERRED", "IMMEDIATE"]
    assert count(counter) == 11


def test_a_session_runs_again_too(counter: Engine) -> None:
    work = Overtaken(counter, 1)
    assert run_transaction(sessionmaker(counter), work.in_session) == "done"
    assert work.levels == ["DEFERRED", "IMMEDIATE"]
    assert count(counter) == 11


async def test_so_it_is_with_asyncio(counter: Engine, aengine: AsyncEngine) -> None:
    connection, session = Overtaken(counter, 1), Overtaken(counter, 1)
    assert await run_async_transaction(aengine, connection.awaited) == "done"
    maker = async_sessionmaker(aengine)
    assert await run_async_transaction(maker, session.awaited_in_session) == "done"
    assert connection.levels == session.levels == ["DEFERRED", "IMMEDIATE"]
    assert count(counter) == 22


def test_the_number_of_retries_is_bounded(counter: Engine) -> None:
    work = Overtaken(counter, 1)
    with pytest.raises(DBAPIError) as caught:
        run_transaction(counter, work, retries_max=0)
    assert isinstance(caught.value.orig, raftsql.SerializationFailure)
    assert len(work.levels) == 1
    assert count(counter) == 10


def test_what_would_fail_again_is_not_tried_again(counter: Engine) -> None:
    calls = []

    def work(connection: Any) -> None:
        calls.append(1)
        connection.execute(text("INSERT INTO counter VALUES(0)"))

    with pytest.raises(IntegrityError):
        run_transaction(counter, work)
    assert len(calls) == 1


async def test_a_lost_answer_is_not_tried_again(aengine: AsyncEngine) -> None:
    calls = []

    async def work(connection: Any) -> None:
        calls.append(1)
        raise DBAPIError("COMMIT", None, raftsql.OutcomeUnknown("it may have happened"))

    with pytest.raises(DBAPIError, match="may have happened"):
        await run_async_transaction(aengine, work)
    assert len(calls) == 1
