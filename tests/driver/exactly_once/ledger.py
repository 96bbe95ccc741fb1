"""What was done, as its callers saw it, and the proof that the tables say the same.

Each operation writes its name into `ledger` a known number of times; nothing there keeps it from
being written twice. A trigger counts for each worker, so that an effect of an effect is held to the
same rule.
"""

from __future__ import annotations

import threading
from collections import Counter
from enum import Enum
from typing import Any, Final

import raftsql

SCHEMA: Final = """
CREATE TABLE ledger(number INTEGER PRIMARY KEY, worker INTEGER NOT NULL, operation TEXT NOT NULL);
CREATE TABLE counter(worker INTEGER PRIMARY KEY, n INTEGER NOT NULL);
CREATE TRIGGER count AFTER INSERT ON ledger BEGIN
    UPDATE counter SET n = n + 1 WHERE worker = new.worker;
END;
"""
INSERT: Final = "INSERT INTO ledger(worker, operation) VALUES(?, ?)"


class Fate(Enum):
    """What a caller was told."""

    DONE = "done"
    UNKNOWN = "unknown"
    NEVER = "never"


def fate_of(error: raftsql.Error) -> Fate:
    """What an error promises; one that has no place here is raised again."""
    if isinstance(error, raftsql.OutcomeUnknown):
        return Fate.UNKNOWN
    allowed = (raftsql.SerializationFailure, raftsql.Unavailable, raftsql.TimedOut)
    if isinstance(error, allowed):
        return Fate.NEVER
    raise error


class Ledger:
    """The callers' side of the story."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, tuple[int, Fate, int, int | None]] = {}
        """By operation: worker, fate, how many rows it writes, the last one's number if told."""
        self.impatient: list[str] = []
        """What patient callers were told that they should never hear."""

    def note(
        self, worker: int, operation: str, fate: Fate, rows: int, last_row: int | None = None
    ) -> None:
        """Keep what the caller of an operation was told."""
        with self._lock:
            assert operation not in self._rows, "an operation's name is used once"
            self._rows[operation] = (worker, fate, rows, last_row)

    def fates(self) -> Counter[str]:
        """How many of each."""
        return Counter(fate.value for _, fate, _, _ in self._rows.values())

    def anomalies(self, connection: raftsql.Connection) -> list[str]:
        """Where the tables and the callers disagree."""
        written: Counter[str] = Counter()
        last: dict[str, int] = {}
        by_worker: Counter[int] = Counter()
        query = "SELECT number, worker, operation FROM ledger ORDER BY number"
        for number, worker, operation in connection.execute(query):
            written[operation] += 1
            last[operation] = number
            by_worker[worker] += 1
        found = [f"{name} was never asked for" for name in written.keys() - self._rows.keys()]
        for name, told in self._rows.items():
            found += _contradiction(name, told, written[name], last.get(name))
        counted: dict[Any, Any] = dict(connection.execute("SELECT worker, n FROM counter"))
        found += [
            f"worker {worker}: {n} counted, {by_worker[worker]} in the ledger"
            for worker, n in counted.items()
            if n != by_worker[worker]
        ]
        return found + self.impatient


def _contradiction(
    name: str, told: tuple[int, Fate, int, int | None], written: int, last: int | None
) -> list[str]:
    _, fate, rows, last_row = told
    right = {Fate.DONE: {rows}, Fate.UNKNOWN: {0, rows}, Fate.NEVER: {0}}[fate]
    if written not in right:
        return [f"{name}: {fate.value}, {rows} rows each time, and {written} are there"]
    if fate is Fate.DONE and last_row is not None and last_row != last:
        return [f"{name}: lastrowid was {last_row}, and its row is {last}"]
    return []
