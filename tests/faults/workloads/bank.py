"""Money moved between accounts by interactive transactions that read before they write."""

from __future__ import annotations

import random
from itertools import count
from typing import Any, Final

from tests.faults.checkers import promises
from tests.faults.history import Violation
from tests.faults.workloads.workload import Reached, Workload, patience, rows

ACCOUNTS: Final = 8
EACH: Final = 20
AMOUNT_MAX: Final = 10
BALANCES: Final = "SELECT balance FROM account ORDER BY id"
UPDATE: Final = "UPDATE account SET balance = ? WHERE id = ?"
PAID: Final = "INSERT INTO transfer(number, source, target, amount) VALUES(?, ?, ?, ?)"
LOOK_LEVELS: Final = ("linearizable", "lease", "session", "stale")
"""Whatever a read may miss, it sees one moment's balances."""


class Bank(Workload):
    name = "bank"
    promise = "the total never changes, no balance is below zero, each transfer happens once"
    clients = 2

    def __init__(self, seed: int, level: str = "linearizable") -> None:
        super().__init__(seed, level)
        self._numbers = count(1)
        self._end: tuple[list[Any], dict[int, int]] | None = None

    async def prepare(self, connection: Any) -> None:
        await connection.executescript(
            "CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);"
            "CREATE TABLE transfer(place INTEGER PRIMARY KEY, number, source, target, amount)"
        )
        accounts = [(number, EACH) for number in range(ACCOUNTS)]
        await connection.executemany("INSERT INTO account VALUES(?, ?)", accounts)

    async def work(self, client: int, reached: Reached) -> None:
        chance = self.chance(client)
        connection = await reached.connect(client)
        while not self.stopped:
            connection.timeout = patience(chance)
            if chance.random() < 0.4:
                level = chance.choice(LOOK_LEVELS)
                operation = self.history.begin(client, "look", None, level=level)
                async with self.noted(operation) as answer:
                    found = await rows(connection, BALANCES, consistency=level)
                    answer([balance for (balance,) in found])
            else:
                await self._transfer(client, connection, chance)
            await self.pause(chance)
        await connection.close()

    async def _transfer(self, client: int, connection: Any, chance: random.Random) -> None:
        source, target = chance.sample(range(ACCOUNTS), 2)
        amount, number = chance.randint(1, AMOUNT_MAX), next(self._numbers)
        operation = self.history.begin(client, "transfer", number, (source, target, amount))
        mode = chance.choice(["DEFERRED", "IMMEDIATE"])
        async with self.noted(operation), connection.transaction(mode):
            balances = [balance for (balance,) in await rows(connection, BALANCES)]
            if balances[source] < amount:
                amount = 0
            await connection.execute(UPDATE, (balances[source] - amount, source))
            await connection.execute(UPDATE, (balances[target] + amount, target))
            await connection.execute(PAID, (number, source, target, amount))

    async def finish(self, connection: Any) -> None:
        query = "SELECT number, source, target, amount FROM transfer ORDER BY place"
        transfers = await rows(connection, query)
        balances = dict(await rows(connection, "SELECT id, balance FROM account"))
        self._end = (transfers, balances)

    def violations(self) -> list[Violation]:
        operations = self.history.operations
        found = promises.bank(operations, ACCOUNTS * EACH)
        if self._end is not None:
            start = dict.fromkeys(range(ACCOUNTS), EACH)
            found += promises.transfers(operations, start, *self._end)
        return found
