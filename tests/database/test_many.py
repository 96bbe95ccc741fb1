"""Many rows for one statement: a step of a transaction leaves what plain SQLite leaves."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raftsql.database.errors import Diverged, TakesLonger
from raftsql.database.machine import Machine
from raftsql.database.transaction import ABORTED, OpenTransaction
from raftsql.sql import commands
from raftsql.sql.commands import (
    Batch,
    CommandKind,
    Done,
    Failed,
    Many,
    Refusal,
    Settings,
    Statement,
    Step,
    Transaction,
)
from tests.database.conftest import Bench, Log, dump

ON = Settings.FOREIGN_KEYS
TABLE = "CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE, c DEFAULT (random()))"
INSERT = "INSERT INTO t(a, b) VALUES (?, ?)"
HEAVY = (
    "INSERT INTO t(b) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000)"
    " SELECT ? || max(i) FROM n"
)


def batch(sql: str, rows: Sequence[Any]) -> Batch:
    many = Many(sql, [row if isinstance(row, dict) else list(row) for row in rows])
    return Batch(many, commands.encode(many))


def run(open_: OpenTransaction, statement: Batch | str, **bounds: Any) -> Any:
    """One statement, at a clock and with a seed of its own."""
    number = open_.step_count + 1
    asked = Statement(statement) if isinstance(statement, str) else statement
    bounds.setdefault("fuel", 10_000)
    return open_.execute(asked, clock_ms=1_800_000_000_000 + number, seed=number, **bounds)


def committed(bench: Bench, open_: OpenTransaction) -> None:
    """End it, and let two other machines come to the same: in one go, and restarted often."""
    assert open_.problem() is None
    entry = bench.log.append(CommandKind.TRANSACTION, open_.steps())
    open_.seal(entry.index, entry.payload)
    open_.commit([entry])
    for name, at_once in (("follower", len(bench.log.entries)), ("restarted", 1)):
        path = bench.path.with_name(f"{name}.db")
        for start in range(0, len(bench.log.entries), at_once):
            machine = Machine.open(path)
            machine.apply(bench.log.entries[start : start + at_once])
            machine.close()
        assert dump(path) == dump(bench.path)


def test_a_batch_is_one_step_with_the_clients_own_bytes(bench: Any) -> None:
    bench.script(TABLE)
    open_ = bench.machine.begin(ON)
    sent = batch(INSERT, [(n, f"b{n}") for n in range(1, 1001)])
    assert run(open_, sent) == Done(1000, 1000)
    assert run(open_, "SELECT count(*), count(DISTINCT c) FROM t").rows == [[1000, 1000]]
    (step,) = open_.steps().steps
    assert step.many is sent.body
    assert (step.sql, step.parameters, step.changes) == ("", None, 1000)
    committed(bench, open_)
    assert len(bench.log.entries[-1].payload) < len(sent.body) + 100


class Case:
    """A batch beside what plain sqlite3 makes of it."""

    def __init__(
        self, schema: str | Sequence[str], sql: str, rows: Sequence[Any], *, fails_at: int = -1
    ) -> None:
        self.schema = [schema] if isinstance(schema, str) else list(schema)
        self.sql = sql
        self.rows = rows
        self.fails_at = fails_at


PLAIN = "CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE, c)"
TRIGGER = (
    PLAIN,
    "CREATE TABLE log(x, y)",
    "CREATE TRIGGER tr AFTER INSERT ON t BEGIN"
    " INSERT INTO log VALUES (NEW.a, last_insert_rowid()), (NEW.b, changes()); END",
)
THREE = (PLAIN, "INSERT INTO t(a, b) VALUES (1, 1), (2, 2), (3, 3)")
CASES = {
    "no rows": Case(PLAIN, INSERT, []),
    "one row": Case(PLAIN, INSERT, [(1, 2)]),
    "plain": Case(PLAIN, INSERT, [(n, n) for n in range(50)]),
    "the first fails": Case(PLAIN, INSERT, [("x", 1), (2, 2)], fails_at=0),
    "the second fails": Case(PLAIN, INSERT, [(1, 1), (1, 2), (3, 3)], fails_at=1),
    "the last fails": Case(PLAIN, INSERT, [(1, 1), (2, 2), (3, 2)], fails_at=2),
    "a type": Case(PLAIN, INSERT, [(1, 1), (2, 2), ("x", 3), (4, 4)], fails_at=2),
    "too few": Case(PLAIN, INSERT, [(1, 1), (2, 2), (3,), (4, 4)], fails_at=2),
    "strict": Case(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b INT) STRICT",
        INSERT,
        [(1, 1), (2, "x")],
        fails_at=1,
    ),
    "or ignore": Case(PLAIN, INSERT.replace("INTO", "OR IGNORE INTO"), [(1, 1), (1, 2), (3, 3)]),
    "or replace": Case(PLAIN, INSERT.replace("INTO", "OR REPLACE INTO"), [(1, 1), (1, 2), (3, 2)]),
    "or fail": Case(
        PLAIN,
        "INSERT OR FAIL INTO t(a, b) SELECT ?1 + i, ?2 || i FROM (SELECT 0 AS i UNION SELECT 1)",
        [(1, "x"), (3, "y"), (4, "z")],
        fails_at=2,
    ),
    "upsert": Case(
        PLAIN,
        f"{INSERT} ON CONFLICT(a) DO UPDATE SET c = coalesce(c, 0) + excluded.b",
        [(1, 10), (1, 20), (2, 30), (1, 40)],
    ),
    "names": Case(
        PLAIN, "INSERT INTO t(a, b) VALUES (:a, :b)", [{"a": 1, "b": 2}, {"a": 2, "b": 3}]
    ),
    "returning": Case(PLAIN, f"{INSERT} RETURNING a, b", [(1, 1), (2, 2), (2, 3)], fails_at=2),
    "update": Case(
        THREE,
        "UPDATE t SET b = ?2 WHERE a >= ?1",
        [(3, 7), (9, 8), (2, 9), (1, 1)],
        fails_at=2,
    ),
    "delete": Case(
        THREE,
        "DELETE FROM t WHERE a > ?1 AND a <= ?2",
        [(0, 1), (1, 1), (1, 3)],
    ),
    "trigger": Case(TRIGGER, INSERT, [(5, 1), (7, 2), (8, 3), (7, 4)], fails_at=3),
    "raise": Case(
        (
            PLAIN,
            "CREATE TRIGGER tr AFTER INSERT ON t WHEN NEW.b > 2 BEGIN"
            " SELECT RAISE(FAIL, 'too much'); END",
        ),
        INSERT,
        [(1, 1), (2, 2), (3, 3), (4, 4)],
        fails_at=2,
    ),
    "foreign key": Case(
        (PLAIN, "CREATE TABLE child(a REFERENCES t(a))", "INSERT INTO t(a) VALUES (1)"),
        "INSERT INTO child VALUES (?)",
        [(1,), (2,), (1,)],
        fails_at=1,
    ),
    "full text": Case(
        "CREATE VIRTUAL TABLE t USING fts5(a, b)", INSERT, [(f"a {n}", f"b {n}") for n in range(20)]
    ),
    "beside full text": Case(
        (
            "CREATE VIRTUAL TABLE f USING fts5(x)",
            PLAIN,
            "CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO f VALUES (NEW.b); END",
        ),
        INSERT,
        [(1, "x"), (2, "y"), (3, "y")],
        fails_at=2,
    ),
    "schema": Case(PLAIN, "CREATE TABLE IF NOT EXISTS u(a)", [(), ()]),
}


def by_sqlite(case: Case, times: int) -> tuple[dict[str, list[Any]], bool]:
    """What plain sqlite3 leaves in all tables, and whether it failed."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    for sql in case.schema:
        connection.execute(sql)
    connection.execute("BEGIN")
    failed = False
    for _ in range(times):
        try:
            if case.sql.startswith("CREATE"):
                connection.execute(case.sql)
            else:
                connection.executemany(case.sql, case.rows)
        except sqlite3.Error:
            failed = True
    assert connection.in_transaction
    names = (
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'f\\_%' ESCAPE '\\'"
    )
    tables = [name for (name,) in connection.execute(names)]
    left = {n: connection.execute(f'SELECT * FROM "{n}"').fetchall() for n in tables}
    connection.close()
    return left, failed


@pytest.mark.parametrize("times", [1, 2], ids=["once", "known"])
@pytest.mark.parametrize("name", CASES)
def test_a_batch_leaves_what_sqlite3_leaves_inside_a_transaction(
    bench: Any, name: str, times: int
) -> None:
    case = CASES[name]
    left, failed = by_sqlite(case, times)
    for sql in case.schema:
        assert isinstance(bench.sql(sql), Done)
    open_ = bench.machine.begin(ON)
    answers = [run(open_, batch(case.sql, case.rows)) for _ in range(times)]
    assert any(isinstance(answer, Failed) for answer in answers) is failed
    if case.fails_at >= 0:
        assert (answers[0].refusal, answers[0].row) == (Refusal.SQL, case.fails_at)
    committed(bench, open_)
    for table, rows in left.items():
        if "_" not in table:
            assert [tuple(row) for row in bench.rows(f'SELECT * FROM "{table}"')] == rows


def test_what_ends_a_transaction_in_sqlite_ends_it_in_the_middle_of_a_batch(bench: Any) -> None:
    bench.script(TABLE)
    open_ = bench.machine.begin(ON)
    run(open_, INSERT.replace("?, ?", "1, 1"))
    answer = run(open_, batch(INSERT.replace("INTO", "OR ROLLBACK INTO"), [(2, 2), (1, 3), (4, 4)]))
    assert answer.row == 1
    assert open_.aborted
    assert run(open_, "SELECT 1") == ABORTED
    open_.roll_back()
    assert bench.rows("SELECT * FROM t") == []


def test_a_batch_without_fuel_is_undone_with_its_transaction(bench: Any) -> None:
    bench.script(TABLE)
    open_ = bench.machine.begin(ON)
    answer = run(open_, batch(HEAVY, [(n,) for n in range(50)]), fuel=2_000)
    assert answer.refusal is Refusal.FUEL
    assert open_.aborted
    open_.roll_back()
    assert bench.rows("SELECT * FROM t") == []


def test_the_last_row_number_is_refused_in_a_batch_too(bench: Any) -> None:
    bench.script(TABLE)
    for _ in range(2):
        open_ = bench.machine.begin(ON)
        answer = run(open_, batch(INSERT, [(1, 1), (2, 2), ((1 << 63) - 1, 3), (4, 4)]))
        assert answer.refusal is Refusal.DETERMINISM
        assert open_.aborted
        open_.roll_back()


@pytest.mark.parametrize("wanted", ["patience", "unwanted"])
def test_a_batch_that_is_stopped_is_undone_with_all_its_rows(bench: Any, wanted: str) -> None:
    bench.script(TABLE)
    open_ = bench.machine.begin(ON)
    run(open_, batch(INSERT, [(1, 1), (2, 2)]))
    drawn = run(open_, "SELECT c FROM t ORDER BY a").rows
    rows = [(n,) for n in range(100)]
    meter = bench.machine._writer.meter
    bounds: dict[str, Any] = {"patience": 2_000}
    if wanted == "unwanted":
        bounds = {"unwanted": lambda: meter.burnt > 2_000}
    with pytest.raises(TakesLonger):
        run(open_, batch(HEAVY, rows), **bounds)
    assert open_.step_count == 1
    assert run(open_, "SELECT c FROM t ORDER BY a").rows == drawn
    assert run(open_, batch(HEAVY, rows), fuel=100_000) == Done(100, 102)
    assert open_.is_long
    committed(bench, open_)


def test_only_a_batch_that_burns_much_makes_its_transaction_a_long_one(bench: Any) -> None:
    bench.script(TABLE)
    open_ = bench.machine.begin(ON)
    run(open_, batch(INSERT, [(n, n) for n in range(100)]))
    assert not open_.is_long
    run(open_, batch(INSERT, [(n, n) for n in range(100, 10_000)]))
    assert open_.is_long
    open_.roll_back()


def test_rolling_back_to_a_savepoint_takes_the_rows_of_a_batch_back(bench: Any) -> None:
    bench.script(TABLE)
    open_ = bench.machine.begin(ON)
    run(open_, batch(INSERT, [(1, 1), (2, 2)]))
    run(open_, "SAVEPOINT s")
    assert run(open_, batch(INSERT, [(3, 3), (4, 4), (1, 5)])).row == 2
    assert run(open_, "SELECT count(*) FROM t").rows == [[4]]
    run(open_, "ROLLBACK TO s")
    assert run(open_, batch(INSERT, [(3, 30), (5, 50)])) == Done(2, 5)
    committed(bench, open_)
    assert bench.rows("SELECT a, b FROM t") == [(1, 1), (2, 2), (3, 30), (5, 50)]


def test_rolling_back_takes_all_batches_back(bench: Any) -> None:
    bench.script(TABLE)
    before = dump(bench.path)
    open_ = bench.machine.begin(ON)
    run(open_, batch(INSERT, [(n, n) for n in range(5_000)]))
    open_.roll_back()
    assert dump(bench.path) == before


def test_a_leader_that_dies_in_the_middle_of_a_batch_has_none_of_it(bench: Any) -> None:
    bench.script(TABLE)
    before, applied = dump(bench.path), bench.machine.applied
    bench.machine._writer.statements.own("PRAGMA cache_size = 10")  # Much of it reaches the disk.
    open_ = bench.machine.begin(ON)
    run(open_, batch(INSERT, [(n, "x" * 1000 + str(n)) for n in range(3_000)]))
    dead = bench.path.with_name("dead.db")
    for suffix in ("", "-wal"):
        shutil.copy(f"{bench.path}{suffix}", f"{dead}{suffix}")
    assert Path(f"{dead}-wal").stat().st_size > 1_000_000
    open_.roll_back()
    again = Machine.open(dead)
    assert dump(dead) == before
    assert again.applied == applied
    again.apply([bench.log.sql(INSERT, [1, 1])])
    again.close()


def test_returning_gives_nothing_back_and_is_not_held_in_memory(bench: Any) -> None:
    bench.script(TABLE)
    open_ = bench.machine.begin(ON)
    sql = "INSERT INTO t(b) VALUES (?) RETURNING b || zeroblob(1000000)"
    assert run(open_, batch(sql, [(n,) for n in range(30)])) == Done(30, 30)
    committed(bench, open_)


@pytest.mark.parametrize(("changes", "failed"), [(3, False), (2, True)])
def test_a_batch_that_comes_to_something_else_stops_the_machine(
    bench: Any, changes: int, failed: bool
) -> None:
    bench.script(TABLE)
    body = batch(INSERT, [(1, 1), (2, 2)]).body
    step = Step("", None, 0, 1, changes, failed, body)
    with pytest.raises(Diverged, match=r"statement 1 .* changed 2 rows .* INSERT INTO t"):
        bench.apply(bench.log.append(CommandKind.TRANSACTION, Transaction([step])))


def test_a_replay_ends_patience_in_the_middle_of_a_batch_and_begins_anew(bench: Any) -> None:
    bench.script(TABLE)
    body = batch(HEAVY, [(n,) for n in range(10)]).body
    steps = [Step("", None, 0, 1, 10, False, body)]
    entry = bench.log.append(CommandKind.TRANSACTION, Transaction(steps))
    with pytest.raises(TakesLonger):
        bench.machine.apply([entry], patience=20)
    assert bench.rows("SELECT * FROM t") == []
    bench.apply(entry)
    assert bench.rows("SELECT count(*) FROM t") == [(10,)]


# Whatever is mixed, all machines come to the same, and to what sqlite3 comes to.

TABLES = (
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE)",
    "CREATE TABLE log(n INTEGER PRIMARY KEY, x)",
    "CREATE TRIGGER tr AFTER INSERT ON t WHEN NEW.b % 3 = 0 BEGIN"
    " INSERT INTO log(x) VALUES (NEW.b * 100 + changes()); END",
)
TEXTS = (
    "INSERT INTO t(a, b) VALUES (?, ?)",
    "INSERT OR REPLACE INTO t(a, b) VALUES (?, ?)",
    "INSERT OR IGNORE INTO t(a, b) VALUES (?, ?)",
    "UPDATE t SET b = ?2 WHERE a = ?1",
    "DELETE FROM t WHERE a = ? OR b = ?",
    "INSERT INTO log(n, x) VALUES (?, ?) RETURNING n",
)
VALUES = st.integers(1, 12)
BATCHES = st.tuples(
    st.sampled_from(TEXTS), st.lists(st.tuples(VALUES, st.one_of(VALUES, VALUES, st.just("x"))))
)
ASKED = st.lists(
    st.one_of(BATCHES, st.sampled_from(("SAVEPOINT s", "ROLLBACK TO s", "RELEASE s"))), max_size=12
)


def plainly(asked: Sequence[Any]) -> Iterator[list[Any]]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for sql in TABLES:
        connection.execute(sql)
    connection.execute("BEGIN")
    for each in asked:
        try:
            if isinstance(each, str):
                connection.execute(each)
            else:
                connection.executemany(*each)
        except sqlite3.Error:
            pass
    yield connection.execute("SELECT * FROM t").fetchall()
    yield connection.execute("SELECT * FROM log").fetchall()
    connection.close()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=ASKED, virtual=st.booleans())
def test_any_mix_of_batches_and_savepoints_comes_to_what_sqlite3_comes_to(
    tmp_path_factory: pytest.TempPathFactory, asked: list[Any], virtual: bool
) -> None:
    bench = Bench(Path(tmp_path_factory.mktemp("mix")) / "leader.db")
    bench.script(*TABLES)
    if virtual:
        bench.sql("CREATE VIRTUAL TABLE f USING fts5(x)")
    open_ = bench.machine.begin(ON)
    for each in asked:
        run(open_, each if isinstance(each, str) else batch(*each))
    committed(bench, open_)
    t, log = plainly(asked)
    assert bench.rows("SELECT * FROM t") == t
    assert bench.rows("SELECT * FROM log") == log
    bench.machine.close()


def test_a_log_with_batches_is_the_same_from_any_start(tmp_path: Path) -> None:
    log = Log()
    log.script(TABLE)
    first = batch(INSERT, [(n, n) for n in range(100)]).body
    log.append(CommandKind.TRANSACTION, Transaction([Step("", None, 5, 9, 100, False, first)]))
    for name in ("a.db", "b.db"):
        Machine.open(tmp_path / name).apply(log.entries)
    assert dump(tmp_path / "a.db") == dump(tmp_path / "b.db")
