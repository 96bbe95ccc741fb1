"""What all workloads have in common: clients in one event loop, with connections of their own."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar, Final

import raftsql
from tests.driver.exactly_once.ledger import Fate, fate_of
from tests.driver.exactly_once.workers import HASTY_S, PATIENT_S
from tests.faults.history import History, Operation, Violation

PATIENT: Final = 0.6
"""The part of the operations that wait as long as it takes; the others give up soon, and leave
doubtful writes behind."""
PAUSE_S_MAX: Final = 0.012


class Reached:
    """How clients reach the cluster: one set of addresses, each client with another one first.

    The list grows as nodes join: those that were there first may all be gone in the end.
    """

    def __init__(self, addresses: list[str]) -> None:
        self.addresses = addresses

    @property
    def url(self) -> str:
        """For whoever connects now."""
        return f"raftsql://{','.join(self.addresses)}/"

    async def connect(self, first: int, *, only: bool = False, **options: Any) -> Any:
        """A connection whose home is one node. With `only`, it is told of no other."""
        at = first % len(self.addresses)
        turned = [self.addresses[at]] if only else self.addresses[at:] + self.addresses[:at]
        while True:  # It tries each node once, and all of them may be hurt just now.
            with suppress(raftsql.Unavailable, raftsql.TimedOut):
                return await raftsql.AsyncConnection.connect(
                    f"raftsql://{','.join(turned)}/", autocommit=True, timeout=PATIENT_S, **options
                )
            await asyncio.sleep(0.05)


class Workload:
    """One kind of work, and what has to be true of it."""

    name: ClassVar[str]
    clients: ClassVar[int] = 3
    levels: ClassVar[tuple[str, ...]] = ("linearizable",)
    """Those that make the promise: each seed takes another."""
    promise: ClassVar[str]
    """In a few words, for the report."""

    def __init__(self, seed: int, level: str = "linearizable") -> None:
        self.level = level
        self.seed = seed
        self.history = History()
        self.stopped = False
        self.strange: list[Violation] = []
        """Errors that no client should ever see."""

    def chance(self, client: int) -> random.Random:
        """A client's own chance."""
        return random.Random(f"{self.name} {self.seed} {client}")

    async def prepare(self, connection: Any) -> None:
        """Make the tables."""
        raise NotImplementedError

    async def work(self, client: int, reached: Reached) -> None:
        """One client, until `stopped`."""
        raise NotImplementedError

    async def finish(self, connection: Any) -> None:
        """When all is healed: look at what there is."""

    def violations(self) -> list[Violation]:
        """What was not as promised."""
        raise NotImplementedError

    @property
    def operations(self) -> int:
        """How many there were."""
        return len(self.history.operations)

    def told(self) -> str:
        """What became of them, for the report."""
        fates = self.fates()
        return ", ".join(f"{fates[fate.value]} {fate.value}" for fate in Fate)

    def fates(self) -> Counter[str]:
        """How many of each fate."""
        return Counter(one.fate.value for one in self.history.operations)

    def writes(self) -> list[float]:
        """When a write was known to have happened."""
        return [one.end for one in self.history.operations if one.done and is_write(one)]

    async def pause(self, chance: random.Random) -> None:
        """Between two operations."""
        await asyncio.sleep(chance.uniform(0, PAUSE_S_MAX))

    @asynccontextmanager
    async def noted(self, operation: Operation) -> AsyncIterator[Callable[[Any], None]]:
        """Keep what becomes of an operation: its answer, or what its error promises."""
        answers: list[Any] = []
        try:
            yield answers.append
        except raftsql.TooStale:
            self.history.end(operation, Fate.NEVER)
        except raftsql.OperationalError as error:
            if operation.level == "stale" and "no such table" in str(error):
                # What a node has may be nothing yet: it is new, or lost power and reads its log.
                self.history.end(operation, Fate.NEVER)
            else:
                self.history.end(operation, self._fate(operation, error))
        except raftsql.Error as error:
            self.history.end(operation, self._fate(operation, error))
        else:
            self.history.end(operation, Fate.DONE, answers[-1] if answers else None)

    def _fate(self, operation: Operation, error: raftsql.Error) -> Fate:
        """What an error promises. One that no fault excuses is a finding by itself."""
        try:
            return fate_of(error)
        except raftsql.Error:
            what = f"a client was told {type(error).__name__}: {error}"
            self.strange.append(Violation(what, [operation]))
            return Fate.NEVER


READS: Final = {"read", "look"}


def is_write(operation: Operation) -> bool:
    """Whether it changed something, or could have."""
    if operation.name == "transaction":
        return any(step[0] == "append" for step in operation.argument)
    return operation.name not in READS


def patience(chance: random.Random) -> float:
    """How long an operation waits for its answer."""
    return PATIENT_S if chance.random() < PATIENT else chance.uniform(*HASTY_S)


async def rows(connection: Any, sql: str, *parameters: Any, **options: Any) -> list[Any]:
    """A query's rows."""
    cursor = await connection.execute(sql, parameters, **options)
    found: Awaitable[list[Any]] = cursor.fetchall()
    return await found
