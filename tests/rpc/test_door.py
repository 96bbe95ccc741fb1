"""What passes the door, and what is refused there, where it costs nobody anything."""

from __future__ import annotations

import pytest

from raftsql.rpc import door as door_module
from raftsql.rpc.door import Ask, Door, settings_of
from raftsql.sql.classify import StatementKind
from raftsql.sql.commands import CommandKind, Failed, Refusal, Settings, decode_script
from raftsql.sql.plans import Plans
from raftsql.sql.values import BadValue
from raftsql.sql.verdict import Mode
from raftsql_proto.frames import Many, Run, Statement, Work, encode


@pytest.fixture
def door() -> Door:
    return Door(Plans())


def one(sql: str, *parameters: object) -> Run:
    return Run(1, Work.EXECUTE, encode(Statement(sql, list(parameters))))


def script(*texts: str) -> Run:
    return Run(1, Work.SCRIPT, encode([Statement(text) for text in texts]))


def admitted(door: Door, run: Run) -> Ask:
    ask = door.admit(run)
    assert isinstance(ask, Ask), f"refused: {ask}"
    return ask


def refused(door: Door, run: Run) -> Failed:
    failed = door.admit(run)
    assert isinstance(failed, Failed), f"admitted: {failed}"
    return failed


def test_a_write_keeps_the_bytes_that_the_client_packed(door: Door) -> None:
    run = one("INSERT INTO t VALUES (?)", 1)
    ask = admitted(door, run)
    assert (ask.kind, ask.command, ask.body) == (StatementKind.WRITE, CommandKind.EXECUTE, run.body)


def test_what_could_differ_between_nodes_is_refused_with_its_place(door: Door) -> None:
    failed = refused(door, one("ATTACH 'x' AS y"))
    assert failed.refusal is Refusal.DETERMINISM
    assert failed.position == 0


@pytest.mark.parametrize("work", [0, 4, 99])
def test_work_of_an_unknown_kind_is_refused(door: Door, work: int) -> None:
    with pytest.raises(BadValue, match="not known to this server; it may be older"):
        door.admit(Run(1, work, b""))


@pytest.mark.parametrize("body", [b"", b"\x01", b"\xc1", encode([1, 2]), encode(["x", 5])])
@pytest.mark.parametrize("work", [Work.EXECUTE, Work.MANY, Work.SCRIPT])
def test_a_body_that_can_not_be_read_is_refused(door: Door, work: Work, body: bytes) -> None:
    with pytest.raises(BadValue):
        door.admit(Run(1, work, body))


def test_a_million_parameters_are_refused(door: Door) -> None:
    with pytest.raises(BadValue, match="32766"):
        door.admit(one("INSERT INTO t VALUES (?)", *[1] * 1_000_000))


def test_too_large_a_body_is_refused_unread(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "BODY_BYTES_MAX", 100)
    with pytest.raises(BadValue, match="at most 100"):
        door.admit(Run(1, Work.EXECUTE, b"\xc1" * 101))


def test_too_long_a_text_is_refused_before_anybody_looks_at_it(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_module, "TEXT_CHARACTERS_MAX", 20)
    long = "SELECT " + "1" * 20
    many = Run(1, Work.MANY, encode(Many(long, [])))
    for run in (one(long), many, script("SELECT 1", long)):
        with pytest.raises(BadValue, match="pass large values as parameters"):
            door.admit(run)
    with pytest.raises(BadValue, match="at most 20"):
        door.plan(long, Mode.PINNED)


def test_a_script_is_bounded_as_a_whole(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "SCRIPT_CHARACTERS_MAX", 20)
    with pytest.raises(BadValue, match="script"):
        door.admit(script("SELECT 1234", "SELECT 5678"))


def test_reading_many_times_makes_no_sense(door: Door) -> None:
    failed = refused(door, Run(1, Work.MANY, encode(Many("SELECT ?", [[1]]))))
    assert "execute" in failed.message


def test_a_script_is_cut_into_its_statements(door: Door) -> None:
    ask = admitted(door, script("INSERT INTO t VALUES (1); ; INSERT INTO t VALUES (2) -- end"))
    assert ask.command is CommandKind.SCRIPT
    assert [s.sql for s in decode_script(ask.body)] == [s.sql for s in ask.statements]
    assert len(ask.statements) == 2


def test_a_script_is_a_transaction_already(door: Door) -> None:
    ask = admitted(door, script("BEGIN; INSERT INTO t VALUES (1); COMMIT"))
    assert [s.sql for s in ask.statements] == ["INSERT INTO t VALUES (1)"]
    assert ask.plan.control is None, "nothing of it may end a transaction around it"


@pytest.mark.parametrize("text", ["ROLLBACK", "SAVEPOINT s", "RELEASE s"])
def test_a_script_can_not_be_half_undone(door: Door, text: str) -> None:
    assert "script" in refused(door, script("INSERT INTO t VALUES (1)", text)).message


def test_one_refused_statement_refuses_the_script(door: Door) -> None:
    failed = refused(door, script("INSERT INTO t VALUES (1); DETACH y"))
    assert failed.refusal is Refusal.DETERMINISM


def test_only_known_settings_count() -> None:
    assert settings_of(Run(1, 1, b"", settings=0xFF)) == Settings(7)
    assert settings_of(Run(1, 1, b"", settings=-8)) == Settings(0)


def test_the_other_mode_can_be_asked_too(door: Door) -> None:
    text = "INSERT INTO t VALUES (random())"
    assert door.plan(text, Mode.PINNED).kind is StatementKind.WRITE
    assert door.plan(text, Mode.STRICT).kind is StatementKind.REFUSED
    assert admitted(door, one(text)).kind is StatementKind.WRITE


async def test_what_takes_long_is_done_one_at_a_time(door: Door) -> None:
    assert await door.beside(lambda: 5) == 5
    door.close()


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("\\d t", 'unrecognized token: "\\"'),
        ("SELECT 'open", 'unrecognized token: "\'open"'),
        ("FOO bar", 'near "FOO": syntax error'),
    ],
)
def test_what_is_no_sql_is_an_error_in_the_words_of_sqlite(
    door: Door, sql: str, words: str
) -> None:
    answer = refused(door, one(sql))
    assert (answer.refusal, answer.code) == (Refusal.SQL, 1)
    assert answer.message.startswith(words)
