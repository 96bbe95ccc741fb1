"""One command among its neighbours: what it may share, and how it says that it may not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from raftsql.database.errors import RunAlone
from raftsql.database.headers import HEADER_BYTES
from raftsql.database.shared import MALFORMED, STREAK, is_vacuum, perform, quick_runner
from raftsql.database.writer import Writer
from raftsql.sql.commands import (
    CommandKind,
    Done,
    Failed,
    Many,
    Settings,
    Statement,
    decode_answer,
    encode,
    seal,
)

SCHEMA = """
CREATE TABLE t(a INTEGER PRIMARY KEY, b);
CREATE TABLE child(a REFERENCES t(a) DEFERRABLE INITIALLY DEFERRED);
"""


def payload(sql: str, parameters: list[object] | None = None) -> bytes:
    body = encode(Statement(sql, parameters))  # type: ignore[arg-type]
    return seal(
        CommandKind.EXECUTE, body, settings=Settings.FOREIGN_KEYS, fuel=10_000, clock_ms=0, seed=0
    )


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """A writer in the middle of a batch."""
    writer = Writer(tmp_path / "a.db", "")
    writer.statements.own(SCHEMA)
    writer.statements.read_schema()
    writer.begin(int(Settings.FOREIGN_KEYS))
    yield writer
    writer.close()


def execute(writer: Writer, sql: str) -> Done | Failed:
    packed = perform(writer, CommandKind.EXECUTE, payload(sql))
    assert packed is not None
    answer = decode_answer(packed)
    assert isinstance(answer, Done | Failed)
    return answer


def numbers(writer: Writer) -> list[object]:
    return [a for (a,) in writer.statements.own("SELECT a FROM t ORDER BY a")]


def test_a_failure_undoes_its_own_rows_and_nobody_elses(writer: Writer) -> None:
    assert execute(writer, "INSERT INTO t(a) VALUES (1)") == Done(1, 1)
    assert isinstance(execute(writer, "INSERT INTO t(a) VALUES (2), (1)"), Failed)
    assert numbers(writer) == [1]


def test_what_ends_the_transaction_has_to_be_run_alone(writer: Writer) -> None:
    execute(writer, "INSERT INTO t(a) VALUES (1)")
    with pytest.raises(RunAlone) as news:
        execute(writer, "INSERT OR ROLLBACK INTO t(a) VALUES (1)")
    assert "UNIQUE" in news.value.answer.message
    assert not news.value.recount
    assert not writer.connection.in_transaction


def test_what_comes_near_its_fuel_has_to_be_counted_alone(writer: Writer) -> None:
    writer.meter.start(10)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    with pytest.raises(RunAlone) as news:
        execute(writer, f"{endless} INSERT INTO t(a) SELECT i FROM n")
    assert news.value.recount


def test_a_key_left_open_fails_the_command_that_left_it(writer: Writer) -> None:
    execute(writer, "INSERT INTO t(a) VALUES (1)")
    answer = execute(writer, "INSERT INTO child VALUES (9)")
    assert isinstance(answer, Failed)
    assert answer.code == apsw.SQLITE_CONSTRAINT_FOREIGNKEY
    assert writer.statements.own("SELECT * FROM child") == []
    assert execute(writer, "INSERT INTO child VALUES (1)").changes == 1  # type: ignore[union-attr]


def test_several_rows_of_parameters_happen_for_all_or_for_none(writer: Writer) -> None:
    def many(*rows: list[object]) -> bytes | None:
        body = encode(Many("INSERT INTO t(a) VALUES (?)", list(rows)))  # type: ignore[arg-type]
        return perform(writer, CommandKind.MANY, b"\0" * HEADER_BYTES + body)

    assert decode_answer(many([1], [2]) or b"") == Done(2, 2)
    assert isinstance(decode_answer(many([3], [1]) or b""), Failed)
    assert numbers(writer) == [1, 2]


def test_a_script_that_fails_in_its_middle_leaves_no_table_behind(writer: Writer) -> None:
    texts = ("CREATE TABLE u(a)", "INSERT INTO u VALUES (1)", "INSERT INTO nowhere VALUES (1)")
    body = encode([Statement(text) for text in texts])
    answer = perform(writer, CommandKind.SCRIPT, b"\0" * HEADER_BYTES + body)
    assert isinstance(decode_answer(answer or b""), Failed)
    assert isinstance(execute(writer, "INSERT INTO u VALUES (1)"), Failed)


def test_a_vacuum_is_told_by_its_text_and_not_run_here(writer: Writer) -> None:
    assert is_vacuum(payload("/* now */ vacuum"))
    assert not is_vacuum(payload("INSERT INTO t(b) VALUES ('vacuum')"))
    assert not is_vacuum(b"\0" * HEADER_BYTES + b"vacuum")
    assert perform(writer, CommandKind.EXECUTE, payload("VACUUM")) is None


def test_a_body_that_is_no_command_is_an_answer(writer: Writer) -> None:
    for kind in (CommandKind.EXECUTE, CommandKind.MANY, CommandKind.SCRIPT):
        assert perform(writer, kind, b"\0" * HEADER_BYTES + b"\xc1") == MALFORMED
    assert quick_runner(writer)(b"\0" * HEADER_BYTES + b"\xc1") == MALFORMED


def test_the_same_text_again_and_again_is_a_streak(writer: Writer) -> None:
    run = quick_runner(writer)
    insert = "INSERT INTO t(b) VALUES (?)"
    answers = [run(payload(insert, [number])) for number in range(4)]
    assert STREAK not in answers, "deferred keys have to be looked at after each command"
    writer.statements.own("DROP TABLE child")
    writer.statements.read_schema()
    run = quick_runner(writer)
    answers = [run(payload(insert, [number])) for number in range(4)]
    assert answers[-1] == STREAK
    assert decode_answer(answers[0] or b"") == Done(1, 5)
    assert numbers(writer) == [1, 2, 3, 4, 5, 6, 7], "what is called a streak was not run"
