"""How fast the machine applies, beside bare apsw that runs the same statements.

    python -m benchmarks.apply [--entries 200000]

Each row of the table inserts the same rows twice in one run: through `Machine.apply` (decoding of
header and body, exactly-once sessions, pinned environment, fuel, answers) and through a bare apsw
connection with one transaction a batch. "execute" is `connection.execute`, what a program would
write; "cursor" reuses one cursor, the fastest loop apsw allows. CPU time is measured, so that
neighbours on the machine disturb less. Choose the disk with TMPDIR.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time

import apsw

from raftsql.database.machine import Machine
from raftsql.raft.messages import Entry, EntryKind
from raftsql.sql import commands
from raftsql.sql.commands import CommandKind

INSERT = "INSERT INTO t(a, b) VALUES (?, ?)"
TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)"
ROUNDS = 3


def entry(index: int, kind: CommandKind, body: object, *, session: int, sequence: int) -> Entry:
    payload = commands.seal(
        kind,
        commands.encode(body),
        clock_ms=1_700_000_000_000 + index,
        seed=index,
        session=session,
        sequence=sequence,
        floor=max(0, sequence - 200),
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


def through_machine(count: int, batch: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        machine = opened(folder)
        entries = [
            entry(
                n + 3,
                CommandKind.EXECUTE,
                commands.Statement(INSERT, [n, f"value {n}"]),
                session=1,
                sequence=n + 2,
            )
            for n in range(count)
        ]
        batches = [entries[at : at + batch] for at in range(0, count, batch)]
        start = process_time()
        for each in batches:
            machine.apply(each)
        spent = process_time() - start
        machine.close()
    return spent


def bare(folder: str) -> apsw.Connection:
    connection = apsw.Connection(str(Path(folder) / "bare.db"))
    connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
    connection.wal_autocheckpoint(0)
    connection.execute(TABLE)
    return connection


def through_apsw(count: int, batch: int, *, reuse: bool) -> float:
    with tempfile.TemporaryDirectory() as folder:
        connection = bare(folder)
        execute = connection.cursor().execute if reuse else connection.execute
        rows = [(n, f"value {n}") for n in range(count)]
        batches = [rows[at : at + batch] for at in range(0, count, batch)]
        start = process_time()
        for each in batches:
            execute("BEGIN IMMEDIATE")
            for row in each:
                execute(INSERT, row)
            execute("COMMIT")
        spent = process_time() - start
        connection.close()
    return spent


def many_through_machine(rows: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        machine = opened(folder)
        body = commands.Many(INSERT, [[n, f"value {n}"] for n in range(rows)])
        command = entry(3, CommandKind.MANY, body, session=1, sequence=2)
        start = process_time()
        machine.apply([command])
        spent = process_time() - start
        machine.close()
    return spent


def many_through_apsw(rows: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        connection = bare(folder)
        body = [(n, f"value {n}") for n in range(rows)]
        start = process_time()
        with connection:
            connection.executemany(INSERT, body)
        spent = process_time() - start
        connection.close()
    return spent


def best(measure: Callable[[], float]) -> float:
    return min(measure() for _ in range(ROUNDS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=200_000)
    entries = parser.parse_args().entries
    print(f"{'entries a batch':>16} {'machine/s':>11} {'execute/s':>11} {'cursor/s':>11}  ratio")
    for batch in (1, 10, 100, 1000):
        count = entries if batch > 1 else entries // 4

        def machine(count: int = count, batch: int = batch) -> float:
            return through_machine(count, batch)

        def execute(count: int = count, batch: int = batch) -> float:
            return through_apsw(count, batch, reuse=False)

        def cursor(count: int = count, batch: int = batch) -> float:
            return through_apsw(count, batch, reuse=True)

        ours, theirs, fastest = best(machine), best(execute), best(cursor)
        print(
            f"{batch:>16} {count / ours:>11,.0f} {count / theirs:>11,.0f}"
            f" {count / fastest:>11,.0f}  {ours / theirs:.2f} / {ours / fastest:.2f}",
            flush=True,
        )
    for rows in (1_000, 100_000):
        ours = best(lambda rows=rows: many_through_machine(rows))
        theirs = best(lambda rows=rows: many_through_apsw(rows))
        print(
            f"executemany of {rows:,} rows: {rows / ours:,.0f} rows/s,"
            f" bare {rows / theirs:,.0f}/s, ratio {ours / theirs:.2f}"
        )


if __name__ == "__main__":
    main()
