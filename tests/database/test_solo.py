"""Commands that have a transaction of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from raftsql.database.errors import MachineStopped
from raftsql.database.solo import DONE, NEVER_HAPPENED, apply_alone
from raftsql.database.writer import Writer
from raftsql.raft.messages import Entry
from raftsql.sql.commands import (
    CommandKind,
    Done,
    Failed,
    Opened,
    OpenSession,
    Refusal,
    decode_answer,
)
from tests.database.conftest import Log


class Alone:
    """A writer that applies every entry alone."""

    def __init__(self, path: Path) -> None:
        self.log = Log()
        self.writer = Writer(path, "")

    def apply(self, entry: Entry, *, exact: bool = False) -> Any:
        answer = decode_answer(apply_alone(self.writer, entry, exact=exact))
        assert self.writer.applied.index == entry.index, "whatever came of it, the log moved on"
        assert not self.writer.connection.in_transaction
        return answer

    def sql(self, sql: str, **header: Any) -> Any:
        return self.apply(self.log.sql(sql, **header))

    def session(self) -> int:
        opened = self.apply(self.log.open_session(b"a client"))
        assert isinstance(opened, Opened)
        return opened.session


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Alone]:
    alone = Alone(tmp_path / "a.db")
    yield alone
    alone.writer.close()


def rows(alone: Alone, sql: str) -> list[Any]:
    return alone.writer.statements.own(sql)


def test_a_command_that_rolls_back_is_answered_and_the_log_moves_on(alone: Alone) -> None:
    alone.sql("CREATE TABLE t(a PRIMARY KEY)")
    alone.sql("INSERT INTO t VALUES (1)")
    answer = alone.sql("INSERT OR ROLLBACK INTO t VALUES (2), (1)")
    assert "UNIQUE" in answer.message
    assert rows(alone, "SELECT a FROM t") == [(1,)]


def test_fuel_is_counted_exactly_on_a_fresh_connection(alone: Alone) -> None:
    alone.sql("CREATE TABLE t(a)")
    before = alone.writer.connection
    many = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000)"
        " INSERT INTO t SELECT i FROM n"
    )
    assert alone.sql(many, fuel=3).refusal is Refusal.FUEL
    assert alone.writer.connection is not before
    assert rows(alone, "SELECT count(*) FROM t") == [(0,)]
    assert alone.apply(alone.log.sql(many, fuel=100_000), exact=True) == Done(5000, 5000)


def test_the_database_is_never_closed_for_a_fresh_connection(tmp_path: Path) -> None:
    doors = Doors()
    writer = Writer(tmp_path / "a.db", doors.vfs_name)
    writer.reconnect()
    # In between, the next one to open it would have to recover it, and a reader be locked out.
    assert doors.passed == ["open", "open", "close"]
    writer.close()


class Doors(apsw.VFS):
    """Notes who opens and closes the database."""

    def __init__(self) -> None:
        self.vfs_name, self.passed = "doors", list[str]()
        super().__init__(self.vfs_name, "cksmvfs")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        if not flags[0] & apsw.SQLITE_OPEN_MAIN_DB:
            return apsw.VFSFile("cksmvfs", name, flags)
        self.passed.append("open")
        return Door(self.passed, name, flags)


class Door(apsw.VFSFile):
    def __init__(
        self, passed: list[str], name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        self._passed = passed
        super().__init__("cksmvfs", name, flags)

    def xClose(self) -> None:
        self._passed.append("close")
        super().xClose()


def test_a_retried_command_is_not_applied_again(alone: Alone) -> None:
    alone.sql("CREATE TABLE t(a)")
    header = {"session": alone.session(), "sequence": 1}
    first = alone.sql("INSERT INTO t VALUES (1)", **header)
    assert alone.sql("INSERT INTO t VALUES (1)", **header) == first == Done(1, 1)
    assert rows(alone, "SELECT a FROM t") == [(1,)]


def test_asking_about_a_write_settles_that_it_never_happens(alone: Alone) -> None:
    alone.sql("CREATE TABLE t(a)")
    header = {"session": alone.session(), "sequence": 1}
    asked = alone.apply(alone.log.append(CommandKind.ASK, None, **header))
    assert asked == decode_answer(NEVER_HAPPENED)
    assert alone.sql("INSERT INTO t VALUES (1)", **header) == asked
    assert rows(alone, "SELECT a FROM t") == []


def test_a_vacuum_moves_the_position_too_and_a_refused_one_is_answered(alone: Alone) -> None:
    alone.sql("CREATE TABLE t(a)")
    assert alone.sql("VACUUM") == decode_answer(DONE)
    answer = alone.sql("VACUUM INTO 'copy.db'")
    assert isinstance(answer, Failed)
    assert "not authorized" in answer.message or "denied" in answer.message


def test_a_nonce_finds_its_session_and_a_closed_one_is_gone(alone: Alone) -> None:
    number = alone.session()
    assert alone.session() == number
    alone.apply(alone.log.append(CommandKind.CLOSE_SESSION, None, session=number))
    answer = alone.sql("SELECT 1", session=number, sequence=1)
    assert answer.refusal is Refusal.SESSION_UNKNOWN


def test_a_malformed_body_is_an_answer_of_every_kind(alone: Alone) -> None:
    for kind in (CommandKind.TRANSACTION, CommandKind.OPEN_SESSION, CommandKind.KEEP_SESSIONS):
        answer = alone.apply(alone.log.append(kind, 3.5))
        assert "malformed" in answer.message


def test_a_restore_is_never_applied_as_a_command(alone: Alone) -> None:
    entry = alone.log.append(CommandKind.RESTORE, OpenSession(b"", 1))
    with pytest.raises(MachineStopped, match="RESTORE is not applied here"):
        apply_alone(alone.writer, entry)
