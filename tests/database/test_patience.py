"""Patience: what takes longer than the caller can wait is undone, and may be asked for again."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from raftsql.database.errors import TakesLonger
from raftsql.raft.messages import EntryKind
from raftsql.sql import commands
from raftsql.sql.commands import CommandKind, Done, Failed, Settings, Statement
from tests.database.conftest import Bench, dump

LONG = (
    "WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x LIMIT 20000)"
    " INSERT INTO t(b) SELECT i FROM x"
)
INSERT = "INSERT INTO t(b) VALUES (?)"
TABLE = "CREATE TABLE t(a INTEGER PRIMARY KEY, b, luck DEFAULT (random()))"
UNITS = 20


def session(bench: Bench) -> int:
    bench.sql(TABLE)
    for n in range(4):
        bench.sql(INSERT, [n])
    return int(bench.apply(bench.log.open_session(b"one")).session)


def test_a_call_that_takes_too_long_is_undone_and_may_be_made_again(bench: Any) -> None:
    number = session(bench)
    log = bench.log
    before = dump(bench.path)
    entries = [
        *(log.sql(INSERT, [n], session=number, sequence=n) for n in range(1, 5)),
        log.plain(EntryKind.MEMBERSHIP, b"three of us"),
        log.sql(LONG, session=number, sequence=5),
        log.sql(INSERT, [6], session=number, sequence=6),
    ]
    sessions = bench.machine._writer.sessions.contents()
    clock_ms, applied = bench.machine.clock_ms, bench.machine.applied
    with pytest.raises(TakesLonger) as news:
        bench.machine.apply(entries, patience=UNITS)
    assert news.value.answers == []
    assert dump(bench.path) == before
    assert bench.machine._writer.sessions.contents() == sessions
    assert (bench.machine.clock_ms, bench.machine.applied) == (clock_ms, applied)
    assert bench.machine.membership == b""
    answers = bench.batch(*entries)
    assert answers[0] == Done(1, 5)
    assert answers[5] == Done(20_000, 20_008)
    assert bench.machine.membership == b"three of us"


def test_what_was_committed_before_keeps_its_answers(bench: Any) -> None:
    session(bench)
    log = bench.log
    entries = [
        log.plain(EntryKind.NOOP),
        log.sql(INSERT, ["x"]),
        log.sql(INSERT, ["y"], settings=Settings(0)),
        log.sql(LONG, settings=Settings(0)),
    ]
    bench.machine.apply(entries[:1])
    with pytest.raises(TakesLonger) as news:
        bench.machine.apply(entries, patience=UNITS)
    first, second = news.value.answers
    assert first is None
    assert commands.decode_answer(second) == Done(1, 5)
    assert bench.batch(*entries[2:]) == [Done(1, 6), Done(20_000, 20_006)]


def test_patience_is_for_the_whole_call(bench: Any) -> None:
    session(bench)
    short = LONG.replace("20000", "300")
    bench.machine.apply([bench.log.sql(short)], patience=UNITS)
    many = [bench.log.sql(short) for _ in range(20)]
    with pytest.raises(TakesLonger):
        bench.machine.apply(many, patience=UNITS)
    assert len(bench.machine.apply(many)) == 20


def test_a_replayed_transaction_and_a_command_near_its_fuel_end_patience_too(bench: Any) -> None:
    session(bench)
    step = commands.Step(LONG, None, bench.log.clock_ms, 7, 20_000)
    entries = [
        bench.log.append(CommandKind.TRANSACTION, commands.Transaction([step])),
        bench.log.sql(LONG, fuel=100),
        bench.log.many(LONG.replace("20000", "?"), [[5], [20_000]]),
        bench.log.script(INSERT.replace("?", "1"), LONG),
    ]
    for entry in entries:
        with pytest.raises(TakesLonger):
            bench.machine.apply([entry], patience=UNITS)
        bench.apply(entry)
    assert bench.machine.applied.index == len(bench.log.entries)


def test_statements_that_leap_are_not_begun_in_a_hurry(bench: Any) -> None:
    session(bench)
    for text in (
        "CREATE TABLE u(a)",
        "ALTER TABLE u ADD COLUMN b",
        "DELETE FROM t",
        "DELETE FROM t",
        "DELETE FROM t",
        "DROP TABLE u",
        "VACUUM",
    ):
        entry = bench.log.sql(text)
        with pytest.raises(TakesLonger):
            bench.machine.apply([entry], patience=UNITS)
        assert isinstance(bench.apply(entry), Done)
    entry = bench.log.sql("DELETE FROM t WHERE a = 1")
    assert bench.machine.apply([entry], patience=UNITS)


def test_short_commands_come_to_the_same_with_patience_and_without(bench: Any) -> None:
    session(bench)
    for n in range(300):
        (answer,) = bench.machine.apply([bench.log.sql(INSERT, [n])], patience=UNITS)
        assert commands.decode_answer(answer) == Done(1, n + 5)


def test_patience_ends_with_the_call(bench: Any) -> None:
    session(bench)
    with pytest.raises(TakesLonger):
        bench.machine.apply([bench.log.sql(LONG)], patience=UNITS)
    assert bench.apply(bench.log.entries[-1]) == Done(20_000, 20_004)
    open_ = bench.machine.begin(Settings.FOREIGN_KEYS)
    assert run(open_, LONG) == Done(20_000, 40_004)
    open_.roll_back()


def run(
    open_: Any,
    sql: str,
    parameters: Any = None,
    *,
    patience: int | None = None,
    unwanted: Callable[[], bool] | None = None,
) -> Any:
    return open_.execute(
        Statement(sql, parameters),
        clock_ms=1_900_000_000_000,
        seed=11,
        fuel=10_000,
        patience=patience,
        unwanted=unwanted,
    )


@pytest.mark.parametrize("again", [True, False], ids=["again", "rolled back"])
def test_a_long_statement_is_undone_alone_and_its_transaction_goes_on(
    bench: Any, again: bool
) -> None:
    session(bench)
    before, clock_ms = dump(bench.path), bench.machine.clock_ms
    open_ = bench.machine.begin(Settings.FOREIGN_KEYS)
    assert run(open_, INSERT, ["x"], patience=UNITS) == Done(1, 5)
    run(open_, "SAVEPOINT s", patience=UNITS)
    assert isinstance(run(open_, "INSERT INTO t(a) VALUES (1)", patience=UNITS), Failed)
    drawn = run(open_, "SELECT luck FROM t WHERE a = 5").rows
    for _ in range(2):
        with pytest.raises(TakesLonger):
            run(open_, LONG, patience=UNITS)
    if not again:
        open_.roll_back()
        assert dump(bench.path) == before
        assert bench.machine.clock_ms == clock_ms
        assert bench.sql(INSERT, ["y"]) == Done(1, 5)
        return
    assert run(open_, LONG) == Done(20_000, 20_005)
    assert bench.machine.clock_ms == clock_ms
    assert run(open_, "SELECT luck FROM t WHERE a = 5", patience=UNITS).rows == drawn
    run(open_, "ROLLBACK TO s")
    assert run(open_, INSERT, ["z"], patience=UNITS) == Done(1, 6)
    steps = open_.steps()
    assert len(steps.steps) == 6
    assert open_.problem() is None
    entry = bench.log.append(CommandKind.TRANSACTION, steps)
    open_.seal(entry.index, entry.payload)
    open_.commit([entry])
    other = Bench(bench.path.with_name("other.db"))
    other.batch(*bench.log.entries)
    assert dump(other.path) == dump(bench.path)


def test_a_long_read_leaves_its_transaction_as_it_was(bench: Any) -> None:
    session(bench)
    open_ = bench.machine.begin(Settings.FOREIGN_KEYS)
    run(open_, INSERT, ["x"])
    read = LONG.replace("INSERT INTO t(b) SELECT i FROM x", "SELECT sum(i) FROM x")
    with pytest.raises(TakesLonger):
        run(open_, read, patience=UNITS)
    assert bench.machine._writer.connection.in_transaction
    assert run(open_, read).rows == [[200_010_000]]
    assert run(open_, INSERT, ["y"], patience=UNITS) == Done(1, 6)


def test_a_change_of_the_schema_waits_for_more_time_in_a_transaction_too(bench: Any) -> None:
    session(bench)
    open_ = bench.machine.begin(Settings.FOREIGN_KEYS)
    run(open_, INSERT, ["x"], patience=UNITS)
    with pytest.raises(TakesLonger):
        run(open_, "CREATE TABLE u(a)", patience=UNITS)
    assert bench.machine._writer.connection.in_transaction
    assert run(open_, "CREATE TABLE u(a)") == Done(-1, 5)
    assert run(open_, "INSERT INTO u VALUES (1)", patience=UNITS) == Done(1, 1)


def test_a_statement_that_nobody_wants_any_more_stops_where_it_is(bench: Any) -> None:
    session(bench)
    open_ = bench.machine.begin(Settings(0))
    looks = count()
    with pytest.raises(TakesLonger):
        run(open_, LONG, unwanted=lambda: next(looks) == 3)
    assert next(looks) == 4, "it was not asked again"
    open_.roll_back()
    assert bench.batch(bench.log.sql(LONG)) == [Done(20_000, 20_004)]
