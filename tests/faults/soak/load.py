"""Steady load: so many operations a second, whether or not the cluster keeps up.

Each client begins an operation when its turn is due, and counts from then: a cluster that stalls
shows in all that was due meanwhile, and not in the one operation that waited. Rows are updated in
place, or take the place of the oldest; so the tables stay as large as they were.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any, Final

import raftsql

CLIENTS: Final = 16
ROWS: Final = 5_000
WIDTH: Final = 200
TIMEOUT_S: Final = 30.0
SCHEMA: Final = """
CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, note TEXT);
CREATE TABLE event(slot INTEGER PRIMARY KEY, client INTEGER, at DEFAULT CURRENT_TIMESTAMP, body);
CREATE INDEX event_client ON event(client);
CREATE TABLE queue(id INTEGER PRIMARY KEY AUTOINCREMENT, client INTEGER, body TEXT);
"""


class Load:
    """The clients, and what they measured since they were last asked."""

    def __init__(self, url: str, rate: float) -> None:
        self._url, self._gap = url, CLIENTS / rate
        self.stopped = False
        self.operations: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self._took: dict[str, list[float]] = {}

    async def prepare(self) -> None:
        """Make the tables, as full as they will stay."""
        chance = random.Random("soak")
        async with await self._connection() as connection:
            await connection.executescript(SCHEMA)
            accounts = [(number, 1000, _text(chance)) for number in range(ROWS)]
            await connection.executemany("INSERT INTO account VALUES(?, ?, ?)", accounts)
            events = [(slot, 0, _text(chance)) for slot in range(ROWS)]
            await connection.executemany(
                "INSERT INTO event(slot, client, body) VALUES(?, ?, ?)", events
            )
            waiting = [(slot % CLIENTS, _text(chance)) for slot in range(ROWS)]
            await connection.executemany("INSERT INTO queue(client, body) VALUES(?, ?)", waiting)

    async def _connection(self) -> Any:
        return await raftsql.AsyncConnection.connect(self._url, autocommit=True, timeout=TIMEOUT_S)

    async def run(self) -> None:
        """All clients, until `stopped`."""
        await asyncio.gather(*(self._client(number) for number in range(CLIENTS)))

    async def _client(self, number: int) -> None:
        chance, loop = random.Random(f"soak {number}"), asyncio.get_running_loop()
        connection = await self._connection()
        due = loop.time() + chance.uniform(0, self._gap)
        while not self.stopped:
            await asyncio.sleep(max(0.0, due - loop.time()))
            kind = chance.choices(list(KINDS), WEIGHTS)[0]
            try:
                await KINDS[kind](connection, number, chance)
            except raftsql.Error as error:
                self.errors[type(error).__name__] += 1
            self.operations[kind] += 1
            self._took.setdefault("reads" if kind in READS else "writes", []).append(
                (loop.time() - due) * 1000
            )
            due += self._gap
        await connection.close()

    def latencies(self) -> dict[str, float]:
        """Milliseconds since this was last asked; nothing of what there was none of."""
        took, self._took = self._took, {}
        found = {}
        for kind, times in took.items():
            times.sort()
            found[f"{kind}_p50_ms"] = times[len(times) // 2]
            found[f"{kind}_p99_ms"] = times[len(times) * 99 // 100]
        return found


def _text(chance: random.Random) -> str:
    return chance.randbytes(WIDTH // 2).hex()


async def _update(connection: Any, client: int, chance: random.Random) -> None:
    sql = "UPDATE account SET balance = balance + ?, note = ? WHERE id = ?"
    await connection.execute(sql, (chance.randint(-9, 9), _text(chance), chance.randrange(ROWS)))


async def _replace(connection: Any, client: int, chance: random.Random) -> None:
    sql = "INSERT OR REPLACE INTO event(slot, client, body) VALUES(?, ?, ?)"
    await connection.execute(sql, (chance.randrange(ROWS), client, _text(chance)))


async def _queue(connection: Any, client: int, chance: random.Random) -> None:
    """Rows come at one end and go at the other."""
    await connection.execute(
        "INSERT INTO queue(client, body) VALUES(?, ?)", (client, _text(chance))
    )
    await connection.execute(
        "DELETE FROM queue WHERE id <= (SELECT max(id) FROM queue) - ?", (ROWS,)
    )


async def _transfer(connection: Any, client: int, chance: random.Random) -> None:
    source, target = chance.sample(range(ROWS), 2)
    move = "UPDATE account SET balance = balance + ? WHERE id = ?"
    async with connection.transaction("IMMEDIATE"):
        await connection.execute(move, (-1, source))
        await connection.execute(move, (1, target))


async def _read(connection: Any, client: int, chance: random.Random) -> None:
    cursor = await connection.execute(
        "SELECT * FROM account WHERE id = ?", (chance.randrange(ROWS),)
    )
    await cursor.fetchall()


async def _scan(connection: Any, client: int, chance: random.Random) -> None:
    """A few hundred rows of a node that need not lead."""
    cursor = await connection.execute(
        "SELECT * FROM event WHERE client = ?", (chance.randrange(CLIENTS),), consistency="session"
    )
    await cursor.fetchall()


KINDS: Final = {
    "update": _update,
    "replace": _replace,
    "queue": _queue,
    "transfer": _transfer,
    "read": _read,
    "scan": _scan,
}
WEIGHTS: Final = (30, 15, 10, 10, 30, 5)
READS: Final = {"read", "scan"}
