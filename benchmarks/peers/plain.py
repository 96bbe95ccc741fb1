"""sqlite3 on one file with synchronous=FULL: what one disk allows, with no network and no copy."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

from benchmarks.driver_loads import local
from benchmarks.loads import alone
from benchmarks.results import Measured
from benchmarks.work import (
    BIG,
    FILLED_ROWS,
    INSERT,
    MIXED_READS,
    NAME,
    RANGE,
    RANGE_FROM,
    READ_ID,
    SELECT,
    UPDATE,
    Client,
    Work,
)


class Plain:
    """One connection. More clients would only wait for it: a file has one writer."""

    by = "sqlite3"

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = list(addresses)
        """The path of the file."""

    def run(self, work: Work, *, clients: int, seconds: float) -> Measured | None:
        """Only one client, and only what has no level to choose."""
        if clients > 1 or work.level != "linearizable" or work.at == "follower":
            return None
        connection = local(Path(self.addresses[0]))
        measured = alone(asking(connection, work), seconds=seconds)
        connection.close()
        return measured

    def fill(self) -> None:
        """Make the table foo."""
        connection = local(Path(self.addresses[0]))
        connection.execute("CREATE TABLE foo (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("BEGIN")
        connection.executemany(INSERT, [(NAME,)] * FILLED_ROWS)
        connection.execute("COMMIT")
        connection.close()


def asking(connection: sqlite3.Connection, work: Work) -> Callable[[], object]:
    """What is done in a turn."""
    run, values = connection.execute, (work.name,)
    rows = [values] * work.rows

    def batch() -> None:
        if work.inside:
            run("BEGIN")
        connection.executemany(INSERT, rows)
        if work.inside:
            run("COMMIT")

    def transaction() -> None:
        run("BEGIN IMMEDIATE")
        run(INSERT, values)
        run(UPDATE, (READ_ID,))
        run(SELECT, (READ_ID,)).fetchone()
        run("COMMIT")

    mixed = cycle(
        [lambda: run(INSERT, values)] + [lambda: run(SELECT, (READ_ID,)).fetchone()] * MIXED_READS
    )
    asked: dict[str, Callable[[], object]] = {
        "insert": lambda: run(INSERT, values),
        "batch": batch,
        "transaction": transaction,
        "read": lambda: run(SELECT, (READ_ID,)).fetchone(),
        "range": lambda: run(RANGE, (RANGE_FROM, RANGE_FROM + work.rows)).fetchall(),
        "big": lambda: run(BIG, (work.rows,)).fetchall(),
        "mixed": lambda: next(mixed)(),
    }
    return asked[work.kind]


class PlainFile:
    """A file in a folder that goes; no process but the client's."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="raftsql-peer-")
        self.clients: Sequence[Client] = [Plain([str(Path(self._temporary.name) / "plain.db")])]

    def __enter__(self) -> PlainFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._temporary.cleanup()

    def pids(self) -> list[int]:
        """None."""
        return []
