"""Interactive transactions: run for real on the leader, replayed and compared elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raftsql.database.environment import LIMITS
from raftsql.database.errors import Diverged, MachineStopped
from raftsql.database.machine import Machine
from raftsql.database.transaction import OpenTransaction
from raftsql.raft.messages import Entry, EntryKind
from raftsql.sql.commands import CommandKind, Done, Failed, Refusal, Settings, Statement
from tests.database.conftest import Bench, dump

ON = Settings.FOREIGN_KEYS
TABLES = ("CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE, c)", "CREATE TABLE u(a)")


class Pair:
    """A leader that runs transactions, and a follower that replays them."""

    def __init__(self, folder: Path) -> None:
        self.leader = Bench(folder / "leader.db")
        self.follower = Machine.open(folder / "follower.db")
        self._seed = 0
        self.may_follow = False
        """Whether another may begin upon what was sealed last."""
        self.both(self.leader.log.script(*TABLES))

    def both(self, *entries: Entry) -> None:
        assert self.leader.machine.apply(entries) == self.follower.apply(entries)

    def run(self, transaction: OpenTransaction, sql: str, parameters: Any = None) -> Any:
        self._seed += 1
        self.leader.log.clock_ms += 3
        return transaction.execute(
            Statement(sql, parameters),
            clock_ms=self.leader.log.clock_ms,
            seed=self._seed,
            fuel=10_000,
        )

    def commit(self, transaction: OpenTransaction, **header: Any) -> None:
        entry = self.seal(transaction, **header)
        assert transaction.commit([entry]) == self.follower.apply([entry])
        self.check()

    def seal(self, transaction: OpenTransaction, **header: Any) -> Entry:
        entry = self.leader.log.append(CommandKind.TRANSACTION, transaction.steps(), **header)
        self.may_follow = transaction.seal(entry.index, entry.payload)
        return entry

    def check(self) -> None:
        assert dump(self.leader.path) == dump(self.follower.path)
        assert self.leader.machine.applied == self.follower.applied
        assert self.leader.machine.clock_ms == self.follower.clock_ms

    def close(self) -> None:
        self.leader.machine.close()
        self.follower.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(tmp_path)
    yield pair
    pair.close()


def test_a_transaction_sees_its_own_writes_and_others_do_not(pair: Pair) -> None:
    open_one = pair.leader.machine.begin(ON)
    assert pair.run(open_one, "INSERT INTO t(b) VALUES (?)", ["x"]) == Done(1, 1)
    assert pair.run(open_one, "SELECT a, b FROM t").rows == [[1, "x"]]
    assert pair.run(open_one, "INSERT INTO u VALUES (last_insert_rowid())") == Done(1, 1)
    assert pair.run(open_one, "UPDATE t SET c = random() RETURNING a").rows == [[1]]
    assert pair.leader.rows("SELECT * FROM t") == []
    pair.commit(open_one)
    assert pair.leader.rows("SELECT a, b FROM t") == [(1, "x")]


MARK = "\ufeff"


@pytest.mark.parametrize("before", [MARK, f" {MARK} ", f"/* a file's */{MARK}", f"{MARK};{MARK}"])
def test_a_byte_order_mark_hides_no_write_from_the_replicas(pair: Pair, before: str) -> None:
    """SQLite takes the mark for a space."""
    open_one = pair.leader.machine.begin(ON)
    assert pair.run(open_one, before + "INSERT INTO t(b) VALUES (1)") == Done(1, 1)
    assert pair.run(open_one, before + "CREATE TABLE v(a)").changes == -1
    assert len(open_one.steps().steps) == 2
    pair.commit(open_one)
    assert pair.leader.rows("SELECT b FROM t, (SELECT count(*) FROM v)") == [(1,)]


def test_rolling_back_leaves_no_trace(pair: Pair) -> None:
    before = dump(pair.leader.path)
    open_one = pair.leader.machine.begin(ON)
    pair.run(open_one, "INSERT INTO t(b) VALUES (1)")
    pair.run(open_one, "CREATE TABLE v(a)")
    open_one.roll_back()
    assert dump(pair.leader.path) == before
    pair.both(pair.leader.log.sql("INSERT INTO t(b) VALUES (2)"))
    pair.check()


def test_savepoints_are_part_of_what_is_replayed(pair: Pair) -> None:
    open_one = pair.leader.machine.begin(ON)
    for sql in (
        "INSERT INTO u VALUES (1)",
        "SAVEPOINT one",
        "INSERT INTO u VALUES (2)",
        "SAVEPOINT two",
        "INSERT INTO u VALUES (3)",
        "ROLLBACK TO two",
        "RELEASE two",
        "INSERT INTO u VALUES (4)",
        "ROLLBACK TO one",
        "INSERT INTO u VALUES (5)",
        "RELEASE one",
    ):
        assert isinstance(pair.run(open_one, sql), Done)
    pair.commit(open_one)
    assert pair.leader.rows("SELECT a FROM u") == [(1,), (5,)]


def test_a_failed_statement_keeps_the_transaction_open(pair: Pair) -> None:
    open_one = pair.leader.machine.begin(ON)
    pair.run(open_one, "INSERT INTO t VALUES (1, 1, 1)")
    failed = pair.run(open_one, "INSERT INTO t VALUES (2, 2, 2), (1, 1, 1)")
    assert isinstance(failed, Failed)
    kept = pair.run(open_one, "INSERT OR FAIL INTO t VALUES (3, 3, 3), (1, 1, 1)")
    assert isinstance(kept, Failed)
    assert isinstance(pair.run(open_one, "nonsense"), Failed)
    pair.commit(open_one)
    assert pair.leader.rows("SELECT a FROM t") == [(1,), (3,)]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT OR ROLLBACK INTO t VALUES (1, 1, 1)",
        "WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x)"
        " INSERT INTO u SELECT i FROM x",
    ],
    ids=["OR ROLLBACK", "out of fuel"],
)
def test_what_ends_a_transaction_aborts_it_until_rollback(pair: Pair, sql: str) -> None:
    open_one = pair.leader.machine.begin(ON)
    pair.run(open_one, "INSERT INTO t VALUES (1, 1, 1)")
    assert isinstance(pair.run(open_one, sql), Failed)
    assert open_one.aborted
    for later in ("SELECT 1", "INSERT INTO u VALUES (1)"):
        answer = pair.run(open_one, later)
        assert isinstance(answer, Failed)
        assert "ROLLBACK" in answer.message
    assert open_one.problem() is not None
    open_one.roll_back()
    assert pair.leader.rows("SELECT count(*) FROM t") == [(0,)]
    pair.both(pair.leader.log.sql("INSERT INTO t VALUES (1, 1, 1)"))


def test_an_open_foreign_key_is_a_problem_before_the_commit_is_proposed(pair: Pair) -> None:
    pair.both(
        pair.leader.log.script(
            "CREATE TABLE p(a PRIMARY KEY)",
            "CREATE TABLE c(p REFERENCES p(a) DEFERRABLE INITIALLY DEFERRED)",
        )
    )
    open_one = pair.leader.machine.begin(ON)
    pair.run(open_one, "INSERT INTO c VALUES (1)")
    assert open_one.problem() == Failed(Refusal.SQL, 787, "FOREIGN KEY constraint failed")
    pair.run(open_one, "INSERT INTO p VALUES (1)")
    assert open_one.problem() is None
    pair.commit(open_one)


@pytest.mark.parametrize("sql", ["COMMIT", "ROLLBACK", "BEGIN", "ATTACH 'x' AS y"])
def test_the_transaction_itself_is_ended_by_its_owner_only(pair: Pair, sql: str) -> None:
    open_one = pair.leader.machine.begin(ON)
    pair.run(open_one, "INSERT INTO u VALUES (1)")
    assert isinstance(pair.run(open_one, sql), Failed)
    pair.commit(open_one)
    assert pair.leader.rows("SELECT a FROM u") == [(1,)]


def test_a_savepoint_is_not_allowed_once_the_transaction_has_ended(pair: Pair) -> None:
    open_one = pair.leader.machine.begin(ON)
    pair.run(open_one, "SAVEPOINT mine")
    pair.run(open_one, "INSERT INTO u VALUES (1)")
    pair.commit(open_one)
    assert isinstance(pair.leader.sql("SAVEPOINT mine"), Failed)


def test_other_entries_can_not_be_applied_beside_an_open_transaction(pair: Pair) -> None:
    open_one = pair.leader.machine.begin(ON)
    with pytest.raises(AssertionError, match="beside an open transaction"):
        pair.leader.machine.apply([pair.leader.log.sql("INSERT INTO u VALUES (1)")])
    open_one.roll_back()


def test_entries_that_are_no_commands_may_come_before_the_commit(pair: Pair) -> None:
    open_one = pair.leader.machine.begin(ON)
    pair.run(open_one, "INSERT INTO u VALUES (1)")
    log = pair.leader.log
    noop = log.plain(EntryKind.NOOP)
    membership = log.plain(EntryKind.MEMBERSHIP, b"four")
    entries = [noop, membership, pair.seal(open_one)]
    assert open_one.commit(entries) == pair.follower.apply(entries)
    assert pair.leader.machine.membership == b"four"
    pair.check()


def test_a_retried_commit_is_not_applied_twice(pair: Pair) -> None:
    pair.both(pair.leader.log.open_session(b"n"))
    header = {"session": 2, "sequence": 1}
    first = pair.leader.machine.begin(ON)
    pair.run(first, "INSERT INTO u VALUES (1)")
    steps = first.steps()
    pair.commit(first, **header)
    pair.both(pair.leader.log.append(CommandKind.TRANSACTION, steps, **header))
    again = pair.leader.machine.begin(ON)
    pair.run(again, "INSERT INTO u VALUES (1)")
    pair.commit(again, **header)
    assert pair.leader.rows("SELECT a FROM u") == [(1,)]


def test_a_rolled_back_transaction_that_is_committed_after_all_arrives_by_the_log(
    pair: Pair,
) -> None:
    open_one = pair.leader.machine.begin(ON)
    pair.run(open_one, "INSERT INTO t(b, c) VALUES (random(), datetime('now'))")
    steps = open_one.steps()
    open_one.roll_back()
    pair.both(pair.leader.log.append(CommandKind.TRANSACTION, steps))
    pair.check()
    assert pair.leader.rows("SELECT count(*) FROM t") == [(1,)]


def test_a_replica_that_counts_other_changes_stops(pair: Pair) -> None:
    open_one = pair.leader.machine.begin(ON)
    pair.run(open_one, "INSERT INTO u VALUES (1), (2)")
    steps = open_one.steps()
    open_one.roll_back()
    steps.steps[0] = type(steps.steps[0])("INSERT INTO u VALUES (1)", None, 1, 1, 2, False)
    entry = pair.leader.log.append(CommandKind.TRANSACTION, steps)
    applied = pair.follower.applied
    with pytest.raises(Diverged, match="changed 1 rows"):
        pair.follower.apply([entry])
    with pytest.raises(MachineStopped):
        pair.follower.apply([entry])
    reopened = Machine.open(pair.follower.path)
    assert reopened.applied == applied
    reopened.close()


def test_full_text_tables_with_another_history_are_not_taken_for_divergence(pair: Pair) -> None:
    log = pair.leader.log
    pair.both(log.sql("CREATE VIRTUAL TABLE f USING fts5(a)"))
    entries = [log.sql("INSERT INTO f VALUES (?)", [f"word {n} " * 50]) for n in range(40)]
    pair.leader.machine.apply(entries)
    for entry in entries:
        pair.follower.apply([entry])
    for _ in range(3):
        open_one = pair.leader.machine.begin(ON)
        for number in range(20):
            pair.run(open_one, "INSERT INTO f VALUES (?)", [f"more {number} words " * 300])
            pair.run(open_one, "DELETE FROM f WHERE rowid = ?", [number])
        pair.run(open_one, "INSERT INTO f(f) VALUES ('optimize')")
        pair.commit(open_one)


STATEMENTS = [
    "INSERT INTO t(b, c) VALUES (random() % 5, unixepoch('subsec'))",
    "INSERT OR REPLACE INTO t(b, c) VALUES (random() % 5, changes())",
    "INSERT OR FAIL INTO t(b) SELECT random() % 4 FROM (VALUES (1), (2), (3))",
    "INSERT INTO u SELECT last_insert_rowid() + changes()",
    "UPDATE t SET c = hex(randomblob(3)) WHERE b % 2",
    "UPDATE OR IGNORE t SET b = b + 1",
    "DELETE FROM t WHERE a IN (SELECT a FROM t ORDER BY random() LIMIT 1)",
    "SELECT count(*), random() FROM t",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "RELEASE s",
    "CREATE TABLE IF NOT EXISTS v(a, b DEFAULT (random()))",
    "INSERT INTO v(a) VALUES (1)",
    "DROP TABLE v",
    "ALTER TABLE v RENAME TO w",
    "wrong",
]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(runs=st.lists(st.lists(st.sampled_from(STATEMENTS), max_size=9), min_size=1, max_size=4))
def test_any_transaction_comes_to_the_same_when_replayed(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[str]]
) -> None:
    pair = Pair(tmp_path_factory.mktemp("pair"))
    for run in runs:
        open_one = pair.leader.machine.begin(ON)
        for sql in run:
            pair.run(open_one, sql)
        if open_one.aborted:
            open_one.roll_back()
        else:
            pair.commit(open_one)
    pair.close()


FAILING_MIDWAY = [
    "INSERT INTO s(a) VALUES (1), ('no number')",
    'INSERT INTO t(b) SELECT json(value) FROM json_each(\'["1", "{"]\')',
    "INSERT INTO t(b) SELECT abs(value) FROM json_each('[1, -9223372036854775808]')",
    "UPDATE v SET a = CASE a WHEN 3 THEN abs(-9223372036854775807 - 1) ELSE a + 10 END",
    "INSERT INTO t(b) SELECT zeroblob(value) FROM json_each('[1, 99999999]')",
    "INSERT INTO t(b) VALUES (7), (8), (7)",
    "INSERT OR FAIL INTO t(b) VALUES (7), (8), (7)",
    "DELETE FROM v WHERE CASE a WHEN 3 THEN abs(-9223372036854775807 - 1) ELSE 1 END",
]


@pytest.mark.parametrize("failing", FAILING_MIDWAY)
def test_what_a_statement_that_fails_midway_leaves_is_what_plain_sqlite_leaves(
    pair: Pair, failing: str
) -> None:
    texts = (
        "CREATE TABLE s(a INTEGER) STRICT",
        "CREATE TABLE v(a)",
        "INSERT INTO v VALUES (1), (2)",
    )
    more = "INSERT INTO v VALUES (3), (4)"
    pair.both(pair.leader.log.script(*texts, more))
    plain = apsw.Connection(":memory:")
    plain.limit(apsw.SQLITE_LIMIT_LENGTH, LIMITS[apsw.SQLITE_LIMIT_LENGTH])
    for text in (*TABLES, *texts, more, "BEGIN", "INSERT INTO u VALUES ('before')"):
        plain.execute(text)
    with pytest.raises(apsw.Error):
        plain.execute(failing)
    plain.execute("INSERT INTO u VALUES ('after')")
    transaction = pair.leader.machine.begin(ON)
    pair.run(transaction, "INSERT INTO u VALUES ('before')")
    assert isinstance(pair.run(transaction, failing), Failed)
    pair.run(transaction, "INSERT INTO u VALUES ('after')")
    pair.commit(transaction)
    for table in ("t", "u", "s", "v"):
        query = f"SELECT * FROM {table} ORDER BY rowid"
        assert pair.leader.rows(query) == plain.execute(query).fetchall()


ENDLESS_READ = (
    "WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x) SELECT sum(i) FROM x"
)


def test_a_read_out_of_fuel_is_not_repeated_by_replicas_which_have_no_limit(pair: Pair) -> None:
    open_one = pair.leader.machine.begin(ON)
    pair.run(open_one, "INSERT INTO t(b) VALUES ('a')")
    clock_ms = pair.leader.log.clock_ms
    answer = open_one.execute(Statement(ENDLESS_READ, None), clock_ms=clock_ms, seed=1, fuel=5)
    assert isinstance(answer, Failed)
    assert answer.refusal is Refusal.FUEL
    assert open_one.step_count == 1
    pair.commit(open_one)
    assert pair.leader.rows("SELECT b FROM t") == [("a",)]


def test_a_read_out_of_fuel_ends_what_full_text_tables_have_gathered(pair: Pair) -> None:
    pair.both(pair.leader.log.script("CREATE VIRTUAL TABLE words USING fts5(a)"))
    open_one = pair.leader.machine.begin(ON)
    pair.run(open_one, "INSERT INTO words VALUES ('one two')")
    clock_ms = pair.leader.log.clock_ms
    open_one.execute(Statement(ENDLESS_READ, None), clock_ms=clock_ms, seed=1, fuel=5)
    assert open_one.aborted
    open_one.roll_back()
    assert pair.leader.rows("SELECT a FROM words") == []
