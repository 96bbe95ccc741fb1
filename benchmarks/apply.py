"""How fast the machine applies, beside bare apsw that runs the same statements.

    python -m benchmarks.apply [--entries 200000]

Each row of the table inserts the same rows through `Machine.apply` and through bare apsw with one
transaction a batch, in three forms:

* "ready": `connection.execute` with parameters that lie ready. It does less: nothing is decoded,
  nothing answered, and nothing is kept that would let a write be asked again.
* "same work": the same loop over the same payloads. It decodes header and body of each, executes,
  and packs the answer; no sessions, no pinned clock and chance, no fuel, no position.
* "cursor": the same work again, with one cursor for all instead of one an execute.

The machine's noise is many times the difference that matters, so the four take turns, a few
batches each, in one process, and the median turn of each is compared. Wall time and CPU time are
shown apart. Choose the disk with TMPDIR.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import NamedTuple

import apsw

from raftsql.database.headers import HEADER_BYTES, decode_pair
from raftsql.database.machine import Machine
from raftsql.raft.messages import Entry, EntryKind
from raftsql.sql import commands
from raftsql.sql.commands import CommandKind, encode

INSERT = "INSERT INTO t(a, b) VALUES (?, ?)"
TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)"
TURN_ENTRIES = 5_000
"""What one contestant does before the next has its turn, or one batch if that is larger."""
MANY_ROUNDS = 7

Turn = list[list[Entry]]
"""Batches that are applied one after another."""


class Spent(NamedTuple):
    """What one turn took, in seconds."""

    wall: float
    cpu: float


def entry(
    index: int, kind: CommandKind, body: object, *, session: int, sequence: int, flight: int = 1
) -> Entry:
    """A command of a client that waits for the answers of so many writes at once."""
    payload = commands.seal(
        kind,
        commands.encode(body),
        clock_ms=1_700_000_000_000 + index,
        seed=index,
        session=session,
        sequence=sequence,
        floor=max(0, sequence - flight),
    )
    return Entry(1, index, EntryKind.COMMAND, payload)


def opened(folder: str) -> Machine:
    machine = Machine.open(Path(folder) / "machine.db")
    table = commands.Statement(TABLE)
    machine.apply(
        [
            entry(
                1, CommandKind.OPEN_SESSION, commands.OpenSession(b"n", 1), session=0, sequence=0
            ),
            entry(2, CommandKind.EXECUTE, table, session=1, sequence=1),
        ]
    )
    return machine


def bare(folder: str, name: str) -> apsw.Connection:
    connection = apsw.Connection(str(Path(folder) / f"{name}.db"))
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.wal_autocheckpoint(0)
    connection.execute(TABLE)
    return connection


def turns(entries: int, batch: int) -> Iterator[Turn]:
    """The log in turns of a few batches."""
    batches = max(1, TURN_ENTRIES // batch)
    index = 3
    for _ in range(entries // (batches * batch)):
        turn = []
        for _ in range(batches):
            turn.append(
                [
                    entry(
                        n,
                        CommandKind.EXECUTE,
                        commands.Statement(INSERT, [n, f"value {n}"]),
                        session=1,
                        sequence=n,
                        flight=2 * batch,
                    )
                    for n in range(index, index + batch)
                ]
            )
            index += batch
        yield turn


def timed(action: Callable[[], object]) -> Spent:
    wall, cpu = perf_counter(), process_time()
    action()
    return Spent(perf_counter() - wall, process_time() - cpu)


def through_machine(machine: Machine, turn: Turn) -> Spent:
    def run() -> None:
        for batch in turn:
            machine.apply(batch)

    return timed(run)


def ready(connection: apsw.Connection, turn: Turn) -> Spent:
    rows = [[(e.index, f"value {e.index}") for e in batch] for batch in turn]
    execute = connection.execute

    def run() -> None:
        for batch in rows:
            execute("BEGIN IMMEDIATE")
            for row in batch:
                execute(INSERT, row)
            execute("COMMIT")

    return timed(run)


def same_work(connection: apsw.Connection, turn: Turn, *, one_cursor: bool) -> Spent:
    execute = connection.cursor().execute if one_cursor else connection.execute
    unpack = commands.HEADER.unpack_from
    changes, last_insert_rowid = connection.changes, connection.last_insert_rowid

    def run() -> None:
        for batch in turn:
            answers = []
            execute("BEGIN IMMEDIATE")
            for each in batch:
                unpack(each.payload)
                sql, parameters = decode_pair(each.payload[HEADER_BYTES:])
                execute(sql, parameters)
                answers.append(encode((0, changes(), last_insert_rowid(), None, None)))
            execute("COMMIT")

    return timed(run)


def contest(entries: int, batch: int) -> dict[str, list[Spent]]:
    """Let all take turns at the same log."""
    found: dict[str, list[Spent]] = {"machine": [], "ready": [], "same": [], "cursor": []}
    with tempfile.TemporaryDirectory() as folder:
        machine = opened(folder)
        connections = {name: bare(folder, name) for name in ("ready", "same", "cursor")}
        for turn in turns(entries, batch):
            found["machine"].append(through_machine(machine, turn))
            found["ready"].append(ready(connections["ready"], turn))
            found["same"].append(same_work(connections["same"], turn, one_cursor=False))
            found["cursor"].append(same_work(connections["cursor"], turn, one_cursor=True))
        machine.close()
        for connection in connections.values():
            connection.close()
    return found


def show(entries: int, batch: int, found: dict[str, list[Spent]]) -> None:
    """One line for each clock: entries a second, and by what the machine's time is divided."""
    size = max(1, TURN_ENTRIES // batch) * batch
    for clock in Spent._fields:
        middle = {name: median(getattr(s, clock) for s in spent) for name, spent in found.items()}
        rates = "".join(f" {size / seconds:>11,.0f}" for seconds in middle.values())
        ratios = "".join(
            f" {middle['machine'] / middle[name]:>6.2f}" for name in ("ready", "same", "cursor")
        )
        print(f"{batch:>6} {clock:>5}{rates}  {ratios}", flush=True)


def many(rows: int) -> None:
    """One command of many rows, beside `executemany` of ready rows."""
    ours: list[Spent] = []
    theirs: list[Spent] = []
    body: Sequence[list[object]] = [[n, f"value {n}"] for n in range(rows)]
    for _ in range(MANY_ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            machine, connection = opened(folder), bare(folder, "bare")
            command = entry(
                3, CommandKind.MANY, commands.Many(INSERT, list(body)), session=1, sequence=2
            )
            ours.append(through_machine(machine, [[command]]))

            def run(connection: apsw.Connection = connection) -> None:
                with connection:
                    connection.executemany(INSERT, body)

            theirs.append(timed(run))
            machine.close()
            connection.close()
    for clock in Spent._fields:
        mine = median(getattr(s, clock) for s in ours)
        bares = median(getattr(s, clock) for s in theirs)
        print(
            f"executemany of {rows:,} rows, {clock}: {rows / mine:,.0f} rows/s,"
            f" bare {rows / bares:,.0f}/s, ratio {mine / bares:.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=100_000)
    entries = parser.parse_args().entries
    names = "".join(f" {name + '/s':>11}" for name in ("machine", "ready", "same work", "cursor"))
    print(f"{'batch':>6} {'clock':>5}{names}   machine's time by ready, same work, cursor")
    for batch in (1, 10, 100, 1000):
        count = max(TURN_ENTRIES, entries if batch > 1 else entries // 5)
        show(count, batch, contest(count, batch))
    for rows in (1_000, 100_000):
        many(rows)


if __name__ == "__main__":
    main()
