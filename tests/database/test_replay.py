"""A replayed step comes to what it came to on the leader, or this node must stop."""

from __future__ import annotations

from typing import Any

import pytest

from raftsql.database.errors import Diverged
from raftsql.database.replay import TRANSACTION_DONE
from raftsql.sql.commands import CommandKind, Settings, Step, Transaction, decode_answer

TABLES = (
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b DEFAULT (random()), c DEFAULT CURRENT_TIMESTAMP)",
    "CREATE TABLE child(a REFERENCES t(a) DEFERRABLE INITIALLY DEFERRED)",
)


def replayed(bench: Any, *steps: Step, **header: Any) -> Any:
    return bench.apply(
        bench.log.append(CommandKind.TRANSACTION, Transaction(list(steps)), **header)
    )


def step(sql: str, changes: int, *, seed: int = 1, clock_ms: int = 0, failed: bool = False) -> Step:
    return Step(sql, None, clock_ms, seed, changes, failed)


def test_each_step_has_the_clock_and_the_chance_it_had_on_the_leader(bench: Any) -> None:
    bench.script(*TABLES)
    insert = "INSERT INTO t DEFAULT VALUES"
    later = bench.log.clock_ms + 86_400_000
    answer = replayed(
        bench, step(insert, 1, seed=1), step(insert, 1, seed=2, clock_ms=later), step(insert, 1)
    )
    assert answer == decode_answer(TRANSACTION_DONE)
    rows = bench.rows("SELECT b, c FROM t ORDER BY a")
    assert rows[0][0] == rows[2][0] != rows[1][0]
    assert rows[0][1] == rows[2][1] == "1970-01-01 00:00:00"
    assert rows[1][1] > "2023"


def test_a_failed_step_has_to_fail_again_and_the_others_stand(bench: Any) -> None:
    bench.script(*TABLES)
    replayed(
        bench,
        step("INSERT INTO t(a) VALUES (1)", 1),
        step("INSERT INTO t(a) VALUES (1)", 0, failed=True),
        step("INSERT INTO t(a) VALUES (2)", 1),
    )
    assert bench.rows("SELECT a FROM t") == [(1,), (2,)]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (step("INSERT INTO t(a) VALUES (1)", 2), r"statement 1 .* changed 1 rows .* but 2"),
        (step("INSERT INTO t(a) VALUES (1)", 1, failed=True), r"but 1 \(failed: True\)"),
        (step("INSERT OR ROLLBACK INTO t(a) VALUES (1), (1)", 0, failed=True), "statement 1"),
    ],
    ids=["another count", "no failure here", "it ended the transaction"],
)
def test_what_comes_out_otherwise_stops_the_node(bench: Any, wrong: Step, words: str) -> None:
    bench.script(*TABLES)
    with pytest.raises(Diverged, match=words):
        replayed(bench, wrong)
    bench.reopen()
    assert bench.rows("SELECT * FROM t") == []
    assert bench.machine.applied.index == 1


def test_a_key_left_open_by_a_committed_transaction_stops_the_node(bench: Any) -> None:
    bench.script(*TABLES)
    with pytest.raises(Diverged, match="foreign key open"):
        replayed(bench, step("INSERT INTO child VALUES (9)", 1), settings=Settings.FOREIGN_KEYS)


def test_no_fuel_limits_what_was_seen_to_end(bench: Any) -> None:
    bench.script(*TABLES)
    long = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 50000)"
        " INSERT INTO t(a) SELECT i FROM n"
    )
    replayed(bench, step(long, 50_000), fuel=1)
    assert bench.rows("SELECT count(*) FROM t") == [(50_000,)]
