"""Connections and cursors for asyncio: the same flows, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from raftsql_driver.address import Address, Options, parse
from raftsql_driver.again import RETRIES_MAX, mode_of, pause
from raftsql_driver.cluster import Cluster, cluster_of
from raftsql_driver.connection import BaseConnection, TransactionBlock
from raftsql_driver.convert import Parameters
from raftsql_driver.cursor import BaseCursor
from raftsql_driver.errors import Error, SerializationFailure
from raftsql_driver.flows import Ask, Flow, Pause, Send, Step, Wait, has_ended
from raftsql_driver.rows import RowFactory
from raftsql_driver.transaction import Transaction, abandon
from raftsql_driver.verdict import Verdict

T = TypeVar("T")


async def run(cluster: Cluster, flow: Flow[T]) -> T:
    """Carry out a flow's steps one after the other, and return what it comes to.

    A flow is told of what interrupts it (a cancelled task): it may have a last word to send.
    """
    resume: Callable[[Any], Step] = flow.send
    given: Any = None
    while True:
        try:
            step = resume(given)
            while True:
                step = flow.send(await _carry_out(cluster, step))
        except StopIteration as end:
            result: T = end.value
            return result
        except BaseException as error:
            if has_ended(flow):
                raise
            resume, given = flow.throw, error


async def _carry_out(cluster: Cluster, step: Step) -> Any:
    if type(step) is Ask:
        return await cluster.ask(step)
    if type(step) is Pause:
        return await cluster.pause(step)
    if type(step) is Send:
        return cluster.send(step)
    return await cluster.wait(step)  # type: ignore[arg-type]


class AsyncConnection(BaseConnection):
    """A connection to a cluster, for tasks of one event loop."""

    def __init__(
        self,
        address: Address,
        cluster: Cluster,
        *,
        row_factory: RowFactory | None = None,
        detect_types: int = 0,
        cursor_factory: type[AsyncCursor] | None = None,
    ) -> None:
        super().__init__(address, cluster, row_factory=row_factory, detect_types=detect_types)
        self._cursor_factory = cursor_factory or AsyncCursor
        self._lock = asyncio.Lock()
        cluster.use()

    @classmethod
    async def connect(
        cls,
        url: str | None = None,
        *,
        row_factory: RowFactory | None = None,
        detect_types: int = 0,
        cursor_factory: type[AsyncCursor] | None = None,
        **options: Unpack[Options],
    ) -> Self:
        """Connect to a cluster. The keywords are those of `raftsql.connect`."""
        address = parse(url, options)
        cluster = cluster_of(address, asyncio.get_running_loop())
        connection = cls(
            address,
            cluster,
            row_factory=row_factory,
            detect_types=detect_types,
            cursor_factory=cursor_factory,
        )
        if not cluster.streams:
            try:
                await cluster.connect()
            except BaseException:
                connection._leave()
                raise
        return connection

    async def _run(self, flow: Flow[T]) -> T:
        if self._tracing is not None:
            flow = self._tracing.follow(self, flow)
        if self._autocommit and self._transaction is None:
            return await run(self._cluster, flow)
        async with self._lock:
            return await run(self._cluster, flow)

    async def set_autocommit(self, autocommit: bool) -> None:
        """Make each statement a transaction of its own, or not; turning it on commits."""
        await self._run(self._set_autocommit(autocommit))

    async def set_isolation_level(self, level: str | None) -> None:
        """How transactions begin: DEFERRED, IMMEDIATE or EXCLUSIVE; None means autocommit."""
        await self._run(self._set_isolation_level(level))

    def cursor(
        self, factory: type[AsyncCursor] | None = None, *, consistency: str | None = None
    ) -> AsyncCursor:
        """A new cursor; `consistency` is what its reads promise."""
        self._usable()
        return (factory or self._cursor_factory)(self, consistency=consistency)

    async def execute(
        self,
        sql: str,
        parameters: Parameters | None = None,
        /,
        *,
        consistency: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> AsyncCursor:
        """Run a statement with a new cursor, and return that."""
        cursor = self.cursor()
        return await cursor.execute(sql, parameters, consistency=consistency, timeout=timeout)

    async def executemany(
        self,
        sql: str,
        rows: Iterable[Parameters],
        /,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> AsyncCursor:
        """Run a statement for many rows with a new cursor, and return that."""
        return await self.cursor().executemany(sql, rows, timeout=timeout)

    async def executescript(
        self,
        script: str,
        /,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> AsyncCursor:
        """Run several statements as one, and return a cursor without rows."""
        return await self.cursor().executescript(script, timeout=timeout)

    async def examine(self, sql: str, /, *, strict: bool = False) -> Verdict:
        """Ask what the cluster would say to a statement, without running it."""
        return await self._run(self._examine(sql, strict))

    async def commit(self) -> None:
        """Make the transaction durable everywhere."""
        self._usable()
        await self._run(self._commit(self._deadline(None)))

    async def rollback(self) -> None:
        """Forget the transaction."""
        self._usable()
        await self._run(self._rollback())

    def transaction(self, mode: str | None = None) -> AsyncTransaction:
        """An `async with` block that is a transaction, or a savepoint inside of one."""
        return AsyncTransaction(self, mode)

    async def run_transaction(
        self, work: Callable[[Self], Awaitable[T]], /, *, retries_max: int = RETRIES_MAX
    ) -> T:
        """Call `work` with this connection in a transaction of its own, and commit; again from its
        beginning where nothing of it happened, since others were in its way or its leader died.

        `work` may run more than once, so it must do nothing that a rollback does not undo.
        """
        self._outside()
        for tries in count(1):
            try:
                async with self.transaction(mode_of(tries)):
                    return await work(self)
            except SerializationFailure:
                if tries > retries_max:
                    raise
            await asyncio.sleep(pause(tries))
        raise AssertionError("tries are endless")

    async def close(self) -> None:
        """Roll back what is open, and be of no use any more."""
        if not self._closed:
            try:
                with suppress(Error):
                    await self._run(self._rollback())
            finally:
                self._leave()

    def _leave(self) -> None:
        self._closed = True
        self._cluster.release()

    async def __aenter__(self) -> Self:
        self._usable()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._run(self._end_block(error is not None))

    def _forsake(self, flow: Flow[None]) -> None:
        self._cluster.loop.call_soon_threadsafe(_carry_out_now, self._cluster, flow)

    def __del__(self) -> None:
        if not self._closed:
            with suppress(Exception):  # The loop may have ended; and this may be another thread.
                self._cluster.loop.call_soon_threadsafe(_let_go, self._cluster, self._transaction)


def _let_go(cluster: Cluster, open_: Transaction | None) -> None:
    """Give up what a connection held that nobody has any more: it may be the writer."""
    if open_ is not None:
        _carry_out_now(cluster, abandon(open_))
    cluster.release()


def _carry_out_now(cluster: Cluster, flow: Flow[None]) -> None:
    """Carry out a flow that waits for nothing, when there is no task that could."""
    step, outcome = next(flow, None), None
    with suppress(StopIteration):
        while step is not None:
            if type(step) is Send:
                outcome = cluster.send(step)
            else:
                assert type(step) is Wait, "nobody is there to wait"
                outcome = step.ticket.result()
            step = flow.send(outcome)


class AsyncCursor(BaseCursor):
    """Runs statements on a connection and holds the last one's result."""

    def __init__(self, connection: AsyncConnection, *, consistency: str | None = None) -> None:
        super().__init__(connection.row_factory, connection._detect_types, connection._forsake)
        self._connection = connection
        self.consistency = consistency
        """What this cursor's reads promise; None: as the connection's."""

    @property
    def connection(self) -> AsyncConnection:
        """Whose cursor this is."""
        return self._connection

    async def execute(
        self,
        sql: str,
        parameters: Parameters | None = None,
        /,
        *,
        consistency: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Self:
        """Run a statement; its rows, if it gives any, wait to be fetched."""
        level = consistency or self.consistency
        connection = self._connection
        await connection._run(connection._execute(self, sql, parameters, level, timeout))
        return self

    async def executemany(
        self,
        sql: str,
        rows: Iterable[Parameters],
        /,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Self:
        """Run a statement for many rows, in chunks; a transaction makes them one."""
        connection = self._connection
        await connection._run(connection._execute_many(self, sql, rows, timeout))
        return self

    async def executescript(
        self,
        script: str,
        /,
        *,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Self:
        """Run several statements as one: all of them happen, or none."""
        connection = self._connection
        await connection._run(connection._execute_script(self, script, timeout))
        return self

    async def _turn_page(self) -> None:
        connection = self._connection
        connection._usable()
        await connection._run(
            self._next_page(connection.timeout, connection._cluster.state.clock())
        )

    async def fetchone(self) -> Any:
        """The next row; None after the last."""
        self._readable()
        return await anext(self, None)

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next rows, at most `size` (or `arraysize`) of them."""
        self._readable()
        wanted = self.arraysize if size is None else size
        rows = self._taken(wanted)
        while len(rows) < wanted and self._unread:
            await self._turn_page()
            rows += self._taken(wanted - len(rows))
        return rows

    async def fetchall(self) -> list[Any]:
        """All rows that are left."""
        self._readable()
        rows = list(self._page)
        while self._unread:
            await self._turn_page()
            rows.extend(self._page)
        return rows

    async def close(self) -> None:
        """Let go of the result, and be of no use any more."""
        if not self._closed and not self._connection._closed:
            await self._connection._run(self._let_go())
        self._closed = True

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        for row in self._page:
            return row
        if self._closed:
            self._usable()
        while self._unread:
            await self._turn_page()
            for row in self._page:
                return row
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncTransaction(TransactionBlock):
    """`async with connection.transaction():` - commits at the end, rolls back on an exception."""

    _connection: AsyncConnection

    async def __aenter__(self) -> Self:
        await self._connection._run(self._enter())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._connection._run(self._exit(error is not None))
