"""Fuel: a runaway command is ended at the same step everywhere, whatever ran before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raftsql.sql.commands import Done, Failed, Refusal
from tests.database.conftest import Bench

COUNT = "WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x LIMIT {}) "
RUNAWAY = COUNT.format(-1) + "INSERT INTO t SELECT i FROM x"


def test_a_runaway_write_ends_and_takes_nobodys_rows(bench: Any) -> None:
    log = bench.log
    bench.sql("CREATE TABLE t(a)")
    answers = bench.batch(
        log.sql("INSERT INTO t VALUES ('before')"),
        log.sql(RUNAWAY, fuel=300),
        log.sql("INSERT INTO t VALUES ('after')"),
    )
    assert answers[1].refusal is Refusal.FUEL
    assert bench.rows("SELECT a FROM t") == [("before",), ("after",)]


@pytest.mark.parametrize("form", ["many", "script", "select"])
def test_commands_of_every_form_run_out_of_fuel(bench: Any, form: str) -> None:
    bench.sql("CREATE TABLE t(a)")
    if form == "many":
        answer = bench.many(COUNT.format("?") + "INSERT INTO t SELECT i FROM x", [[-1]], fuel=200)
    elif form == "script":
        answer = bench.script("INSERT INTO t VALUES (1)", RUNAWAY, fuel=200)
    else:
        answer = bench.sql(COUNT.format(-1) + "SELECT sum(i) FROM x", fuel=200)
    assert isinstance(answer, Failed)
    assert answer.refusal is Refusal.FUEL
    assert bench.rows("SELECT * FROM t") == []
    assert bench.sql("INSERT INTO t VALUES (1)") == Done(1, 1)


@pytest.mark.parametrize(
    ("create", "rows"), [("TABLE t(a)", 300), ("VIRTUAL TABLE t USING fts5(a)", 60)]
)
def test_the_limit_is_exact_whatever_the_statement_cache_holds(
    tmp_path: Path, create: str, rows: int
) -> None:
    sql = COUNT.format(rows) + "INSERT INTO t SELECT 'word' || i FROM x"
    outcomes = set()
    for history in (0, 1, 7):
        bench = Bench(tmp_path / f"{history}.db")
        bench.sql(f"CREATE {create}")
        for _ in range(history):
            bench.sql(sql)
            bench.sql("DELETE FROM t")
        passed = []
        for fuel in range(1, 60):
            passed.append(isinstance(bench.sql(sql, fuel=fuel), Done))
            bench.sql("DELETE FROM t")
        outcomes.add(tuple(passed))
        bench.machine.close()
    (outcome,) = outcomes
    assert outcome == tuple(sorted(outcome))
    assert set(outcome) == {False, True}
