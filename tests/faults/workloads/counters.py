"""Counters, and a ledger of who raised them: everything exactly once, by retries of the driver.

The workers and their ledger are those of the exactly-once test; here nodes and disks are hurt, and
not the streams.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import raftsql
from tests.driver.exactly_once.ledger import SCHEMA, Ledger
from tests.driver.exactly_once.workers import PATIENT_S, TaskWorker
from tests.faults.history import Violation
from tests.faults.workloads.workload import Reached, Workload


class Counters(Workload):
    name = "counters"
    promise = "each acknowledged write happened once, each doubtful one at most once"
    clients = 3

    def __init__(self, seed: int, level: str = "linearizable") -> None:
        super().__init__(seed, level)
        self.ledger = Ledger()
        self._found: list[str] = []
        self._reached = Reached([])

    async def prepare(self, connection: Any) -> None:
        await connection.executescript(SCHEMA)
        numbers = [(number,) for number in range(self.clients)]
        await connection.executemany("INSERT INTO counter VALUES(?, 0)", numbers)

    async def work(self, client: int, reached: Reached) -> None:
        self._reached = reached
        worker = TaskWorker(client, reached.url, self.ledger, self.seed)
        await worker.work(lambda: self.stopped)

    async def finish(self, connection: Any) -> None:
        self._found = await asyncio.to_thread(self._anomalies)

    def _anomalies(self) -> list[str]:
        connection = raftsql.connect(self._reached.url, autocommit=True, timeout=PATIENT_S)
        try:
            return self.ledger.anomalies(connection)
        finally:
            connection.close()

    def violations(self) -> list[Violation]:
        return [Violation(f"counters: {each}") for each in self._found]

    def fates(self) -> Counter[str]:
        return self.ledger.fates()

    @property
    def operations(self) -> int:
        return self.ledger.fates().total()
