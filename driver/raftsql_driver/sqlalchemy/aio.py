"""The dialect `raftsql+aio://`: the same for asyncio.

SQLAlchemy runs its own, blocking, code in a greenlet, and awaits what the adapters here hand it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from sqlalchemy import pool
from sqlalchemy.connectors.asyncio import (
    AsyncAdapt_dbapi_connection,
    AsyncAdapt_dbapi_cursor,
    AsyncAdapt_dbapi_module,
    AsyncAdapt_dbapi_ss_cursor,
    AsyncAdapt_terminate,
)
from sqlalchemy.engine.url import URL
from sqlalchemy.util import await_only

import raftsql_driver
from raftsql_driver.aio import AsyncConnection
from raftsql_driver.sqlalchemy.dialect import RaftsqlDialect, RaftsqlExecutionContext


class _Consistency:
    """Hands the level of a cursor's reads through to the driver's cursor."""

    __slots__ = ()
    _cursor: Any

    @property
    def consistency(self) -> str | None:
        """What the cursor's reads promise."""
        level: str | None = self._cursor.consistency
        return level

    @consistency.setter
    def consistency(self, level: str | None) -> None:
        self._cursor.consistency = level


class AdaptedCursor(_Consistency, AsyncAdapt_dbapi_cursor):
    """Fetches all rows when it executes, and then gives them without waiting."""

    __slots__ = ()


class AdaptedStreamingCursor(_Consistency, AsyncAdapt_dbapi_ss_cursor):
    """Fetches rows page by page, for `stream_results`."""

    __slots__ = ()


class AdaptedConnection(AsyncAdapt_terminate, AsyncAdapt_dbapi_connection):
    """An AsyncConnection that looks like a blocking one."""

    __slots__ = ("_closing", "_loop")
    _cursor_cls = AdaptedCursor
    _ss_cursor_cls = AdaptedStreamingCursor

    def __init__(self, dbapi: Any, connection: AsyncConnection) -> None:
        super().__init__(dbapi, connection)  # type: ignore[arg-type]
        self._loop = asyncio.get_running_loop()
        self._closing: asyncio.Future[None] | None = None

    @property
    def isolation_level(self) -> str | None:
        """As the driver has it: DEFERRED, IMMEDIATE, EXCLUSIVE, or None for autocommit."""
        level: str | None = self._connection.isolation_level
        return level

    @isolation_level.setter
    def isolation_level(self, level: str | None) -> None:
        await_only(self._connection.set_isolation_level(level))

    async def _terminate_graceful_close(self) -> None:
        await self._connection.close()

    def _terminate_force_close(self) -> None:
        """Close it without waiting, so that its transaction does not keep the writer."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._close_soon)

    def _close_soon(self) -> None:
        self._closing = self._loop.create_task(self._connection.close())


class AsyncDbapi(AsyncAdapt_dbapi_module):
    """The driver as a module whose `connect` makes adapted connections."""

    def __init__(self) -> None:
        self.driver = raftsql_driver
        self.dbapi_module = None

    def __getattr__(self, name: str) -> Any:
        return getattr(raftsql_driver, name)

    def connect(self, *args: Any, **options: Any) -> AdaptedConnection:
        """Connect, within SQLAlchemy's greenlet."""
        connect: Callable[..., Any] = options.pop("async_creator_fn", AsyncConnection.connect)
        return AdaptedConnection(self, await_only(connect(*args, **options)))


class AsyncExecutionContext(RaftsqlExecutionContext):
    """Makes cursors that stream where rows are asked for one page at a time."""

    def create_server_side_cursor(self) -> Any:
        cursor = self._dbapi_connection.cursor(server_side=True)
        return self._with_consistency(cursor)


class AsyncRaftsqlDialect(RaftsqlDialect):
    """SQLAlchemy's view of a cluster, for asyncio."""

    driver = "aio"
    is_async = True
    has_terminate = True
    supports_statement_cache = True
    supports_server_side_cursors = True
    execution_ctx_cls = AsyncExecutionContext

    @classmethod
    def import_dbapi(cls) -> Any:
        return AsyncDbapi()

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:
        return pool.AsyncAdaptedQueuePool

    def create_connect_args(self, url: URL) -> Any:
        return self._address(url)

    def get_driver_connection(self, connection: Any) -> Any:
        return connection._connection

    def do_terminate(self, dbapi_connection: Any) -> None:
        dbapi_connection.terminate()
