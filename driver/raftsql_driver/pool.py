"""Pools of connections, with psycopg_pool's names.

A connection here is light and shares its stream, so a pool is not needed for speed. It bounds how
many transactions a program has open at once, and hands out connections that are idle and whole.
No threads work in the background: a connection is made when it is asked for.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Generic, Self, TypeVar

from raftsql_driver.aio import AsyncConnection
from raftsql_driver.errors import Error, PoolClosed, PoolTimeout, ProgrammingError, TooManyRequests
from raftsql_driver.sync import Connection

C = TypeVar("C", bound="Connection | AsyncConnection")
W = TypeVar("W")


class Stock(Generic[C, W]):
    """What a pool owns, who waits, and what it has counted; the same in both colours.

    Not locked: a pool calls it under its lock, or in its event loop. `W` is what wakes a waiter.
    """

    def __init__(
        self,
        name: str,
        *,
        min_size: int,
        max_size: int | None,
        timeout: float,
        max_waiting: int,
        max_lifetime: float,
        max_idle: float,
    ) -> None:
        self.name = name
        self.timeout = timeout
        """How many seconds to wait for a connection."""
        self.max_waiting = max_waiting
        """How many may wait at once; 0: no bound."""
        self.max_lifetime = max_lifetime
        """A connection older than this is replaced."""
        self.max_idle = max_idle
        """A connection above `min_size` that was idle for so long is closed."""
        self.is_open = False
        self.idle: deque[tuple[C, float]] = deque()
        """Free connections and since when; the one used last is at the right."""
        self.born: dict[int, float] = {}
        """When each connection of the pool was made, by its id."""
        self.waiting: deque[W] = deque()
        self.making = 0
        """Places taken by connections that are being made."""
        self.counts = dict.fromkeys(_COUNTERS, 0)
        self.resize(min_size, max_size)

    def resize(self, min_size: int, max_size: int | None) -> None:
        """Change how many connections are kept, and how many there may be."""
        largest = min_size if max_size is None else max_size
        if min_size < 0 or largest < max(1, min_size):
            raise ProgrammingError(f"a pool of {min_size} to {largest} connections can't be")
        self.min_size, self.max_size = min_size, largest

    @property
    def size(self) -> int:
        """How many connections there are, given out or not."""
        return len(self.born) + self.making

    def check_open(self) -> None:
        """Raise if the pool gives out nothing."""
        if not self.is_open:
            raise PoolClosed(f"the pool {self.name!r} is not open; call open(), or use `with`")

    def take(self) -> C | None:
        """A free connection, or None with a place taken for a new one, or TooManyRequests.

        Raises LookupError when the caller has to wait.
        """
        self.check_open()
        self.counts["requests_num"] += 1
        if self.idle:
            return self.idle.pop()[0]
        if self.size < self.max_size:
            self.making += 1
            return None
        self.counts["requests_queued"] += 1
        if self.max_waiting and len(self.waiting) >= self.max_waiting:
            self.counts["requests_errors"] += 1
            raise TooManyRequests(
                f"{len(self.waiting)} callers wait for a connection of the pool {self.name!r} "
                "already; raise max_size or max_waiting"
            )
        raise LookupError

    def made(self, connection: C | None) -> None:
        """A new connection has come into its place; None: it could not be made."""
        self.making -= 1
        if connection is not None:
            self.born[id(connection)] = time.monotonic()
            self.counts["connections_num"] += 1

    def worn(self, connection: C) -> bool:
        """Whether this connection has to be replaced."""
        born = self.born.get(id(connection))
        too_many = len(self.born) > self.max_size
        old = born is None or time.monotonic() - born > self.max_lifetime
        return connection.closed or not self.is_open or too_many or old

    def idle_too_long(self) -> list[C]:
        """Take out the connections that nobody has needed for long."""
        surplus, now = [], time.monotonic()
        while len(self.born) > self.min_size and self.idle:
            if now - self.idle[0][1] <= self.max_idle:
                break
            connection, _ = self.idle.popleft()
            del self.born[id(connection)]
            surplus.append(connection)
        return surplus

    def too_late(self) -> PoolTimeout:
        """The error for a caller who has waited in vain."""
        self.counts["requests_errors"] += 1
        return PoolTimeout(
            f"no connection of the pool {self.name!r} was free within {self.timeout:g} s; "
            f"all {self.max_size} are in use"
        )

    def stats(self) -> dict[str, int]:
        """What is there now, and what was counted."""
        return {
            "pool_min": self.min_size,
            "pool_max": self.max_size,
            "pool_size": self.size,
            "pool_available": len(self.idle),
            "requests_waiting": len(self.waiting),
        } | self.counts


_COUNTERS = ("requests_num", "requests_queued", "requests_errors", "connections_num")


class ConnectionPool:
    """Connections for threads to borrow."""

    def __init__(
        self,
        conninfo: str | None = None,
        *,
        kwargs: dict[str, Any] | None = None,
        min_size: int = 4,
        max_size: int | None = None,
        open: bool = True,
        configure: Callable[[Connection], None] | None = None,
        check: Callable[[Connection], None] | None = None,
        reset: Callable[[Connection], None] | None = None,
        name: str = "raftsql",
        timeout: float = 30.0,
        max_waiting: int = 0,
        max_lifetime: float = 3600.0,
        max_idle: float = 600.0,
    ) -> None:
        self.conninfo = conninfo
        self.kwargs = {"check_same_thread": False} | (kwargs or {})
        self._configure, self._check, self._reset = configure, check, reset
        self._lock = threading.Lock()
        self._stock: Stock[Connection, threading.Event] = Stock(
            name,
            min_size=min_size,
            max_size=max_size,
            timeout=timeout,
            max_waiting=max_waiting,
            max_lifetime=max_lifetime,
            max_idle=max_idle,
        )
        if open:
            self.open()

    def open(self, wait: bool = False, timeout: float = 30.0) -> None:
        """Begin to give out connections; `wait` until `min_size` of them are there."""
        self._stock.is_open = True
        if wait:
            self.wait(timeout)

    def wait(self, timeout: float = 30.0) -> None:
        """Make `min_size` connections now, so that a wrong address shows now."""
        end = time.monotonic() + timeout
        borrowed: list[Connection] = []
        try:
            while len(borrowed) < self._stock.min_size:
                borrowed.append(self.getconn(max(0.0, end - time.monotonic())))
        finally:
            for connection in borrowed:
                self.putconn(connection)

    @contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[Connection]:
        """Borrow a connection: commits at the end of the block, rolls back on an exception."""
        connection = self.getconn(timeout)
        try:
            with connection:
                yield connection
        finally:
            self.putconn(connection)

    def getconn(self, timeout: float | None = None) -> Connection:
        """Borrow a connection; give it back with `putconn`."""
        stock = self._stock
        end = time.monotonic() + (stock.timeout if timeout is None else timeout)
        while True:
            turn: threading.Event | None = None
            with self._lock:
                try:
                    connection = stock.take()
                except LookupError:
                    turn = threading.Event()
                    stock.waiting.append(turn)
            if turn is not None:
                self._await(turn, end)
                continue
            if connection is None:
                return self._make()
            if self._whole(connection):
                return connection

    def _await(self, event: threading.Event, end: float) -> None:
        if event.wait(max(0.0, end - time.monotonic())):
            return
        with self._lock:
            if event in self._stock.waiting:
                self._stock.waiting.remove(event)
                raise self._stock.too_late()

    def _make(self) -> Connection:
        connection = None
        try:
            connection = Connection(self.conninfo, **self.kwargs)
            if self._configure is not None:
                self._configure(connection)
            return connection
        except BaseException:
            if connection is not None:
                connection.close()
                connection = None
            raise
        finally:
            with self._lock:
                self._stock.made(connection)
                if connection is None:
                    self._wake_one()

    def _whole(self, connection: Connection) -> bool:
        """Whether a free connection may be given out; it is thrown away when not."""
        try:
            if not self._stock.worn(connection):
                if self._check is not None:
                    self._check(connection)
                return True
        except Error:
            pass
        self._discard(connection)
        return False

    def _discard(self, connection: Connection) -> None:
        with self._lock:
            self._stock.born.pop(id(connection), None)
            self._wake_one()
        connection.close()

    def _wake_one(self) -> None:
        if self._stock.waiting:
            self._stock.waiting.popleft().set()

    def putconn(self, connection: Connection) -> None:
        """Give a connection back; what is open on it is rolled back."""
        if id(connection) not in self._stock.born:
            raise ProgrammingError("this connection is not of this pool")
        try:
            if not connection.closed:
                connection.rollback()
                if self._reset is not None:
                    self._reset(connection)
        except Error:
            connection.close()
        if self._stock.worn(connection):
            self._discard(connection)
            return
        with self._lock:
            self._stock.idle.append((connection, time.monotonic()))
            surplus = self._stock.idle_too_long()
            self._wake_one()
        for each in surplus:
            each.close()

    def check(self) -> None:
        """Look at every free connection, and throw away those that don't work."""
        with self._lock:
            idle = [connection for connection, _ in self._stock.idle]
            self._stock.idle.clear()
        for connection in idle:
            try:
                connection.execute("SELECT 1", consistency="stale")
                self.putconn(connection)
            except Error:
                self._discard(connection)

    def drain(self) -> None:
        """Replace all connections: free ones now, the others when they come back."""
        with self._lock:
            idle = [connection for connection, _ in self._stock.idle]
            self._stock.idle.clear()
            self._stock.born = dict.fromkeys(self._stock.born, float("-inf"))
        for connection in idle:
            self._discard(connection)

    def resize(self, min_size: int, max_size: int | None = None) -> None:
        """Change how many connections are kept, and how many there may be."""
        with self._lock:
            self._stock.resize(min_size, max_size)

    def get_stats(self) -> dict[str, int]:
        """What is there now, and what was counted since the start."""
        return self._stock.stats()

    def pop_stats(self) -> dict[str, int]:
        """The same, and count from 0 again."""
        with self._lock:
            stats = self._stock.stats()
            self._stock.counts = dict.fromkeys(_COUNTERS, 0)
        return stats

    @property
    def closed(self) -> bool:
        """Whether the pool gives out nothing."""
        return not self._stock.is_open

    def close(self) -> None:
        """Close the free connections now, and the others when they come back."""
        self._stock.is_open = False
        with self._lock:
            while self._stock.waiting:
                self._wake_one()
        self.drain()

    def __enter__(self) -> Self:
        if self.closed:
            self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
        self._stock: Stock[AsyncConnection, asyncio.Future[None]] = Stock(
            name,
            min_size=min_size,
            max_size=max_size,
            timeout=timeout,
            max_waiting=max_waiting,
            max_lifetime=max_lifetime,
            max_idle=max_idle,
        )

    async def open(self, wait: bool = False, timeout: float = 30.0) -> None:  # noqa: ASYNC109
        """Begin to give out connections; `wait` until `min_size` of them are there."""
        self._stock.is_open = True
        if wait:
            await self.wait(timeout)

    async def wait(self, timeout: float = 30.0) -> None:  # noqa: ASYNC109
        """Make `min_size` connections now, so that a wrong address shows now."""
        end = time.monotonic() + timeout
        borrowed: list[AsyncConnection] = []
        try:
            while len(borrowed) < self._stock.min_size:
                borrowed.append(await self.getconn(max(0.0, end - time.monotonic())))
        finally:
            for connection in borrowed:
                await self.putconn(connection)

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
        stock = self._stock
        end = time.monotonic() + (stock.timeout if timeout is None else timeout)
        while True:
            try:
                connection = stock.take()
            except LookupError:
                await self._await(end)
                continue
            if connection is None:
                return await self._make()
            if await self._whole(connection):
                return connection

    async def _await(self, end: float) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stock.waiting.append(turn)
        try:
            async with asyncio.timeout(max(0.0, end - time.monotonic())):
                await turn
        except BaseException as error:
            if turn in self._stock.waiting:
                self._stock.waiting.remove(turn)
            elif turn.done() and not turn.cancelled():
                self._wake_one()  # Its turn came too late for it: the next one's.
            if isinstance(error, TimeoutError):
                raise self._stock.too_late() from None
            raise

    async def _make(self) -> AsyncConnection:
        connection = None
        try:
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
            if connection is None:
                self._wake_one()

    async def _whole(self, connection: AsyncConnection) -> bool:
        """Whether a free connection may be given out; it is thrown away when not."""
        try:
            if not self._stock.worn(connection):
                if self._check is not None:
                    await self._check(connection)
                return True
        except Error:
            pass
        await self._discard(connection)
        return False

    async def _discard(self, connection: AsyncConnection) -> None:
        self._stock.born.pop(id(connection), None)
        self._wake_one()
        await connection.close()

    def _wake_one(self) -> None:
        while self._stock.waiting:
            turn = self._stock.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def putconn(self, connection: AsyncConnection) -> None:
        """Give a connection back; what is open on it is rolled back."""
        if id(connection) not in self._stock.born:
            raise ProgrammingError("this connection is not of this pool")
        try:
            if not connection.closed:
                await connection.rollback()
                if self._reset is not None:
                    await self._reset(connection)
        except Error:
            await connection.close()
        if self._stock.worn(connection):
            await self._discard(connection)
            return
        self._stock.idle.append((connection, time.monotonic()))
        surplus = self._stock.idle_too_long()
        self._wake_one()
        for each in surplus:
            await each.close()

    async def check(self) -> None:
        """Look at every free connection, and throw away those that don't work."""
        idle = [connection for connection, _ in self._stock.idle]
        self._stock.idle.clear()
        for connection in idle:
            with suppress(Error):
                await connection.execute("SELECT 1", consistency="stale")
                await self.putconn(connection)
                continue
            await self._discard(connection)

    async def drain(self) -> None:
        """Replace all connections: free ones now, the others when they come back."""
        idle = [connection for connection, _ in self._stock.idle]
        self._stock.idle.clear()
        self._stock.born = dict.fromkeys(self._stock.born, float("-inf"))
        for connection in idle:
            await self._discard(connection)

    async def resize(self, min_size: int, max_size: int | None = None) -> None:
        """Change how many connections are kept, and how many there may be."""
        self._stock.resize(min_size, max_size)

    def get_stats(self) -> dict[str, int]:
        """What is there now, and what was counted since the start."""
        return self._stock.stats()

    def pop_stats(self) -> dict[str, int]:
        """The same, and count from 0 again."""
        stats = self._stock.stats()
        self._stock.counts = dict.fromkeys(_COUNTERS, 0)
        return stats

    @property
    def closed(self) -> bool:
        """Whether the pool gives out nothing."""
        return not self._stock.is_open

    async def close(self) -> None:
        """Close the free connections now, and the others when they come back."""
        self._stock.is_open = False
        self._wake_all()
        await self.drain()

    def _wake_all(self) -> None:
        while self._stock.waiting:
            self._wake_one()

    async def __aenter__(self) -> Self:
        if self.closed:
            await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
