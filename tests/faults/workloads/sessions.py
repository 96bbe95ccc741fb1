"""Sessions: a client goes from node to node with its bookmark, and never sees anything go back."""

from __future__ import annotations

from typing import Any, Final

from tests.faults.checkers import promises
from tests.faults.history import Violation
from tests.faults.workloads.workload import Reached, Workload, patience, rows

RAISE: Final = "UPDATE pulse SET number = max(number, ?) WHERE client = ?"
"""A doubtful write may still come late: it must not undo a newer one."""


class Sessions(Workload):
    name = "sessions"
    promise = "a session sees its own writes, and nothing goes back, through any node"
    levels = ("session", "session", "lease", "linearizable")
    clients = 2

    async def prepare(self, connection: Any) -> None:
        await connection.execute("CREATE TABLE pulse(client INTEGER PRIMARY KEY, number)")
        numbers = [(number, 0) for number in range(self.clients)]
        await connection.executemany("INSERT INTO pulse VALUES(?, ?)", numbers)

    async def work(self, client: int, reached: Reached) -> None:
        chance, number, bookmark = self.chance(client), 0, ""
        nodes = range(len(reached.addresses))
        connections = [await reached.connect(node, only=True) for node in nodes]
        while not self.stopped:
            connection, wait = chance.choice(connections), patience(chance)
            if bookmark:
                connection.bookmark = bookmark
            if chance.random() < 0.4:
                number += 1
                operation = self.history.begin(client, "write", client, number)
                async with self.noted(operation):
                    await connection.execute(RAISE, (number, client), timeout=wait)
            else:
                operation = self.history.begin(client, "look", None, level=self.level)
                query = "SELECT client, number FROM pulse"
                async with self.noted(operation) as answer:
                    found = await rows(connection, query, timeout=wait, consistency=self.level)
                    operation.place = connection.node
                    answer(dict(found))
            bookmark = connection.bookmark
            await self.pause(chance)
        for connection in connections:
            await connection.close()

    def violations(self) -> list[Violation]:
        return promises.sessions(self.history.operations)
