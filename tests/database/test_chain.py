"""Transactions begun upon others whose commits are still on their way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raftsql.database.errors import TakesLonger
from raftsql.database.machine import Machine
from raftsql.database.transaction import OpenTransaction
from raftsql.raft.messages import Entry, EntryKind
from raftsql.sql.commands import CommandKind, Done, Failed, Settings, Statement
from tests.database.conftest import Bench, dump

ON = Settings.FOREIGN_KEYS
TABLES = (
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE, c)",
    "CREATE TABLE u(a)",
    "CREATE TABLE child(a REFERENCES t DEFERRABLE INITIALLY DEFERRED)",
    "CREATE VIRTUAL TABLE words USING fts5(a)",
)
LONG = (
    "WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x LIMIT 5000)"
    " INSERT INTO u SELECT sum(i) FROM x"
)


class Chain:
    """A leader whose transactions begin one upon another, and a follower that replays them."""

    def __init__(self, folder: Path) -> None:
        self.leader = Bench(folder / "leader.db")
        self.follower = Machine.open(folder / "follower.db")
        self.log = self.leader.log
        self.open: OpenTransaction | None = None
        self.sealed: list[OpenTransaction] = []
        self.may_follow = True
        self.on_the_way: list[Entry] = []
        self._seed = 0
        script = [self.log.script(*TABLES), self.log.open_session(b"n")]
        self.leader.machine.apply(script)
        self.follower.apply(script)

    def begin(self) -> OpenTransaction:
        assert self.open is None
        assert self.may_follow
        self.open = self.leader.machine.begin(ON)
        return self.open

    def run(self, sql: str, **bounds: Any) -> Done | Failed:
        assert self.open is not None
        self._seed += 1
        self.log.clock_ms += 3
        return self.open.execute(
            Statement(sql, None), clock_ms=self.log.clock_ms, seed=self._seed, fuel=10_000, **bounds
        )

    def seal(self, **header: Any) -> bool:
        assert self.open is not None
        entry = self.log.append(CommandKind.TRANSACTION, self.open.steps(), **header)
        self.may_follow = self.open.seal(entry.index, entry.payload)
        self.sealed.append(self.open)
        self.on_the_way.append(entry)
        self.open = None
        return self.may_follow

    def roll_back(self) -> None:
        assert self.open is not None
        self.open.roll_back()
        self.open = None

    def plain(self, kind: EntryKind, payload: bytes = b"") -> None:
        self.on_the_way.append(self.log.plain(kind, payload))
        self.may_follow = False

    def arrive(self, count: int = 1000) -> None:
        """The log commits what is on the way, or so much of it."""
        entries, self.on_the_way = self.on_the_way[:count], self.on_the_way[count:]
        if not entries:
            return
        machine = self.leader.machine
        if self.open is None and len(self.sealed) == 1 and entries[-1].index >= self._place:
            count = self._place - entries[0].index + 1
            self.sealed[0].commit(entries[:count])
            machine.apply(entries[count:])
        else:
            machine.unwind(entries[-1].index)
            machine.apply(entries)
        self.sealed = [sealed for sealed in self.sealed if sealed.index > entries[-1].index]
        self.follower.apply(entries)
        if not self.sealed and not self.on_the_way:
            self.may_follow = True

    @property
    def _place(self) -> int:
        return self.sealed[0].index

    def check(self) -> None:
        """Everything that was sealed is the same on both."""
        if self.open is not None:
            self.roll_back()
        self.arrive()
        assert dump(self.leader.path) == dump(self.follower.path)
        assert self.leader.machine.applied == self.follower.applied
        assert self.leader.machine.clock_ms == self.follower.clock_ms
        kept = [m._writer.sessions.contents() for m in (self.leader.machine, self.follower)]
        assert kept[0] == kept[1]

    def close(self) -> None:
        self.leader.machine.close()
        self.follower.close()


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    chain = Chain(tmp_path)
    yield chain
    chain.close()


def test_the_next_transaction_sees_what_is_on_its_way(chain: Chain) -> None:
    chain.begin()
    chain.run("INSERT INTO t(b) VALUES ('a')")
    assert chain.seal()
    chain.begin()
    answer = chain.run("SELECT b FROM t")
    assert isinstance(answer, Done)
    assert answer.rows == [["a"]]
    assert chain.leader.rows("SELECT b FROM t") == [], "readers do not"
    chain.run("INSERT INTO t(b) VALUES ('b')")
    chain.seal()
    chain.check()
    assert chain.leader.rows("SELECT b FROM t") == [("a",), ("b",)]


def test_the_first_is_committed_beneath_an_open_one(chain: Chain) -> None:
    chain.begin()
    chain.run("INSERT INTO t(b, c) VALUES ('a', random())")
    chain.seal()
    chain.begin()
    chain.run("INSERT INTO t(b, c) VALUES ('b', random())")
    chain.arrive()
    assert chain.leader.rows("SELECT b FROM t") == [("a",)]
    answer = chain.run("SELECT b, last_insert_rowid() FROM t")
    assert isinstance(answer, Done)
    assert answer.rows == [["a", 2], ["b", 2]]
    chain.seal()
    chain.check()


def test_one_that_is_rolled_back_takes_nobody_with_it(chain: Chain) -> None:
    for name in "ab":
        chain.begin()
        chain.run(f"INSERT INTO t(b) VALUES ('{name}')")
        assert chain.seal()
    chain.begin()
    chain.run("INSERT INTO t(b) VALUES ('c')")
    chain.roll_back()
    chain.begin()
    answer = chain.run("SELECT b FROM t")
    assert isinstance(answer, Done)
    assert answer.rows == [["a"], ["b"]]
    chain.check()
    assert chain.leader.rows("SELECT b FROM t") == [("a",), ("b",)]


@pytest.mark.parametrize("ends", ["INSERT OR ROLLBACK INTO t VALUES (1, 1, 1)", LONG])
def test_one_that_ends_inside_sqlite_takes_nobody_with_it(chain: Chain, ends: str) -> None:
    chain.begin()
    chain.run("INSERT INTO t VALUES (1, 'a', 1)")
    assert chain.seal()
    open_ = chain.begin()
    chain.run("INSERT INTO t(b) VALUES ('b')")
    assert isinstance(
        open_.execute(Statement(ends, None), clock_ms=chain.log.clock_ms, seed=1, fuel=9), Failed
    )
    assert open_.aborted
    chain.roll_back()
    chain.begin()
    chain.run("INSERT INTO t(b) SELECT b || 'c' FROM t")
    chain.seal()
    chain.check()
    assert chain.leader.rows("SELECT b FROM t") == [("a",), ("ac",)]


def test_a_statement_that_takes_long_is_run_again_upon_the_same(chain: Chain) -> None:
    chain.begin()
    chain.run("INSERT INTO u VALUES (1)")
    chain.seal()
    chain.begin()
    chain.run("INSERT INTO u VALUES (2)")
    with pytest.raises(TakesLonger):
        chain.run(LONG, patience=5)
    chain.run(LONG)
    assert chain.seal() is False, "what takes long is not built upon"
    chain.check()
    assert chain.leader.rows("SELECT a FROM u") == [(1,), (2,), (12502500,)]


def test_large_values_are_not_built_upon_nor_done_again_in_a_hurry(chain: Chain) -> None:
    chain.begin()
    chain.run(f"INSERT INTO u VALUES ('{'x' * (2 << 20)}')")
    assert not chain.leader.machine.is_quick_to_unwind
    chain.plain(EntryKind.NOOP)
    chain.arrive()
    with pytest.raises(TakesLonger):
        chain.run("SELECT 1", patience=1_000)
    answer = chain.run("SELECT count(*) FROM u")
    assert isinstance(answer, Done)
    assert answer.rows == [[1]]
    assert chain.seal() is False
    chain.check()


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE v(a)",
        "INSERT INTO words VALUES ('one two')",
        "SAVEPOINT s",
    ],
)
def test_what_has_to_be_left_first_is_not_built_upon(chain: Chain, sql: str) -> None:
    chain.begin()
    chain.run("INSERT INTO t(b) VALUES ('a')")
    chain.run(sql)
    assert chain.seal() is False
    chain.check()


def test_a_savepoint_of_another_time_keeps_nobody_from_building(chain: Chain) -> None:
    for sql in ("INSERT INTO u VALUES (1)", "INSERT INTO u VALUES (1)", "SAVEPOINT s"):
        chain.begin()
        chain.run(sql)
        chain.run("INSERT INTO u VALUES (1)")
        chain.seal()
        chain.arrive()
    chain.begin()
    chain.run("INSERT INTO u VALUES (1)")
    assert chain.seal()
    chain.check()


def test_what_its_session_refuses_is_not_built_upon(chain: Chain) -> None:
    header = {"session": 2, "sequence": 1}
    for expected in (True, False):
        chain.begin()
        chain.run("INSERT INTO u VALUES (1)")
        assert chain.seal(**header) is expected
        if not expected:
            break
    chain.check()
    assert chain.leader.rows("SELECT a FROM u") == [(1,)]


def test_a_session_that_is_full_is_so_within_a_chain(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raftsql.database.sessions.OUTSTANDING_MAX", 2)
    for sequence in (1, 2, 3):
        chain.begin()
        chain.run("INSERT INTO u VALUES (1)")
        assert chain.seal(session=2, sequence=sequence) is (sequence < 3)
    chain.check()
    assert chain.leader.rows("SELECT a FROM u") == [(1,), (1,)]


def _torn_and_mended(chain: Chain) -> None:
    """One is on its way under a session, and another upon it has been done again."""
    chain.begin()
    chain.run("INSERT INTO u VALUES (1)")
    assert chain.seal(session=2, sequence=1)
    chain.begin()
    with pytest.raises(TakesLonger):
        chain.run(LONG, patience=5)
    chain.run("SELECT 1")


def test_what_is_done_again_is_known_to_its_session_again(chain: Chain) -> None:
    _torn_and_mended(chain)
    chain.run("INSERT INTO u VALUES (2)")
    assert chain.seal(session=2, sequence=1) is False
    chain.check()
    assert chain.leader.rows("SELECT a FROM u") == [(1,)]


def test_what_is_done_again_may_be_committed_where_it_stands(chain: Chain) -> None:
    _torn_and_mended(chain)
    chain.roll_back()
    chain.check()


def test_a_membership_is_taken_beneath_an_open_one(chain: Chain) -> None:
    chain.begin()
    chain.run("INSERT INTO t(b) VALUES ('a')")
    chain.plain(EntryKind.MEMBERSHIP, b"four")
    chain.arrive()
    assert chain.leader.machine.membership == b"four"
    chain.seal()
    chain.check()
    assert chain.leader.rows("SELECT b FROM t") == [("a",)]


def test_a_foreign_key_left_open_is_seen_after_unwinding(chain: Chain) -> None:
    chain.begin()
    chain.run("INSERT INTO u VALUES (1)")
    chain.seal()
    open_ = chain.begin()
    chain.run("INSERT INTO child VALUES (99)")
    chain.arrive()
    assert isinstance(open_.problem(), Failed)
    chain.run("DELETE FROM child")
    assert open_.problem() is None
    chain.seal()
    chain.check()


def test_nothing_is_left_to_roll_back_of_a_database_that_was_let_go(chain: Chain) -> None:
    """A snapshot may have taken its place before the end of a lost lead's transaction got there."""
    open_ = chain.begin()
    chain.run("INSERT INTO u VALUES (1)")
    chain.leader.machine.close()
    open_.roll_back()
    assert not open_.is_open


def test_others_settings_are_not_built_upon(chain: Chain) -> None:
    chain.begin()
    chain.run("INSERT INTO u VALUES (1)")
    chain.seal()
    with pytest.raises(AssertionError, match="settings"):
        chain.leader.machine.begin(Settings(0))


ACTIONS = [
    "INSERT INTO t(b, c) VALUES (random() % 9, unixepoch('subsec'))",
    "INSERT OR REPLACE INTO t(b, c) VALUES (random() % 5, changes())",
    "INSERT OR FAIL INTO t(b) SELECT random() % 4 FROM (VALUES (1), (2), (3))",
    "INSERT OR ROLLBACK INTO t(b) VALUES (abs(random() % 3))",
    "INSERT INTO u SELECT last_insert_rowid() + changes()",
    "UPDATE t SET c = hex(randomblob(3)) WHERE b % 2",
    "DELETE FROM t WHERE a IN (SELECT a FROM t ORDER BY random() LIMIT 1)",
    "INSERT INTO words VALUES (hex(randomblob(4)))",
    "INSERT INTO child SELECT max(a) + 1 FROM t",
    "SELECT count(*), random() FROM t",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "CREATE TABLE IF NOT EXISTS v(a, b DEFAULT (random()))",
    "INSERT INTO v(a) VALUES (1)",
    "wrong",
    LONG,
    "> seal", "> seal", "> seal", "> seal of a session", "> roll back",
    "> arrive", "> arrive", "> one arrives", "> no-op",
]  # fmt: skip


def _act(chain: Chain, action: str, number: int) -> None:
    open_ = chain.open
    match action:
        case "> arrive":
            chain.arrive()
        case "> one arrives":
            chain.arrive(1)
        case "> no-op":
            if open_ is None:
                chain.plain(EntryKind.NOOP)
        case "> roll back":
            if open_ is not None:
                chain.roll_back()
        case "> seal" | "> seal of a session":
            if open_ is None or not open_.step_count or open_.problem() is not None:
                return
            session = {"session": 2, "sequence": 1 + number // 3} if action != "> seal" else {}
            chain.seal(**session)
        case _:
            if open_ is None and not chain.may_follow:
                return
            if open_ is None:
                chain.begin()
            try:
                chain.run(action, patience=8)
            except TakesLonger:
                chain.run(action)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(actions=st.lists(st.sampled_from(ACTIONS), min_size=5, max_size=40))
def test_any_chain_comes_to_what_its_log_comes_to(
    tmp_path_factory: pytest.TempPathFactory, actions: list[str]
) -> None:
    chain = Chain(tmp_path_factory.mktemp("chain"))
    for number, action in enumerate(actions):
        _act(chain, action, number)
    chain.check()
    chain.close()
