"""SQL from the page: its statements one after the other, their rows as they come.

Each query has a connection of its own, as this user, so that two tabs of a browser do not meet in
one. Rows are fetched as the page reads them: what waits between the database and the browser is a
page of the driver's and a chunk of ours, whatever the result's length.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from time import monotonic, perf_counter
from typing import Any, Final, TypeVar

import msgspec
from starlette.responses import Response

from raftsql.server.console import cells
from raftsql.server.console.guarding import Answer, Asked
from raftsql.server.console.problems import Problem, busy, of_error
from raftsql.server.console.sessions import QUERIES_MAX, OpenTransaction
from raftsql.server.console.streaming import Flow
from raftsql.sql.split import Piece, split
from raftsql_driver.aio import AsyncCursor
from raftsql_driver.errors import Error
from raftsql_driver.statements import look_at

T = TypeVar("T")

TIMEOUT_SECONDS: Final = 60.0
"""Of one statement until its first rows, and of each page of them, where the page does not say."""
TIMEOUT_SECONDS_MAX: Final = 3600.0
ALL_QUERIES_MAX: Final = 64
"""Of all sessions of a node, under way at once."""
HELD_MAX: Final = 6
"""Results of all sessions that are longer than a page of the driver's: the node keeps 64 of them
for all of its clients, and pages that are slow to read may not have them all."""
LONG_CHARACTERS: Final = 8 << 10
"""A text longer than this is taken apart beside the event loop."""


class QueryAsked(msgspec.Struct):
    """What to run, and how."""

    sql: str
    id: str = ""
    parameters: list[Any] | dict[str, Any] | None = None
    consistency: str | None = None
    max_staleness: float | None = None
    transaction: str | None = None
    limit: int | None = None
    timeout: float | None = None


class Cancelled(Exception):
    """The page does not want it any more."""


class Running:
    """A query that can be cancelled from elsewhere."""

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        self.cancelled = False

    async def do(self, step: Coroutine[Any, Any, T]) -> T:
        """Carry out one step; Cancelled when it is not wanted any more."""
        if self.cancelled:
            step.close()
            raise Cancelled
        task = asyncio.get_running_loop().create_task(step)
        self._task = task
        try:
            return await task
        except asyncio.CancelledError:
            own = asyncio.current_task()
            if self.cancelled and not (own is not None and own.cancelling()):
                raise Cancelled from None
            raise
        finally:
            self._task = None

    def cancel(self) -> None:
        """Stop it, at the node that works for it as well."""
        self.cancelled = True
        if self._task is not None:
            self._task.cancel()


async def query(asked: Asked) -> Response:
    """Run what the page sends; its rows flow back."""
    work = await Work.of(asked, asked.body)
    return Flow(work.lines(), "application/x-ndjson", until=work.session.ended, done=work.close)


async def cancel(asked: Asked) -> Response:
    """Stop a query of this session."""
    running = asked.session.queries.get(str(asked.request.path_params["id"]))
    if running is None:
        raise Problem(404, "not_found", "no such query is running")
    running.cancel()
    return Answer({})


class Work:
    """One query: its statements, and the connection that they run on."""

    def __init__(self, asked: Asked, given: QueryAsked, pieces: list[Piece]) -> None:
        self.console, self.session, self.given = asked.console, asked.session, given
        self.pieces = pieces
        self.running = Running()
        self._closed = self._holds = False
        self._ended: dict[str, Any] = {}
        self.name = given.id or f"unnamed-{id(self)}"
        self.open: OpenTransaction | None = None
        self.parameters = cells.parameters(given.parameters)
        self.timeout = min(given.timeout or TIMEOUT_SECONDS, TIMEOUT_SECONDS_MAX)
        if given.transaction is not None:
            self.open = self.session.transaction(given.transaction)
            self.open.busy += 1
            self.connection = self.open.connection
        else:
            self.connection = self.session.connection()
        self.connection.timeout = self.timeout
        self.connection.max_staleness = given.max_staleness or 0.0

    @classmethod
    async def of(cls, asked: Asked, given: QueryAsked) -> Work:
        """What a request asks for, or why it is not done."""
        _check(asked, given)
        look = partial(split, given.sql)
        long = len(given.sql) > LONG_CHARACTERS
        pieces = await asked.console.beside(look) if long else look()
        _check_room(asked)  # Others may have come meanwhile.
        if given.parameters and len(pieces) > 1:
            raise Problem(400, "bad_request", "parameters go with one statement, not with several")
        if given.id in asked.session.queries:
            raise Problem(409, "conflict", "a query of this name is running")
        work = cls(asked, given, pieces)
        work.session.queries[work.name] = work.running
        work.console.queries += 1
        return work

    async def lines(self) -> AsyncGenerator[bytes, None]:
        """All that the page gets, as lines of JSON. When it reads the last one, the query's name is
        free again, and so is what it held."""
        last = len(self.pieces) - 1
        for number, piece in enumerate(self.pieces):
            if last:
                shown = piece.text[: cells.TEXT_MAX]
                yield cells.line({"statement": number, "sql": shown})
            try:
                async with aclosing(self.statement(piece)) as lines:
                    async for line in lines:
                        yield line
                end = {"end": self._ended | {"transaction": await self._state()}}
            except Problem as problem:
                end = {"error": problem.told() | {"transaction": await self._state()}}
            if number == last or "error" in end:
                await self.close()
                yield cells.line(end)
                return
            yield cells.line(end)
        end = {"end": self._end_of(0, None, perf_counter()) | {"transaction": await self._state()}}
        await self.close()
        yield cells.line(end)

    async def statement(self, piece: Piece) -> AsyncGenerator[bytes, None]:
        """One statement's columns and rows, with its end left in `_ended`; or its Problem."""
        began = perf_counter()
        cursor, count = self.connection.cursor(), 0
        try:
            async with self.let_go(cursor):
                await self.execute(cursor, piece)
                if cursor.description is not None:
                    names = [cells.name(column[0]) for column in cursor.description]
                    yield cells.line({"columns": names})
                    async with aclosing(self.pages(cursor)) as pages:
                        async for rows in pages:
                            count += len(rows)
                            async for line in self._encoded(rows):
                                yield line
        except Cancelled:
            raise self._cancelled(piece) from None
        except Error as error:
            raise of_error(error, piece.text, piece.start) from error
        self._ended = self._end_of(count, cursor, began)

    async def _encoded(self, rows: list[Any]) -> AsyncGenerator[bytes, None]:
        """Rows as lines, with a rest after each."""
        began = perf_counter()
        for line in cells.chunks(rows):
            await self.console.pace.rest(began)
            yield line
            began = perf_counter()

    @asynccontextmanager
    async def let_go(self, cursor: AsyncCursor) -> AsyncGenerator[None, None]:
        """Tell the node at the end that the rest of the rows is not wanted."""
        try:
            yield
        finally:
            with suppress(Error):
                await cursor.close()

    async def execute(self, cursor: AsyncCursor, piece: Piece) -> None:
        """Run a statement; its first rows wait in the cursor."""
        step = cursor.execute(
            piece.text, self.parameters, consistency=self.given.consistency, timeout=self.timeout
        )
        await self.running.do(step)

    async def pages(self, cursor: AsyncCursor) -> AsyncGenerator[list[Any], None]:
        """The rows, some at a time, until the limit."""
        self._hold(cursor)
        left = self.given.limit
        while left is None or left > 0:
            want = cells.CHUNK_ROWS if left is None else min(cells.CHUNK_ROWS, left)
            rows = await self.running.do(cursor.fetchmany(want))
            if not rows:
                return
            self.session.touched = monotonic()
            yield rows
            left = None if left is None else left - len(rows)

    def _hold(self, cursor: AsyncCursor) -> None:
        """Count a result of which more is to come: the node keeps its snapshot meanwhile."""
        if not cursor._rest or self._holds:
            return
        if self.console.held >= HELD_MAX:
            raise busy("too many large results are being read: wait for one, or cancel it")
        self._holds = True
        self.console.held += 1

    def _cancelled(self, piece: Piece) -> Problem:
        if self.connection.transaction_lost:
            return Problem(409, "cancelled", "it was cancelled, and its transaction rolled back")
        if self.connection.in_transaction:
            return Problem(409, "cancelled", "it was cancelled; the transaction goes on")
        if look_at(piece.text).reads:
            return Problem(409, "cancelled", "it was cancelled")
        return Problem(
            409, "cancelled",
            "it was cancelled, and may have been carried out all the same: look at the data",
        )  # fmt: skip

    def _end_of(self, rows: int, cursor: AsyncCursor | None, began: float) -> dict[str, Any]:
        counted = cursor is not None and cursor.rowcount >= 0
        end = {
            "rows": rows,
            "changes": cursor.rowcount if cursor is not None and counted else None,
            "last_row": cells.cell(cursor.lastrowid) if cursor is not None and counted else None,
            "seconds": round(perf_counter() - began, 6),
        }
        is_cut = self.given.limit is not None and rows >= self.given.limit
        return end | {"more": True} if is_cut else end

    async def _state(self) -> str | None:
        """The name of the transaction that is open now; one that the text began gets one here."""
        connection = self.connection
        if connection.transaction_lost or not connection.in_transaction:
            if self.open is not None:
                self.session.transactions.pop(self.open.name, None)
                if connection.transaction_lost:
                    with suppress(Error):
                        await connection.rollback()
            return None
        if self.open is None:
            try:
                self.open = self.session.adopt(connection, monotonic())
            except Problem:
                await connection.rollback()
                raise
            self.open.busy += 1
        return self.open.name

    async def close(self) -> None:
        """Let go of what is not kept open."""
        if self._closed:
            return
        self._closed = True
        self.console.queries -= 1
        self.console.held -= self._holds
        self._holds = False
        self.session.queries.pop(self.name, None)
        self.session.seen(self.connection)
        if self.open is not None:
            self.open.busy -= 1
            self.open.touched = monotonic()
        kept = self.open is not None and self.open.name in self.session.transactions
        if not kept:
            with suppress(Error):
                await self.connection.close()


def _check_room(asked: Asked) -> None:
    if len(asked.session.queries) >= QUERIES_MAX or asked.console.queries >= ALL_QUERIES_MAX:
        raise busy("too many queries are running: wait for one, or cancel it")


def _check(asked: Asked, given: QueryAsked) -> None:
    _check_room(asked)
    if given.limit is not None and given.limit < 1:
        raise Problem(400, "bad_request", "limit is a number from 1 on")
    for value in (given.timeout, given.max_staleness):
        if value is not None and not 0 < value < 1e9:
            raise Problem(400, "bad_request", "timeout and max_staleness are seconds, more than 0")
    if len(given.id) > 100:
        raise Problem(400, "bad_request", "the id is too long")
