"""A pool of connections for tasks of one event loop: the same as for threads, awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

from raftsql_driver.aio import AsyncConnection
from raftsql_driver.errors import Error
from raftsql_driver.stock import Stock, Turn


class AsyncConnectionPool:
    """Connections for tasks to borrow."""

    def __init__(
        self,
        conninfo: str | None = None,
        *,
        kwargs: dict[str, Any] | None = None,
        min_size: int = 4,
        max_size: int | None = None,
        configure: Callable[[AsyncConnection], Awaitable[None]] | None = None,
        check: Callable[[AsyncConnection], Awaitable[None]] | None = None,
        reset: Callable[[AsyncConnection], Awaitable[None]] | None = None,
        name: str = "raftsql",
        timeout: float = 30.0,
        max_waiting: int = 0,
        max_lifetime: float = 3600.0,
        max_idle: float = 600.0,
    ) -> None:
        self.conninfo = conninfo
        self.kwargs = kwargs or {}
        self._configure, self._check, self._reset = configure, check, reset
        self._stock: Stock[AsyncConnection] = Stock(
            name,
            min_size=min_size,
            max_size=max_size,
            timeout=timeout,
            max_waiting=max_waiting,
            max_lifetime=max_lifetime,
            max_idle=max_idle,
        )

    def __repr__(self) -> str:
        return f"<raftsql.AsyncConnectionPool {self._stock}>"

    async def open(self, wait: bool = False, timeout: float = 30.0) -> None:  # noqa: ASYNC109
        """Begin to give out connections; `wait` until `min_size` of them are there."""
        self._stock.is_open = True
        if wait:
            await self.wait(timeout)

    async def wait(self, timeout: float = 30.0) -> None:  # noqa: ASYNC109
        """Make `min_size` connections now, so that a wrong address shows now."""
        end = time.monotonic() + timeout
        async with AsyncExitStack() as borrowed:  # Gives back the others too when one can't be.
            for _ in range(self._stock.min_size):
                connection = await self.getconn(max(0.0, end - time.monotonic()))
                borrowed.push_async_callback(self.putconn, connection)

    @asynccontextmanager
    async def connection(
        self,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> AsyncIterator[AsyncConnection]:
        """Borrow a connection: commits at the end of the block, rolls back on an exception."""
        connection = await self.getconn(timeout)
        try:
            async with connection:
                yield connection
        finally:
            await self.putconn(connection)

    async def getconn(self, timeout: float | None = None) -> AsyncConnection:  # noqa: ASYNC109
        """Borrow a connection; give it back with `putconn`."""
        end = time.monotonic() + (self._stock.timeout if timeout is None else timeout)
        while True:
            connection = (await self._turn(end)).connection
            if connection is None:
                return await self._make()
            if await self._whole(connection):
                return connection
            if self._stock.replaced(connection):
                return await self._make(connection)
            await connection.close()

    async def _turn(self, end: float) -> Turn[AsyncConnection]:
        """Wait until it is this caller's turn; until then at most."""
        bell = asyncio.Event()
        turn = self._stock.ask(bell)
        if turn.served:
            return turn
        try:
            async with asyncio.timeout(max(0.0, end - time.monotonic())):
                await bell.wait()
        except TimeoutError:
            pass
        except BaseException:  # Cancelled: what was given meanwhile is somebody else's.
            await _close(self._stock.gave_up(turn))
            raise
        self._stock.must_be_served(turn)
        return turn

    async def _make(self, instead_of: AsyncConnection | None = None) -> AsyncConnection:
        connection = None
        try:
            if instead_of is not None:
                await instead_of.close()
            connection = await AsyncConnection.connect(self.conninfo, **self.kwargs)
            if self._configure is not None:
                await self._configure(connection)
            return connection
        except BaseException:
            if connection is not None:
                await connection.close()
                connection = None
            raise
        finally:
            self._stock.made(connection)

    async def _whole(self, connection: AsyncConnection) -> bool:
        """Whether a connection may be given out."""
        if self._stock.worn(connection):
            return False
        if self._check is None:
            return True
        try:
            await self._check(connection)
        except Error:
            return False
        except BaseException:
            await self._discard(connection)
            raise
        return True

    async def _discard(self, connection: AsyncConnection) -> None:
        self._stock.discard(connection)
        await connection.close()

    async def putconn(self, connection: AsyncConnection) -> None:
        """Give a connection back; what is open on it is rolled back."""
        self._stock.must_be_lent(connection)
        try:
            if not connection.closed:
                await connection.rollback()
                if self._reset is not None:
                    await self._reset(connection)
        except Error:
            await connection.close()
        except BaseException:
            await self._discard(connection)
            raise
        await _close(self._stock.came_back(connection))

    async def check(self) -> None:
        """Look at every free connection, and throw away those that don't work."""
        rest = iter(self._stock.take_idle())
        try:
            for connection in rest:
                await self._look_at(connection)
        finally:
            for connection in rest:  # None, unless it is cancelled.
                await _close(self._stock.came_back(connection))

    async def _look_at(self, connection: AsyncConnection) -> None:
        try:
            await connection.execute("SELECT 1", consistency="stale")
        except Error:
            await connection.close()
        finally:
            await _close(self._stock.came_back(connection))

    async def drain(self) -> None:
        """Replace all connections: free ones now, the others when they come back."""
        await _close(self._stock.outdate())

    async def resize(self, min_size: int, max_size: int | None = None) -> None:
        """Change how many connections are kept, and how many there may be."""
        self._stock.resize(min_size, max_size)

    def get_stats(self) -> dict[str, int]:
        """What is there now, and what was counted since the start."""
        return self._stock.stats()

    def pop_stats(self) -> dict[str, int]:
        """The same, and count from 0 again."""
        return self._stock.pop_stats()

    @property
    def closed(self) -> bool:
        """Whether the pool gives out nothing."""
        return not self._stock.is_open

    async def close(self) -> None:
        """Close the free connections now, and the others when they come back."""
        await _close(self._stock.close())

    async def __aenter__(self) -> Self:
        if self.closed:
            await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def _close(connections: Iterable[AsyncConnection]) -> None:
    for connection in connections:
        await connection.close()
