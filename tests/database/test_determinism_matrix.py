"""The matrix: machines that differ in everything but the log come to the same, value for value."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raftsql.database.environment import UNIX_EPOCH_JULIAN_MS
from raftsql.database.machine import Machine
from raftsql.raft.messages import Entry
from raftsql.sql import commands
from raftsql.sql.commands import Done, Failed
from raftsql.sql.determinism import judge
from raftsql.sql.verdict import Mode
from tests.database.conftest import CLOCK_MS, Bench, Log, dump
from tests.database.matrix import CASES, REFUSED, Case


class OtherClock(apsw.VFS):
    """What a machine finds beneath itself: a real clock that is decades off."""

    def __init__(self) -> None:
        self.vfs_name = f"other-clock-{id(self)}"
        super().__init__(self.vfs_name, "")

    def xCurrentTimeInt64(self) -> int:
        return UNIX_EPOCH_JULIAN_MS + 4_000_000_000_000


def cache(machine: Machine, size: int) -> None:
    machine._writer.statements.own(f"PRAGMA cache_size = {size}")


def in_one_go(path: Path, entries: Sequence[Entry]) -> list[bytes | None]:
    machine = Machine.open(path)
    cache(machine, -64_000)
    answers = machine.apply(entries)
    machine.close()
    return answers


def one_by_one_with_restarts(path: Path, entries: Sequence[Entry]) -> list[bytes | None]:
    answers = []
    machine = Machine.open(path)
    for number, entry in enumerate(entries):
        if number % 9 == 4:
            machine.close()
            machine = Machine.open(path)
            cache(machine, 10)
        apsw.randomness(number % 50)
        answers += machine.apply([entry])
    machine.close()
    return answers


def in_sevens_under_another_clock(path: Path, entries: Sequence[Entry]) -> list[bytes | None]:
    answers = []
    below = OtherClock()
    machine = Machine.open(path, vfs=below.vfs_name)
    apsw.randomness(0)
    for start in range(0, len(entries), 7):
        answers += machine.apply(entries[start : start + 7])
    machine.close()
    return answers


WAYS = (in_one_go, one_by_one_with_restarts, in_sevens_under_another_clock)


def agree(folder: Path, log: Log) -> list[Any]:
    """Feed the log to three machines; their answers, when nothing differs."""
    found = [way(folder / f"{way.__name__}.db", log.entries) for way in WAYS]
    dumps = [dump(folder / f"{way.__name__}.db") for way in WAYS]
    for answers in found[1:]:
        for entry, ours, theirs in zip(log.entries, found[0], answers, strict=True):
            assert ours == theirs, entry.payload[48:]
    for contents in dumps[1:]:
        assert contents.keys() == dumps[0].keys()
        for name, rows in contents.items():
            assert rows == dumps[0][name], f"table {name} differs"
    return [commands.decode_answer(answer) for answer in found[0] if answer is not None]


def test_the_matrix_is_large_enough() -> None:
    assert len({case.sql for case in CASES}) >= 150


def test_every_statement_leaves_the_same_rows_on_three_different_machines(tmp_path: Path) -> None:
    log = Log()
    for case in CASES:
        log.sql(case.sql)
    answers = agree(tmp_path, log)
    for case, answer in zip(CASES, answers, strict=True):
        # What a definition hides is refused by SQLite where it is used; the reading of the text
        # refuses the definition itself.
        if case.verdict == "refused" and not case.sql.startswith(
            ("CREATE TRIGGER", "CREATE TABLE x")
        ):
            assert isinstance(answer, Failed), case.sql
    failed = [case.sql for case, a in zip(CASES, answers, strict=True) if isinstance(a, Failed)]
    expected_to_fail = len(REFUSED) + 10
    assert len(failed) <= expected_to_fail, failed


@pytest.mark.parametrize("case", CASES, ids=[case.sql[:60] for case in CASES])
def test_every_statement_gets_its_verdict(case: Case) -> None:
    _, verdict = judge(case.sql, Mode.PINNED)
    assert type(verdict).__name__.lower() == case.verdict


CLOCKS = [
    "CURRENT_TIMESTAMP",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "datetime('now', 'subsec')",
    "julianday()",
    "strftime('%s %f')",
    "unixepoch('now', '-1 day')",
    "timediff('now', '2020-01-01')",
]


def test_values_equal_what_plain_sqlite_gives_under_the_same_clock(bench: Bench) -> None:
    class Fixed(apsw.VFS):
        now = 0

        def xCurrentTimeInt64(self) -> int:
            return UNIX_EPOCH_JULIAN_MS + self.now

    vfs = Fixed("plain-sqlite-fixed-clock", "")
    plain = apsw.Connection(":memory:", vfs="plain-sqlite-fixed-clock")
    create = "CREATE TABLE t(a, b DEFAULT CURRENT_TIMESTAMP, c DEFAULT (datetime('now')))"
    plain.execute(create)
    bench.sql(create)
    for number, expression in enumerate(CLOCKS * 3):
        vfs.now = CLOCK_MS + number * 1_234_567
        text = f"INSERT INTO t(a) VALUES ({expression}), ({expression})"
        plain.execute(text)
        bench.sql(text, clock_ms=vfs.now)
    everything = "SELECT typeof(a), a, b, c FROM t ORDER BY rowid"
    assert bench.rows(everything) == plain.execute(everything).fetchall()
    assert len({row[3] for row in bench.rows(everything)}) == len(CLOCKS) * 3


def test_random_differs_by_row_and_by_command(bench: Bench) -> None:
    bench.sql("CREATE TABLE t(a)")
    bench.many("INSERT INTO t VALUES (?)", [[n] for n in range(100)])
    bench.sql("UPDATE t SET a = random()")
    first = {a for (a,) in bench.rows("SELECT a FROM t")}
    bench.sql("UPDATE t SET a = random()")
    second = {a for (a,) in bench.rows("SELECT a FROM t")}
    assert len(first) == len(second) == 100
    assert not first & second


atoms = st.sampled_from(
    ["a", "b", "rowid", "random()", "datetime('now')", "1", "2.5", "'x'", "x'00'", "NULL"]
)
expressions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "||", "=", "<", "%", "AND"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        inner.map(lambda e: f"typeof({e})"),
        inner.map(lambda e: f"coalesce({e}, hex(randomblob(2)))"),
    ),
    max_leaves=5,
)
statements = st.one_of(
    expressions.map(lambda e: f"INSERT INTO t(a, b) SELECT {e}, a FROM t LIMIT 20"),
    expressions.map(lambda e: f"UPDATE t SET a = {e}"),
    expressions.map(lambda e: f"UPDATE OR REPLACE t SET b = {e}"),
    expressions.map(lambda e: f"DELETE FROM t WHERE {e} RETURNING *"),
    expressions.map(lambda e: f"INSERT OR ROLLBACK INTO u SELECT {e} FROM t"),
    expressions.map(lambda e: f"INSERT OR FAIL INTO u SELECT {e} FROM t"),
    expressions.map(lambda e: f"REPLACE INTO u SELECT {e} FROM t"),
    st.just("INSERT INTO t(a) VALUES (1), (2), (3)"),
    st.just("VACUUM"),
    st.just("ANALYZE"),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(statements, min_size=3, max_size=20))
def test_made_up_statements_leave_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    log = Log()
    log.sql("CREATE TABLE t(a, b UNIQUE, c DEFAULT (random()))")
    log.sql("CREATE TABLE u(a UNIQUE)")
    log.sql("INSERT INTO t(a, b) VALUES (1, 1), ('x', 2), (NULL, NULL)")
    for text in texts:
        log.sql(text)
    answers = agree(tmp_path_factory.mktemp("made_up"), log)
    assert isinstance(answers[2], Done)
