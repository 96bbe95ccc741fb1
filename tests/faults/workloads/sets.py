"""Sets: nothing that was acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import random
from itertools import count
from typing import Any, Final

from tests.faults.checkers import promises
from tests.faults.history import Violation
from tests.faults.workloads.workload import Reached, Workload, patience, rows

VALUES_A_SET: Final = 200
HEAVY: Final = 0.03
HEAVY_BYTES: Final = 70_000
CURRENT: Final = {"linearizable", "lease"}
"""The levels whose reads have all that was acknowledged before."""
TABLE: Final = """
CREATE TABLE element(
    owner, value, weight,
    at DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')), chance DEFAULT (random())
)
"""
"""Clock and chance stand in each row, so that replicas that compute them apart are not equal."""
READ: Final = "SELECT value FROM element WHERE owner = ?"


class Sets(Workload):
    name = "sets"
    promise = "nothing acknowledged is lost, nothing is there twice"
    levels = ("lease", "linearizable", "stale", "session")
    clients = 2

    def __init__(self, seed: int, level: str = "linearizable") -> None:
        super().__init__(seed, level)
        self._values = count(0)

    async def prepare(self, connection: Any) -> None:
        await connection.execute(TABLE)
        await connection.execute("CREATE INDEX element_owner ON element(owner)")

    def _weight(self, chance: random.Random) -> bytes | None:
        """Sometimes much: a node writes and applies little things in place, and much in threads."""
        return chance.randbytes(HEAVY_BYTES) if chance.random() < HEAVY else None

    async def work(self, client: int, reached: Reached) -> None:
        chance, value = self.chance(client), 0
        connection = await reached.connect(client)
        while not self.stopped:
            if chance.random() < 0.6:
                value = next(self._values)
                operation = self.history.begin(client, "add", value // VALUES_A_SET, value)
                async with self.noted(operation):
                    await connection.execute(
                        "INSERT INTO element(owner, value, weight) VALUES(?, ?, ?)",
                        (operation.key, value, self._weight(chance)),
                        timeout=patience(chance),
                    )
            else:
                await self._look(client, connection, value // VALUES_A_SET, patience(chance))
            await self.pause(chance)
        await connection.close()

    async def _look(self, client: int, connection: Any, key: int, wait: float) -> None:
        operation = self.history.begin(client, "look", key, level=self.level)
        async with self.noted(operation) as answer:
            found = await rows(connection, READ, key, timeout=wait, consistency=self.level)
            operation.place = connection.node
            answer([value for (value,) in found])

    async def finish(self, connection: Any) -> None:
        self.level, asked = "linearizable", self.level
        for key in range(next(self._values) // VALUES_A_SET + 1):
            await self._look(-1, connection, key, 30.0)
        self.level = asked

    def violations(self) -> list[Violation]:
        return promises.sets(self.history.operations, current=self.claims_currency)

    @property
    def claims_currency(self) -> bool:
        """Whether its level promises that reads are current."""
        return self.level in CURRENT
