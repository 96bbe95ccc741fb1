"""Those who write: threads and tasks, in single statements, batches and transactions."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import raftsql
from tests.driver.exactly_once.ledger import INSERT, Fate, Ledger, fate_of

PATIENT_S: Final = 60.0
"""Far longer than any fault lasts: whoever waits so long must always come to know."""
HASTY_S: Final = (0.05, 0.6)
KINDS: Final = ("single", "many", "transaction")
MANY_ROWS: Final = 5


class Worker:
    """One writer: its kind, how patient it is, and what it was told."""

    def __init__(self, number: int, url: str, ledger: Ledger, seed: int) -> None:
        self.number = number
        self.url = url
        self.kind = KINDS[number % len(KINDS)]
        self.patient = number // len(KINDS) % 2 == 0
        self.ledger = ledger
        self.chance = random.Random(seed * 1000 + number)
        self.done = 0

    def operation(self) -> str:
        """A name for the next one."""
        self.done += 1
        return f"{self.number}.{self.done}"

    def timeout(self) -> float:
        """How long this one is waited for."""
        return PATIENT_S if self.patient else self.chance.uniform(*HASTY_S)

    def note(self, operation: str, rows: int, cursor: Any) -> None:
        """It was done: keep that, and what the cursor says of it."""
        if cursor is None:
            self.ledger.note(self.number, operation, Fate.DONE, rows)
            return
        assert cursor.rowcount == rows, f"{operation}: rowcount {cursor.rowcount}"
        last = cursor.lastrowid if self.kind == "single" else None
        self.ledger.note(self.number, operation, Fate.DONE, rows, last)

    def failed(self, operation: str, rows: int, error: raftsql.Error) -> None:
        """It was not, or nobody knows."""
        fate = fate_of(error)
        self.ledger.note(self.number, operation, fate, rows)
        expected = self.kind == "transaction" and isinstance(error, raftsql.SerializationFailure)
        if self.patient and not expected:
            self.ledger.impatient.append(f"{operation}: {type(error).__name__}: {error}")

    def rows(self, operation: str) -> list[tuple[int, str]]:
        """The rows of a batch."""
        return [(self.number, operation)] * MANY_ROWS


class ThreadWorker(Worker):
    """Writes through a blocking connection."""

    def work(self, stop: threading.Event) -> None:
        """Until told to stop."""
        connection = None
        while connection is None:  # It tries each node once, and all of them may be hurt just now.
            with suppress(raftsql.Unavailable):
                connection = raftsql.connect(self.url, autocommit=True, timeout=PATIENT_S)
        while not stop.is_set():
            operation, rows = self.operation(), 1
            connection.timeout = self.timeout()
            try:
                if self.kind == "single":
                    cursor = connection.execute(INSERT, (self.number, operation))
                elif self.kind == "many":
                    rows = MANY_ROWS
                    cursor = connection.executemany(INSERT, self.rows(operation))
                else:
                    rows, cursor = 2, None
                    self._transact(connection, operation)
            except raftsql.Error as error:
                self.failed(operation, rows, error)
            else:
                self.note(operation, rows, cursor)
        connection.close()

    def _transact(self, connection: raftsql.Connection, operation: str) -> None:
        query = "SELECT n FROM counter WHERE worker = ?"
        mode = self.chance.choice(["DEFERRED", "IMMEDIATE"])
        with connection.transaction(mode):
            (before,) = connection.execute(query, (self.number,)).fetchone()
            connection.execute(INSERT, (self.number, operation))
            with connection.transaction():
                connection.execute(INSERT, (self.number, operation))
            (after,) = connection.execute(query, (self.number,)).fetchone()
            assert after == before + 2, "a transaction reads its own writes, once"


class TaskWorker(Worker):
    """Writes through an asyncio connection; the hasty ones are cancelled at times, too."""

    async def work(self, stop: Callable[[], bool]) -> None:
        """Until told to stop."""
        connection = None
        while connection is None:
            with suppress(raftsql.Unavailable):
                connection = await raftsql.AsyncConnection.connect(
                    self.url, autocommit=True, timeout=PATIENT_S
                )
        while not stop():
            connection.timeout = self.timeout()
            if not self.patient and self.chance.random() < 0.2:
                await self._cancelled(connection)
            else:
                await self._once(connection, self.operation())
        await connection.close()

    async def _cancelled(self, connection: raftsql.AsyncConnection) -> None:
        """Begin an operation and give it up after a moment: nobody knows what became of it."""
        operation = self.operation()
        task = asyncio.create_task(self._once(connection, operation))
        await asyncio.wait([task], timeout=self.chance.uniform(0.0, 0.02))
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            rows = {"single": 1, "many": MANY_ROWS, "transaction": 2}[self.kind]
            self.ledger.note(self.number, operation, Fate.UNKNOWN, rows)
        assert not connection.in_transaction, "a cancelled block has ended its transaction"

    async def _once(self, connection: raftsql.AsyncConnection, operation: str) -> None:
        rows, cursor = 1, None
        try:
            if self.kind == "single":
                cursor = await connection.execute(INSERT, (self.number, operation))
            elif self.kind == "many":
                rows = MANY_ROWS
                cursor = await connection.executemany(INSERT, self.rows(operation))
            else:
                rows = 2
                await self._transact(connection, operation)
        except raftsql.Error as error:
            self.failed(operation, rows, error)
        else:
            self.note(operation, rows, cursor)

    async def _transact(self, connection: raftsql.AsyncConnection, operation: str) -> None:
        query = "SELECT n FROM counter WHERE worker = ?"
        mode = self.chance.choice(["DEFERRED", "IMMEDIATE"])
        async with connection.transaction(mode):
            (before,) = await (await connection.execute(query, (self.number,))).fetchone()
            await connection.execute(INSERT, (self.number, operation))
            async with connection.transaction():
                await connection.execute(INSERT, (self.number, operation))
            (after,) = await (await connection.execute(query, (self.number,))).fetchone()
            assert after == before + 2, "a transaction reads its own writes, once"
