"""One client's transaction: what it sees, what it is told, and what becomes of it."""

from __future__ import annotations

from typing import Any

import apsw
import pytest

from raftsql.cluster import transactions
from raftsql.cluster.requests import Read
from raftsql.cluster.transactions import Step
from raftsql.database.readers import Page
from raftsql.sql.commands import Batch, Failed, Many, Refusal, Statement, Why, encode
from raftsql_proto.frames import decode_rows
from tests.cluster.stage import Heard, Stage, command


def test_it_sees_its_own_writes_and_nobody_else_does(alone: Stage) -> None:
    client = alone.begin()
    assert client.execute("INSERT INTO t (y) VALUES ('a')").done.last_insert_rowid == 1
    assert client.execute("SELECT y FROM t").done.rows == [["a"]]
    assert alone.rows("SELECT y FROM t") == []
    client.commit()
    assert alone.rows("SELECT y FROM t") == [["a"]]


def test_savepoints_counts_and_returning_are_immediate(alone: Stage) -> None:
    client = alone.begin(immediate=True)
    client.execute("INSERT INTO t (y) VALUES ('a')")
    client.execute("SAVEPOINT s")
    assert client.execute("UPDATE t SET y = 'b' RETURNING y").done.rows == [["b"]]
    client.execute("ROLLBACK TO s")
    assert client.execute("SELECT y FROM t").done.rows == [["a"]]
    assert client.commit().done.changes == -1
    assert alone.rows("SELECT y FROM t") == [["a"]]


def test_an_error_leaves_it_open(alone: Stage) -> None:
    client = alone.begin()
    client.execute("INSERT INTO t VALUES (1, 'a')")
    failed = client.execute("INSERT INTO t VALUES (1, 'b')").failed
    assert failed.refusal is Refusal.SQL
    client.execute("INSERT INTO t VALUES (2, 'c')")
    client.commit()
    assert alone.rows("SELECT y FROM t") == [["a"], ["c"]]


def test_or_rollback_ends_it_and_only_rollback_goes_on(alone: Stage) -> None:
    client = alone.begin()
    client.execute("INSERT INTO t VALUES (1, 'a')")
    assert client.execute("INSERT OR ROLLBACK INTO t VALUES (1, 'b')").failed
    assert "ROLLBACK" in client.execute("INSERT INTO t VALUES (3, 'c')").failed.message
    assert "ROLLBACK" in client.commit().failed.message
    client.rollback()
    assert alone.rows("SELECT y FROM t") == []
    assert alone.wrote("INSERT INTO t VALUES (4, 'd')").changes == 1


def test_a_deferred_foreign_key_fails_the_commit_and_leaves_it_open(alone: Stage) -> None:
    alone.wrote("CREATE TABLE c (p REFERENCES t (x) DEFERRABLE INITIALLY DEFERRED)")
    client = alone.begin()
    client.execute("INSERT INTO c VALUES (7)")
    assert "FOREIGN KEY" in client.commit().failed.message
    client.execute("INSERT INTO t VALUES (7, 'seven')")
    assert client.commit().done.changes == -1


def test_a_statement_behind_a_commit_is_refused_and_not_forgotten(alone: Stage) -> None:
    """The client did not wait for the answer, so it can't know what the statement would be in."""
    alone.wrote("CREATE TABLE c (p REFERENCES t (x) DEFERRABLE INITIALLY DEFERRED)")
    client = alone.begin()
    client.execute("INSERT INTO c VALUES (7)")
    alone.world.database_waits = True
    statement = client.execute("INSERT INTO t VALUES (8, 'eight')")
    failing = client.commit()
    behind = client.execute("INSERT INTO t VALUES (9, 'nine')")
    alone.world.database_waits = False
    alone.world.finish_jobs()
    assert statement.done.changes == 1
    assert behind.why is Why.BAD_REQUEST
    assert "FOREIGN KEY" in failing.failed.message
    assert client.execute("INSERT INTO t VALUES (7, 'seven')").done.changes == 1
    assert client.commit().done.changes == -1
    assert alone.rows("SELECT x FROM t ORDER BY x") == [[7], [8]]


def test_reads_before_the_first_write_all_see_one_moment(alone: Stage) -> None:
    client = alone.begin()
    assert client.select("SELECT count(*) FROM t").rows == [[0]]
    alone.wrote("INSERT INTO t (y) VALUES ('other')")
    assert client.select("SELECT count(*) FROM t").rows == [[0]]
    assert client.commit().done.changes == 0
    assert alone.world.readers.holds == 0


def test_it_may_write_when_nothing_was_written_since_it_read(alone: Stage) -> None:
    client = alone.begin()
    client.select("SELECT count(*) FROM t")
    assert client.execute("INSERT INTO t (y) VALUES ('a')").done.changes == 1
    assert alone.world.readers.holds == 0
    assert client.commit().done.changes == -1


COUNTING = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 25000)"


@pytest.mark.parametrize("ends", ["commit", "rollback"])
@pytest.mark.parametrize("writes", [True, False])
def test_a_result_of_many_pages_is_read_to_its_end_whatever_becomes_of_its_transaction(
    alone: Stage, ends: str, writes: bool
) -> None:
    alone.wrote("INSERT INTO t (y) VALUES ('old')")
    client = alone.begin()
    heard = client.select(f"{COUNTING} SELECT i, y FROM n, t")
    (more,) = heard.rests
    assert more is not None
    if writes:
        assert client.execute("UPDATE t SET y = 'new'").done.changes == 1
    page = more.next_page()
    assert isinstance(page, Page)
    assert page.more is not None
    getattr(client, ends)()
    last = page.more.next_page()
    assert isinstance(last, Page)
    assert decode_rows(last.rows)[-1] == [25_000, "old"]
    assert last.more is None
    assert alone.world.readers.holds == 0


def test_what_it_read_was_written_to_since(alone: Stage) -> None:
    client = alone.begin()
    client.select("SELECT count(*) FROM t")
    alone.wrote("INSERT INTO t (y) VALUES ('other')")
    heard = client.execute("INSERT INTO t (y) VALUES ('a')")
    assert heard.why is Why.SERIALIZATION
    assert client.execute("SELECT 1").why is Why.SERIALIZATION
    assert client.commit().why is Why.SERIALIZATION
    client.rollback()
    assert alone.wrote("INSERT INTO t (y) VALUES ('free')").changes == 1


def test_what_no_statement_can_see_breaks_nothing(alone: Stage) -> None:
    """A client opens its session between its first read and its first write."""
    client = alone.begin()
    client.select("SELECT count(*) FROM t")
    alone.session()
    assert client.execute("INSERT INTO t (y) VALUES ('a')").done.changes == 1


def test_a_write_that_waits_in_the_log_breaks_it_too(leader: Stage) -> None:
    client = leader.begin()
    client.select("SELECT count(*) FROM t")
    leader.write("INSERT INTO t (y) VALUES ('other')")
    leader.pump()
    heard = client.execute("INSERT INTO t (y) VALUES ('a')")
    leader.settle()
    assert heard.why is Why.SERIALIZATION


def test_immediate_takes_the_writer_with_its_first_statement_even_a_read(alone: Stage) -> None:
    client = alone.begin(immediate=True)
    assert client.select("SELECT count(*) FROM t").done.rows == [[0]]
    assert client.state == "open"


def test_a_write_behind_a_read_that_still_waits_lets_it_see_its_moment_first(
    leader: Stage,
) -> None:
    """The client sent both without waiting; both are answered, in order."""
    client = leader.begin()
    reading, writing = Heard(), Heard()
    sql = Statement("SELECT count(*) FROM t")
    client.transaction.execute(Step([sql], 1, reading), Read(sql.sql, None, reading))
    insert = Statement("INSERT INTO t (y) VALUES ('a')")
    client.transaction.execute(Step([insert], 1, writing), None)
    leader.settle()
    assert reading.rows == [[0]]
    assert writing.done.changes == 1
    assert client.commit().times == 0
    leader.settle()
    assert leader.world.readers.holds == 0


def test_a_read_behind_a_write_that_still_waits_sees_what_was_written(leader: Stage) -> None:
    """The client sent all three without waiting: the last one is not read at the old moment."""
    client = leader.begin()
    before, writing, after = Heard(), Heard(), Heard()
    sql = Statement("SELECT count(*) FROM t")
    client.transaction.execute(Step([sql], 1, before), Read(sql.sql, None, before))
    insert = Statement("INSERT INTO t (y) VALUES ('a')")
    client.transaction.execute(Step([insert], 1, writing), None)
    client.transaction.execute(Step([sql], 1, after), Read(sql.sql, None, after))
    leader.settle()
    assert before.rows == [[0]]
    assert writing.done.changes == 1
    assert after.done.rows == [[1]]


def test_a_read_that_waits_for_the_writer_may_be_given_up(leader: Stage) -> None:
    holder, waiting = leader.begin(), leader.begin(immediate=True)
    holder.execute("INSERT INTO t (y) VALUES ('a')")
    heard = Heard()
    sql = Statement("SELECT count(*) FROM t")
    read = Read(sql.sql, None, heard)
    waiting.transaction.execute(Step([sql], 1, heard), read)
    assert waiting.state == "waiting"
    read.cancelled, read.deadline_ms = True, 1
    leader.advance(1)
    assert heard.why is Why.CANCELLED
    assert waiting.state == "ended"


def test_a_statement_is_answered_before_the_next_one_runs(alone: Stage) -> None:
    client = alone.begin()
    alone.world.database_waits = True
    heard = [client.execute(f"INSERT INTO t (y) VALUES ({n})") for n in range(3)]
    commit = client.commit()
    alone.world.finish_jobs(2)
    assert [h.times for h in heard] == [1, 0, 0]
    alone.world.finish_jobs()
    alone.pump()
    alone.world.finish_jobs()
    assert [h.done.last_insert_rowid for h in heard] == [1, 2, 3]
    assert commit.done.changes == -1


def test_nothing_can_be_added_to_a_commit_under_way(leader: Stage) -> None:
    client = leader.begin()
    client.execute("INSERT INTO t (y) VALUES ('a')")
    commit = client.commit()
    assert client.execute("INSERT INTO t (y) VALUES ('b')").why is Why.BAD_REQUEST
    client.rollback()
    leader.settle()
    assert commit.done.changes == -1
    assert leader.rows("SELECT y FROM t") == [["a"]]


def test_a_second_commit_is_answered_although_nobody_knows_yet(leader: Stage) -> None:
    client = leader.begin()
    client.execute("INSERT INTO t (y) VALUES ('a')")
    first = client.commit()
    second = client.commit()
    assert second.why is Why.UNKNOWN
    leader.settle()
    assert first.done.changes == -1


def test_a_second_commit_behind_statements_that_still_run_is_answered(alone: Stage) -> None:
    client = alone.begin()
    alone.world.database_waits = True
    client.execute("INSERT INTO t (y) VALUES ('a')")
    first, second = client.commit(), client.commit()
    alone.world.database_waits = False
    alone.world.finish_jobs()
    alone.pump()
    assert second.why is Why.UNKNOWN
    assert first.done.changes == -1


def test_a_commit_that_was_applied_before_is_not_applied_again(leader: Stage) -> None:
    """Its answer was lost, the client ran the transaction once more under the same sequence."""
    session = leader.session()
    for _ in range(2):
        client = leader.begin()
        client.execute("INSERT INTO t (y) VALUES ('once')")
        answer = client.commit(session, 1)
        leader.settle()
        assert answer.done.changes == -1
    assert leader.rows("SELECT y FROM t") == [["once"]]
    assert leader.wrote("INSERT INTO t (y) VALUES ('more')").changes == 1


def test_a_commit_under_an_unknown_session_writes_nothing(leader: Stage) -> None:
    client = leader.begin()
    client.execute("INSERT INTO t (y) VALUES ('a')")
    answer = client.commit(12345, 1)
    leader.settle()
    assert answer.failed.refusal is Refusal.SESSION_UNKNOWN
    assert leader.rows("SELECT y FROM t") == []


def test_an_ended_transaction_says_why_every_time(leader: Stage) -> None:
    client = leader.begin()
    client.execute("INSERT INTO t (y) VALUES ('a')")
    leader.lose_lead()
    for heard in (client.execute("SELECT 1"), client.select("SELECT 1"), client.commit()):
        assert heard.why is Why.TRANSACTION_GONE
        assert "lost the lead" in heard.messages[0]


def test_an_empty_one_commits_without_the_log(alone: Stage) -> None:
    last = alone.node.log.last
    assert alone.begin().commit().done.changes == 0
    assert alone.begin(immediate=True).commit().done.changes == 0
    assert alone.node.log.last == last
    assert alone.replica.writer.open_count == 0


def test_what_was_read_with_the_writer_is_confirmed_by_a_majority(leader: Stage) -> None:
    """Only that tells whether another node has led and written meanwhile."""
    client = leader.begin(immediate=True)
    assert client.execute("SELECT count(*) FROM t").done.rows == [[0]]
    answer = client.commit()
    assert answer.times == 0
    leader.settle()
    assert answer.done.changes == -1
    assert leader.replica.writer.open_count == 0


def test_what_would_make_it_too_large_does_not_run_and_the_rest_may_be_committed(
    alone: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "BODY_BYTES_MAX", 100 + transactions.STEP_BYTES)
    client = alone.begin(immediate=True)
    assert client.execute("SELECT 1", size=90).done
    assert client.execute("INSERT INTO t (y) VALUES ('a')", size=60).done
    late = client.execute("INSERT INTO t (y) VALUES ('b')", size=60).failed
    assert late.code == apsw.SQLITE_TOOBIG
    assert "COMMIT" in late.message
    assert client.execute("SELECT y FROM t", size=8).done.rows == [["a"]]
    assert client.commit().done
    assert alone.rows("SELECT y FROM t") == [["a"]]


def test_a_commit_that_waits_is_done_after_a_statement_too_large(
    alone: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "BODY_BYTES_MAX", 100)
    holder, client = alone.begin(immediate=True), alone.begin()
    holder.execute("INSERT INTO t (y) VALUES ('first')")
    client.execute("INSERT INTO t (y) VALUES ('a')")
    late = client.execute("INSERT INTO t (y) VALUES ('b')", size=1000)
    committed = client.commit()
    assert client.state == "waiting"
    holder.commit()
    alone.settle()
    assert late.failed.code == apsw.SQLITE_TOOBIG
    assert committed.done
    assert alone.rows("SELECT y FROM t") == [["first"], ["a"]]


def test_thousands_of_statements_may_wait_for_the_writer(alone: Stage) -> None:
    holder, client = alone.begin(immediate=True), alone.begin()
    holder.execute("INSERT INTO t (y) VALUES ('first')")
    waiting = [client.execute("INSERT INTO t (y) VALUES ('x')") for _ in range(3000)]
    holder.rollback()
    alone.settle()
    assert all(heard.done.changes == 1 for heard in waiting)
    client.commit()
    assert alone.rows("SELECT count(*) FROM t") == [[3000]]


def many(sql: str, *rows: list[Any]) -> Batch:
    body = Many(sql, list(rows))
    return Batch(body, encode(body))


def test_rows_of_one_statement_stay_up_to_the_one_that_fails(leader: Stage) -> None:
    client, heard = leader.begin(), Heard()
    rows = many("INSERT INTO t VALUES (?, ?)", [1, "a"], [2, "b"], [1, "c"], [4, "d"])
    client.transaction.execute(Step([rows], len(rows.body), heard), None)
    assert (heard.failed.refusal, heard.failed.row) == (Refusal.SQL, 2)
    assert client.execute("SELECT y FROM t").done.rows == [["a"], ["b"]]
    committed = client.commit()
    leader.settle()
    assert committed.done
    last = leader.node.log.last.index
    (entry,) = leader.node.log.slice(last, last, bytes_max=1 << 20, entries_max=1)
    assert rows.body in entry.payload
    assert leader.rows("SELECT y FROM t") == [["a"], ["b"]]


def test_a_statement_for_more_rows_than_a_few_is_not_a_small_one() -> None:
    few = many("INSERT INTO t VALUES (?)", *[[n] for n in range(transactions.SMALL_STATEMENTS)])
    more = many(
        "INSERT INTO t VALUES (?)", *[[n] for n in range(transactions.SMALL_STATEMENTS + 1)]
    )
    assert Step([few], 1, Heard()).is_small
    assert not Step([more], 1, Heard()).is_small


def test_many_statements_of_one_request_stop_at_the_first_that_fails(alone: Stage) -> None:
    client = alone.begin()
    insert = "INSERT INTO t VALUES (1, 'a')"
    answer = client.execute(insert, "INSERT INTO t VALUES (2, 'b')").done
    assert (answer.changes, answer.last_insert_rowid) == (2, 2)
    failed = client.execute("INSERT INTO t VALUES (3, 'c')", insert).failed
    assert isinstance(failed, Failed)


def test_many_statements_of_one_request_happen_all_or_not_at_all(alone: Stage) -> None:
    client = alone.begin()
    client.execute("INSERT INTO t VALUES (1, 'a')")
    client.execute("INSERT INTO t VALUES (2, 'b')", "INSERT INTO t VALUES (1, 'again')")
    assert client.execute("SELECT x FROM t").done.rows == [[1]]
    client.commit()
    assert alone.rows("SELECT x FROM t") == [[1]]


def test_a_select_with_too_many_rows_says_what_to_do_and_leaves_it_open(alone: Stage) -> None:
    client = alone.begin(immediate=True)
    client.execute("INSERT INTO t VALUES (1, 'a')")
    many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20)"
    failed = client.execute(f"{many} SELECT zeroblob(1000000) FROM n").failed
    assert "LIMIT" in failed.message
    assert "undone" not in failed.message
    assert client.execute("SELECT x FROM t").done.rows == [[1]]
    client.commit()
    assert alone.rows("SELECT x FROM t") == [[1]]


def test_a_rolled_back_transaction_does_not_shift_the_clock_back(alone: Stage) -> None:
    alone.world.wall_ms = 5_000_000
    client = alone.begin()
    client.execute("INSERT INTO t (y) VALUES (unixepoch())")
    client.rollback()
    alone.world.wall_ms = 4_000_000
    alone.wrote("INSERT INTO t (y) VALUES (unixepoch())")
    assert alone.rows("SELECT y FROM t") == [[5_000]]


def test_a_stopping_node_tells_every_transaction(alone: Stage) -> None:
    client, waiting = alone.begin(), alone.begin()
    client.execute("INSERT INTO t (y) VALUES ('a')")
    heard = waiting.execute("INSERT INTO t (y) VALUES ('b')")
    alone.replica.stop()
    assert heard.times == 1
    assert client.execute("SELECT 1").whys
    assert alone.rows("SELECT y FROM t") == []


def test_a_transaction_outlives_nothing_that_other_leaders_write(leader: Stage) -> None:
    client = leader.begin()
    client.select("SELECT count(*) FROM t")
    leader.lose_lead()
    index = leader.node.log.last.index
    leader.replicate(command(index + 1, leader.node.term, "INSERT INTO t DEFAULT VALUES"))
    assert client.execute("INSERT INTO t (y) VALUES ('a')").why is Why.TRANSACTION_GONE
    assert leader.world.readers.holds == 0
