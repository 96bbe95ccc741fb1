"""Registers, which must be linearizable: reads, writes and compare-and-swap on a few keys.

Half of the reads are asked of a node that need not lead: it has to find out by itself how far it
must have applied. Each value is written once in a whole run, so that a reader's answer names its
writer; keys change often, so that the checker's work stays small.
"""

from __future__ import annotations

from itertools import count
from typing import Any, Final

from tests.faults.checkers import registers
from tests.faults.history import Violation
from tests.faults.workloads.workload import Reached, Workload, patience, rows

KEYS: Final = 4
OPERATIONS_A_KEY: Final = 150

WRITE: Final = (
    "INSERT INTO register(key, value) VALUES(?, ?) "
    "ON CONFLICT(key) DO UPDATE SET value = excluded.value"
)
SWAP: Final = "UPDATE register SET value = ? WHERE key = ? AND value = ?"
READ: Final = "SELECT value FROM register WHERE key = ?"


class Registers(Workload):
    name = "registers"
    promise = "linearizable registers"
    levels = ("linearizable", "lease")
    clients = 6

    def __init__(self, seed: int, level: str = "linearizable") -> None:
        super().__init__(seed, level)
        self._values = count(1)
        self._begun = 0
        self._seen: dict[int, int] = {}
        """By key, a value that somebody read lately: what a swap may find."""

    async def prepare(self, connection: Any) -> None:
        await connection.execute("CREATE TABLE register(key INTEGER PRIMARY KEY, value)")

    def _key(self, draw: int) -> int:
        self._begun += 1
        generation = self._begun // (KEYS * OPERATIONS_A_KEY)
        return generation * KEYS + draw

    async def work(self, client: int, reached: Reached) -> None:
        chance = self.chance(client)
        connection = await reached.connect(client)
        routes = connection._cluster.state.routes
        while not self.stopped:
            key, draw, wait = self._key(chance.randrange(KEYS)), chance.random(), patience(chance)
            if draw < 0.5:
                if chance.random() < 0.5:
                    routes.leader = ""  # Ask the node that is home, whoever leads.
                await self._read(client, connection, key, wait)
            elif draw < 0.8 or key not in self._seen:
                value = next(self._values)
                operation = self.history.begin(client, "write", key, value)
                async with self.noted(operation):
                    await connection.execute(WRITE, (key, value), timeout=wait)
            else:
                await self._swap(client, connection, key, wait)
            await self.pause(chance)
        await connection.close()

    async def _read(self, client: int, connection: Any, key: int, wait: float) -> None:
        operation = self.history.begin(client, "read", key, level=self.level)
        async with self.noted(operation) as answer:
            found = await rows(connection, READ, key, timeout=wait, consistency=self.level)
            value = found[0][0] if found else None
            operation.place = connection.node
            answer(value)
            if value is not None:
                self._seen[key] = value

    async def _swap(self, client: int, connection: Any, key: int, wait: float) -> None:
        expected, new = self._seen[key], next(self._values)
        operation = self.history.begin(client, "swap", key, (expected, new))
        async with self.noted(operation) as answer:
            cursor = await connection.execute(SWAP, (new, key, expected), timeout=wait)
            answer(cursor.rowcount == 1)

    def violations(self) -> list[Violation]:
        return registers.violations(self.history.operations)
