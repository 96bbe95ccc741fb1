"""Readers at every node, and a writer, that hold each answer against what it has to be."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable
from typing import Any

import raftsql
from tests.operations.beside import Beside

ROWS = 4_000
"""Of a table that nobody changes: some 500 pages, of which any may be the damaged one."""
RANGE = 40


def body(number: int) -> str:
    """What a row holds, known without asking; no two rows have a line of it in common."""
    return hashlib.sha256(str(number).encode()).hexdigest() * 8


class Watch(Beside):
    """Reads rows that are known, and a count that never falls short of what was acknowledged."""

    def __init__(self, addresses: list[str]) -> None:
        """Every node is read through by a thread of its own; all are written through by one."""
        super().__init__()
        self._addresses = addresses
        self.wrong: list[str] = []
        self.acknowledged = 0
        self.answers = dict.fromkeys(addresses, 0)
        self.refusals = 0
        """Errors that say so are allowed while a node is away; wrong answers never."""
        self._threads = [threading.Thread(target=self._read, args=(one,)) for one in addresses]
        self._threads.append(threading.Thread(target=self._write))

    def __enter__(self) -> Watch:
        with self._connected(",".join(self._addresses)) as connection:
            connection.execute("CREATE TABLE item(id INTEGER PRIMARY KEY, body TEXT)")
            connection.execute("CREATE TABLE tick(n INTEGER PRIMARY KEY)")
            rows = [(number, body(number)) for number in range(ROWS)]
            for start in range(0, ROWS, 500):
                connection.executemany("INSERT INTO item VALUES (?, ?)", rows[start : start + 500])
        self._begin()
        return self

    def _connected(self, place: str) -> Any:
        return raftsql.connect(f"raftsql://{place}/", autocommit=True, timeout=10.0)

    def _repeat(self, place: str, act: Callable[[Any], None]) -> None:
        """Act on one connection after another, until it is over."""
        while not self._stop.is_set():
            try:
                with self._connected(place) as connection:
                    while not self._stop.is_set():
                        act(connection)
            except raftsql.OutcomeUnknown:
                self.refusals += 1
            except raftsql.Error:
                self.refusals += 1
                self._stop.wait(0.05)

    def _write(self) -> None:
        def act(connection: Any) -> None:
            following = self.acknowledged + 1
            connection.execute("INSERT OR IGNORE INTO tick VALUES (?)", (following,))
            self.acknowledged = following
            self._stop.wait(0.005)

        self._repeat(",".join(self._addresses), act)

    def _read(self, place: str) -> None:
        luck = random.Random(place)

        def act(connection: Any) -> None:
            first = luck.randrange(ROWS - RANGE)
            level = luck.choice(["stale", "linearizable"])
            asked = (first, first + RANGE)
            found = connection.execute(
                "SELECT id, body FROM item WHERE id >= ? AND id < ?", asked, consistency=level
            ).fetchall()
            rows = [(number, body(number)) for number in range(*asked)]
            # A node that is being filled answers stale reads by what there was: the first rows.
            if found != (rows[: len(found)] if level == "stale" else rows):
                self.wrong.append(f"{place} at {level}: rows {asked} are {found}")
            least = self.acknowledged
            ((count,),) = connection.execute("SELECT count(*) FROM tick").fetchall()
            if count < least:
                self.wrong.append(f"{place}: {count} of {least} acknowledged writes")
            self.answers[place] += 1

        self._repeat(place, act)

    def goes_on(self, wait_until: Callable[[Callable[[], bool], str], None]) -> None:
        """Wait until every reader has had answers since, and the writer too."""
        answers, written = dict(self.answers), self.acknowledged

        def further() -> bool:
            read = all(self.answers[place] > answers[place] for place in answers)
            return read and self.acknowledged > written

        wait_until(further, "every reader and the writer to get further")
