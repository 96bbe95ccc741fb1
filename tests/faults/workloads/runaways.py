"""Writes that burn more than they may: each is stopped at the same step, or not at all, everywhere.

The suite's nodes give a command little fuel (see `node`), so that what is too much takes
milliseconds. Whether it was too much follows from the statement alone, never from a clock or from
how busy a node was; if nodes did not agree, their rows would not be equal in the end.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import raftsql
from tests.driver.exactly_once.ledger import Fate
from tests.faults.checkers import promises
from tests.faults.history import Operation, Violation
from tests.faults.node import FUEL_UNITS
from tests.faults.workloads.workload import Reached, Workload, patience

TURNS: Final = (5_000, 200_000)
"""So many rounds a write counts; more than a half of them is too much."""
SURELY_TOO_MUCH: Final = FUEL_UNITS * 1_000 // 8
"""A round takes more than eight steps of SQLite's machine."""
REST_S: Final = 0.6
BURN: Final = """
INSERT INTO burnt(turns, counted)
WITH RECURSIVE turn(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM turn WHERE n < ?)
SELECT ?, count(*) FROM turn
"""


class Runaways(Workload):
    name = "runaways"
    promise = "a runaway write is stopped at the same step on every node"
    clients = 1

    async def prepare(self, connection: Any) -> None:
        await connection.execute("CREATE TABLE burnt(turns, counted)")

    async def work(self, client: int, reached: Reached) -> None:
        chance = self.chance(client)
        connection = await reached.connect(client)
        while not self.stopped:
            turns = chance.randint(*TURNS)
            operation = self.history.begin(client, "burn", None, turns)
            async with self.noted(operation) as answer:
                await connection.execute(BURN, (turns, turns), timeout=patience(chance))
                answer(True)
            await asyncio.sleep(chance.uniform(0, REST_S))
        await connection.close()

    def _fate(self, operation: Operation, error: raftsql.Error) -> Fate:
        if type(error) is raftsql.OperationalError and "steps" in str(error):
            operation.place = promises.STOPPED
            return Fate.NEVER
        return super()._fate(operation, error)

    def violations(self) -> list[Violation]:
        return promises.limits(self.history.operations, SURELY_TOO_MUCH)
