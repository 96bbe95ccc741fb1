"""Run a transaction again until it goes through.

A SerializationFailure, and a transaction lost with its leader, mean that nothing happened, and that
the same work may be done again from its beginning. Only the program knows that beginning: here it
is a function.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from sqlalchemy.orm import sessionmaker

from raftsql_driver.again import RETRIES_MAX, pause
from raftsql_driver.errors import SerializationFailure

T = TypeVar("T")

_IN_TURN: Final[dict[str, Any]] = {"isolation_level": "IMMEDIATE"}


def run_transaction(
    begin: Engine | sessionmaker[Any],
    work: Callable[[Any], T],
    *,
    retries_max: int = RETRIES_MAX,
) -> T:
    """Call `work` with a connection, or a session, in a transaction of its own, and commit.

    `work` may run more than once, so it must do nothing that a rollback does not undo.
    """
    tries = 1
    while True:
        try:
            return _once(begin, work, in_turn=tries > 1)
        except DBAPIError as error:
            if tries > retries_max or not isinstance(error.orig, SerializationFailure):
                raise
        time.sleep(pause(tries))
        tries += 1


def _once(begin: Engine | sessionmaker[Any], work: Callable[[Any], T], *, in_turn: bool) -> T:
    if isinstance(begin, Engine):
        engine = begin.execution_options(**_IN_TURN) if in_turn else begin
        with engine.begin() as connection:
            return work(connection)
    with begin.begin() as session:
        if in_turn:
            session.connection(execution_options=_IN_TURN)
        return work(session)


async def run_async_transaction(
    begin: AsyncEngine | async_sessionmaker[Any],
    work: Callable[[Any], Awaitable[T]],
    *,
    retries_max: int = RETRIES_MAX,
) -> T:
    """The same for asyncio: `work` is called with an AsyncConnection or an AsyncSession."""
    tries = 1
    while True:
        try:
            return await _once_async(begin, work, in_turn=tries > 1)
        except DBAPIError as error:
            if tries > retries_max or not isinstance(error.orig, SerializationFailure):
                raise
        await asyncio.sleep(pause(tries))
        tries += 1


async def _once_async(
    begin: AsyncEngine | async_sessionmaker[Any],
    work: Callable[[Any], Awaitable[T]],
    *,
    in_turn: bool,
) -> T:
    if isinstance(begin, AsyncEngine):
        engine = begin.execution_options(**_IN_TURN) if in_turn else begin
        async with engine.begin() as connection:
            return await work(connection)
    async with begin.begin() as session:
        if in_turn:
            await session.connection(execution_options=_IN_TURN)
        return await work(session)
