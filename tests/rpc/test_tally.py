"""What clients asked for, how it ended and how long it took; and what of it the log names."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raftsql.cluster.requests import Read, Write
from raftsql.cluster.transactions import Step
from raftsql.rpc import tally as module
from raftsql.rpc.tally import Kind, Outcome, Tally, client_called, text_of
from raftsql.sql.commands import CommandKind, Many, Statement, encode
from raftsql_proto import frames
from tests.cluster.stage import Stage
from tests.rpc.desk import Desk, staged_alone

QUERY = Read("SELECT 1", None, None)  # type: ignore[arg-type]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    stage = staged_alone(tmp_path)
    yield Desk(stage)
    stage.world.close()


CLIENT = client_called("reports\n", "ipv4:10.0.0.9:5123")


def counts(tally: Tally) -> dict[tuple[str, str], int]:
    tally.settle()
    return {
        (kind.name, outcome.name): tally.cells[kind][outcome].count
        for kind in Kind
        for outcome in Outcome
        if tally.cells[kind][outcome].count
    }


def test_requests_are_counted_by_kind_and_outcome(desk: Desk) -> None:
    desk.execute("CREATE TABLE once(v UNIQUE)")
    desk.execute("INSERT INTO once VALUES (1)")
    desk.execute("INSERT INTO once VALUES (1)")
    desk.execute("SELECT * FROM once")
    desk.execute("SELECT nothing FROM once")
    assert counts(desk.service.tally) == {
        ("WRITE", "DONE"): 2,
        ("WRITE", "FAILED"): 1,
        ("READ", "DONE"): 1,
        ("READ", "FAILED"): 1,
    }


def test_what_is_refused_for_what_it_is_is_counted_apart(desk: Desk) -> None:
    desk.execute("ATTACH 'x' AS y")
    assert desk.service.tally.turned_away == 1
    assert counts(desk.service.tally) == {}


def test_what_the_leader_answers_is_counted_as_passed_on(tmp_path: Path) -> None:
    stage = Stage(tmp_path, 3).lead()
    stage.lose_lead(leader=3)
    desk = Desk(stage)
    desk.service.leader = "n3:1"
    desk.send(desk.run("DELETE FROM t"))
    (run,) = desk.service.passed_on
    late = frames.Refused(run.id, frames.Why.TIMEOUT, "late", "")
    desk.stream.pass_back(run.id, late, None)  # type: ignore[arg-type]
    assert counts(desk.service.tally) == {("FORWARDED", "REFUSED"): 1}
    stage.world.close()


def slow(request: Any, kind: Kind = Kind.WRITE) -> Tally:
    tally = Tally()
    tally.slower_than(1)
    tally.answered.append(((request, kind, -1000.0), Outcome.DONE, 5, CLIENT, ""))
    tally.settle()
    return tally


def test_a_slow_statement_is_named_without_its_values(caplog: pytest.LogCaptureFixture) -> None:
    body = encode(Statement("INSERT INTO t VALUES (?)", ["hunter2"]))
    write = Write(CommandKind.EXECUTE, body, None, session=7, sequence=3)  # type: ignore[arg-type]
    assert slow(write).slow == 1
    (record,) = caplog.records
    assert record.getMessage() == "slow: INSERT INTO t VALUES (?)"
    about = record.about  # type: ignore[attr-defined]
    assert (about["session"], about["sequence"], about["kind"]) == (7, 3, "write")
    assert about["milliseconds"] > 1
    assert (about["client"], about["peer"]) == ("reports?", "ipv4:10.0.0.9:5123")
    assert about["request"] == 5
    assert "trace_id" not in about
    assert "hunter2" not in caplog.text


def test_what_is_quick_is_not_named(caplog: pytest.LogCaptureFixture) -> None:
    tally = Tally()
    for threshold, came in ((0, -1000.0), (10_000_000, module.perf_counter())):
        tally.slower_than(threshold)
        tally.answered.append(((QUERY, Kind.READ, came), Outcome.DONE, 5, CLIENT, ""))
        tally.settle()
    assert (tally.slow, caplog.records) == (0, [])


def test_when_everything_is_slow_a_few_are_named(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(module, "perf_counter", lambda: now)
    tally = Tally()
    tally.slower_than(1)
    for _ in range(25):
        tally.answered.append(((QUERY, Kind.READ, 0.0), Outcome.DONE, 5, CLIENT, ""))
    tally.settle()
    assert len(caplog.records) == module.LINES_A_SECOND_MAX
    now = 102.0
    with caplog.at_level(logging.WARNING):
        tally.answered.append(((QUERY, Kind.READ, 0.0), Outcome.DONE, 5, CLIENT, ""))
        tally.settle()
    assert "15 more statements were slow" in caplog.text
    assert tally.slow == 26


def test_what_leaves_together_is_counted_once_and_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "perf_counter", lambda: 10.0)
    tally = Tally()
    for kind, came, outcome in (
        (Kind.READ, 9.0, Outcome.DONE),
        (Kind.READ, 9.0, Outcome.DONE),
        (Kind.READ, 9.0, Outcome.FAILED),
        (Kind.WRITE, 9.0, Outcome.DONE),
        (Kind.WRITE, 9.9, Outcome.DONE),
        (Kind.READ, 9.0, Outcome.DONE),
    ):
        tally.answered.append(((None, kind, came), outcome, 5, CLIENT, ""))
    tally.settle()
    tally.settle()
    assert counts(tally) == {("READ", "DONE"): 3, ("READ", "FAILED"): 1, ("WRITE", "DONE"): 2}
    assert tally.cells[Kind.READ][Outcome.DONE].total_us == 3_000_000


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        (CommandKind.EXECUTE, Statement("A", [1]), "A"),
        (CommandKind.MANY, Many("B", [[1], [2]]), "B"),
        (CommandKind.SCRIPT, [Statement("C", None), Statement("D", None)], "C; D"),
        (CommandKind.OPEN_SESSION, [], "open session"),
    ],
)
def test_the_text_of_a_write_is_found_in_its_body(kind: CommandKind, body: Any, text: str) -> None:
    assert text_of(Write(kind, encode(body), None)) == text  # type: ignore[arg-type]


def test_a_long_text_is_cut_and_a_step_is_its_statements() -> None:
    step = Step([Statement("x" * 3000, None)], 0, None)  # type: ignore[arg-type]
    assert text_of(step) == "x" * module.TEXT_MAX + "…"
    assert text_of(None) == ""
