"""Row numbers at the end of the range, where SQLite would number rows by chance."""

from __future__ import annotations

import apsw
import pytest

from raftsql.database.rowids import ROWID_MAX
from raftsql.sql.commands import Done, Failed, Refusal
from tests.database.conftest import Bench

LAST = (1 << 63) - 1


def test_plain_sqlite_draws_numbers_by_chance_after_the_last() -> None:
    drawn = set()
    for _ in range(3):
        plain = apsw.Connection("")
        plain.execute("CREATE TABLE t(a INTEGER PRIMARY KEY)")
        plain.execute("INSERT INTO t VALUES (?)", (LAST,))
        plain.execute("INSERT INTO t DEFAULT VALUES")
        drawn.add(plain.last_insert_rowid())
    assert len(drawn) == 3


def test_the_number_before_the_last_is_the_highest_also_when_sqlite_counts(bench: Bench) -> None:
    bench.sql("CREATE TABLE t(a INTEGER PRIMARY KEY)")
    assert bench.sql("INSERT INTO t VALUES (?)", [ROWID_MAX]) == Done(1, ROWID_MAX)
    for _ in range(3):
        assert bench.sql("INSERT INTO t DEFAULT VALUES").refusal is Refusal.DETERMINISM
    assert bench.rows("SELECT a FROM t") == [(ROWID_MAX,)]


WAYS = {
    "one row": ("INSERT INTO t(a) VALUES (?)", [LAST]),
    "several rows, and one by chance": (
        "INSERT INTO t(a) VALUES (?), (NULL), (5)",
        [LAST],
    ),
    "UPDATE": ("UPDATE t SET a = ? WHERE a = 1", [LAST]),
    "a trigger": ("INSERT INTO u VALUES (?)", [LAST]),
    "a copy": ("INSERT INTO t SELECT * FROM v", None),
    "rowid": ("INSERT INTO w(rowid, b) VALUES (?, 1)", [LAST]),
    "OR FAIL": ("INSERT OR FAIL INTO t(a) VALUES (?), (1)", [LAST]),
    "full text": ("INSERT INTO f(rowid, a) VALUES (?, 'x')", [LAST]),
    "upsert": ("INSERT INTO t(a) VALUES (1) ON CONFLICT(a) DO UPDATE SET a = ?", [LAST]),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_command_can_write_a_row_number_after_which_comes_chance(bench: Bench, way: str) -> None:
    bench.script(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b)",
        "CREATE TABLE u(a)",
        "CREATE TABLE v(a INTEGER, b)",
        "CREATE TABLE w(b)",
        "CREATE VIRTUAL TABLE f USING fts5(a)",
        "CREATE TRIGGER x AFTER INSERT ON u BEGIN INSERT INTO t(a) VALUES (NEW.a); END",
        "INSERT INTO t(a) VALUES (1)",
        f"INSERT INTO v VALUES ({LAST}, 1)",
    )
    sql, parameters = WAYS[way]
    log = bench.log
    for _ in range(3):
        answers = bench.batch(
            log.sql("INSERT INTO w VALUES (1)"),
            log.sql(sql, parameters),
            log.sql("INSERT INTO w VALUES (2)"),
        )
        assert [type(answer) for answer in answers] == [Done, Failed, Done]
        assert answers[1].refusal is Refusal.DETERMINISM
    many = bench.many(sql, [parameters or []] * 2)
    assert isinstance(many, Failed)
    assert bench.rows("SELECT a FROM t") == [(1,)]
    assert bench.rows("SELECT count(*), max(rowid) FROM w") == [(6, 6)]


SEVERAL = {
    "a list": "INSERT INTO t(b) VALUES (1), (2), (3)",
    "a query": "INSERT INTO t(b) SELECT b FROM u",
    "its own rows": "INSERT INTO t(b) SELECT b FROM t",
    "an upsert": "INSERT INTO t(b) VALUES (1), (2), (3) ON CONFLICT DO NOTHING",
}


@pytest.mark.parametrize("way", SEVERAL)
@pytest.mark.parametrize("below", range(3))
def test_several_rows_at_the_end_are_not_numbered_by_chance(
    bench: Bench, way: str, below: int
) -> None:
    bench.sql("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    bench.sql("CREATE TABLE u(b)")
    bench.sql("INSERT INTO u VALUES (1), (2), (3)")
    for _ in range(3):
        bench.sql(SEVERAL[way])
    bench.sql("DELETE FROM t")
    bench.sql("INSERT INTO t VALUES (?, 1), (1, 1), (2, 1)", [ROWID_MAX - below])
    answers = bench.batch(*(bench.log.sql(SEVERAL[way]) for _ in range(3)))
    assert [type(answer) for answer in answers] == [Failed] * 3
    assert bench.rows("SELECT max(a), count(*) FROM t") == [(ROWID_MAX - below, 3)]


@pytest.mark.parametrize("below", range(4))
def test_many_rows_at_the_end_are_not_numbered_by_chance(bench: Bench, below: int) -> None:
    bench.sql("CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE)")
    bench.sql("INSERT INTO t VALUES (?, -1)", [ROWID_MAX - below])
    for clause in ("", " ON CONFLICT(b) DO UPDATE SET b = -b"):
        many = bench.many("INSERT INTO t(b) VALUES (?)" + clause, [[n] for n in range(6)])
        assert isinstance(many, Failed)
    assert bench.rows("SELECT max(a), count(*) FROM t") == [(ROWID_MAX - below, 1)]


def test_ordinary_numbers_stay_quick_and_allowed(bench: Bench) -> None:
    bench.sql("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    for number in range(1, 5):
        assert bench.sql("INSERT INTO t VALUES (?, 1)", [number]) == Done(1, number)
        assert bench.sql("INSERT INTO t(b) VALUES (1)").changes == 1
        bench.sql("DELETE FROM t WHERE a > ?", [number])
    quick = bench.machine._writer.statements.quick
    assert {"INSERT INTO t VALUES (?, 1)", "INSERT INTO t(b) VALUES (1)"} <= quick.keys()
