"""Stale reads with a bound: whatever the node that answers, it misses nothing older than that."""

from __future__ import annotations

from typing import Any, Final

from tests.faults.checkers import promises
from tests.faults.history import Violation
from tests.faults.workloads.workload import Reached, Workload, patience, rows

BOUNDS_S: Final = (0.3, 1.0, 3.0)
CLOCKS_DIFFER: Final = 0.06
"""The part of a bound by which a node's clock may be wrong under the faults of this suite."""
RAISE: Final = "UPDATE latest SET number = max(number, ?)"


class Staleness(Workload):
    """With the level `stale` the bound is kept; with `unbounded` it is told to nobody."""

    name = "staleness"
    promise = "a stale read misses nothing older than max_staleness"
    levels = ("stale",)
    clients = 3

    async def prepare(self, connection: Any) -> None:
        await connection.execute("CREATE TABLE latest(number INTEGER NOT NULL)")
        await connection.execute("INSERT INTO latest VALUES(0)")

    async def work(self, client: int, reached: Reached) -> None:
        await (self._write(client, reached) if client == 0 else self._look(client, reached))

    async def _write(self, client: int, reached: Reached) -> None:
        chance, number = self.chance(client), 0
        connection = await reached.connect(client)
        while not self.stopped:
            number += 1
            operation = self.history.begin(client, "write", None, number)
            async with self.noted(operation):
                await connection.execute(RAISE, (number,), timeout=patience(chance))
            await self.pause(chance)
        await connection.close()

    async def _look(self, client: int, reached: Reached) -> None:
        chance, bounded = self.chance(client), self.level == "stale"
        nodes = range(len(reached.addresses))
        connections = [
            (bound, await reached.connect(node, only=True, max_staleness=bound if bounded else 0))
            for node in nodes
            for bound in BOUNDS_S
        ]
        while not self.stopped:
            bound, connection = chance.choice(connections)
            operation = self.history.begin(client, "look", None, bound, level=self.level)
            async with self.noted(operation) as answer:
                query = "SELECT number FROM latest"
                wait = patience(chance)
                found = await rows(connection, query, timeout=wait, consistency="stale")
                operation.place = connection.node
                answer(found[0][0])
            await self.pause(chance)
        for _, connection in connections:
            await connection.close()

    def violations(self) -> list[Violation]:
        return promises.staleness(self.history.operations, CLOCKS_DIFFER)
