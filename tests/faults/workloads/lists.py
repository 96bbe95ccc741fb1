"""Lists that transactions read and append to: strict serializability across several keys.

Some transactions are single statements; the others are interactive, deferred or immediate.
"""

from __future__ import annotations

import random
from itertools import count
from typing import Any, Final

from tests.faults.checkers import cycles
from tests.faults.history import Violation
from tests.faults.workloads.workload import Reached, Workload, patience, rows

KEYS: Final = 3
TRANSACTIONS_A_KEY: Final = 60
STEPS_MAX: Final = 4
APPEND: Final = "INSERT INTO list(key, value) VALUES(?, ?)"
READ: Final = "SELECT value FROM list WHERE key = ? ORDER BY place"

Step = tuple[str, int, int | None]


class Lists(Workload):
    name = "lists"
    promise = "strictly serializable transactions over lists"
    levels = ("linearizable", "lease")
    clients = 3

    def __init__(self, seed: int, level: str = "linearizable") -> None:
        super().__init__(seed, level)
        self._values = count(1)
        self._begun = 0

    async def prepare(self, connection: Any) -> None:
        await connection.execute("CREATE TABLE list(place INTEGER PRIMARY KEY, key, value)")
        await connection.execute("CREATE INDEX list_key ON list(key)")

    async def work(self, client: int, reached: Reached) -> None:
        chance = self.chance(client)
        connection = await reached.connect(client)
        while not self.stopped:
            steps = self._steps(chance)
            operation = self.history.begin(client, "transaction", None, steps)
            connection.timeout = patience(chance)
            async with self.noted(operation) as answer:
                if len(steps) == 1:
                    answer([await self._step(connection, steps[0])])
                else:
                    mode = chance.choice(["DEFERRED", "IMMEDIATE"])
                    async with connection.transaction(mode):
                        seen = [await self._step(connection, step) for step in steps]
                    answer(seen)
            await self.pause(chance)
        await connection.close()

    def _steps(self, chance: random.Random) -> list[Step]:
        self._begun += 1
        first = self._begun // (KEYS * TRANSACTIONS_A_KEY) * KEYS
        steps: list[Step] = []
        for _ in range(chance.randint(1, STEPS_MAX)):
            key = first + chance.randrange(KEYS)
            if chance.random() < 0.5:
                steps.append(("append", key, next(self._values)))
            else:
                steps.append(("read", key, None))
        return steps

    async def _step(self, connection: Any, step: Step) -> list[int] | None:
        name, key, value = step
        if name == "append":
            await connection.execute(APPEND, (key, value))
            return None
        return [row[0] for row in await rows(connection, READ, key, consistency=self.level)]

    async def finish(self, connection: Any) -> None:
        keys = {step[1] for one in self.history.operations for step in one.argument}
        for key in sorted(keys):
            step: Step = ("read", key, None)
            operation = self.history.begin(-1, "transaction", None, [step])
            async with self.noted(operation) as answer:
                answer([await self._step(connection, step)])

    def violations(self) -> list[Violation]:
        return cycles.violations(self.history.operations)
