"""Blocking connections, against the fake cluster."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from raftsql_driver import errors, rows
from raftsql_driver.sync import Connection, Cursor, connect
from raftsql_proto import frames as f
from tests.driver.fake import FakeServer


def test_rows_that_were_committed_are_there_for_others(
    server: FakeServer, table: Connection
) -> None:
    table.execute("INSERT INTO t(b) VALUES(?)", ("x",))
    table.commit()
    with_other = connect(server.url, autocommit=True)
    assert with_other.execute("SELECT * FROM t").fetchall() == [(1, "x")]
    with_other.close()


def test_nothing_is_kept_without_a_commit(server: FakeServer, table: Connection) -> None:
    table.execute("INSERT INTO t(b) VALUES('x')")
    assert table.in_transaction
    table.rollback()
    assert not table.in_transaction
    assert server.query("SELECT * FROM t") == []


def test_close_rolls_back(server: FakeServer, table: Connection) -> None:
    table.execute("INSERT INTO t(b) VALUES('x')")
    table.close()
    other = connect(server.url, autocommit=True)
    assert other.execute("SELECT count(*) FROM t").fetchone() == (0,)
    other.close()


def test_a_connection_block_commits_or_rolls_back_and_stays_open(
    server: FakeServer, table: Connection
) -> None:
    with table:
        table.execute("INSERT INTO t(b) VALUES('kept')")
    with suppress(ZeroDivisionError), table:
        table.execute("INSERT INTO t(b) VALUES('lost')")
        raise ZeroDivisionError
    assert table.execute("SELECT b FROM t").fetchall() == [("kept",)]


def test_under_autocommit_each_statement_stands_alone(server: FakeServer) -> None:
    connection = connect(server.url, autocommit=True)
    connection.execute("CREATE TABLE t(a)")
    connection.execute("INSERT INTO t VALUES(1)")
    assert not connection.in_transaction
    connection.rollback()
    assert server.query("SELECT a FROM t") == [(1,)]
    connection.close()


def test_setting_autocommit_commits_what_is_open(server: FakeServer, table: Connection) -> None:
    table.execute("INSERT INTO t(b) VALUES('x')")
    table.autocommit = True
    assert server.query("SELECT b FROM t") == [("x",)]
    assert (table.autocommit, table.isolation_level) == (True, None)
    table.set_autocommit(False)
    assert table.isolation_level == "DEFERRED"


def test_isolation_level_chooses_how_transactions_begin(
    server: FakeServer, table: Connection
) -> None:
    table.isolation_level = "immediate"
    table.execute("SELECT 1")
    assert server.frames[-1].begin == f.Begin.IMMEDIATE
    table.isolation_level = None
    assert table.autocommit
    with pytest.raises(errors.ProgrammingError, match="DEFERRED, IMMEDIATE, EXCLUSIVE or None"):
        table.isolation_level = "DIRTY"


def test_transactions_work_as_text_under_autocommit(server: FakeServer) -> None:
    connection = connect(server.url, autocommit=True)
    connection.execute("CREATE TABLE t(a)")
    connection.execute("BEGIN")
    connection.execute("INSERT INTO t VALUES(1)")
    connection.execute("SAVEPOINT s")
    connection.execute("INSERT INTO t VALUES(2)")
    connection.execute("ROLLBACK TO s")
    connection.execute("RELEASE s")
    connection.execute("COMMIT")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO t VALUES(3)")
    connection.execute("ROLLBACK")
    assert connection.execute("SELECT a FROM t").fetchall() == [(1,)]
    connection.close()


def test_begin_immediate_takes_the_writer_at_once(server: FakeServer) -> None:
    one = connect(server.url, autocommit=True)
    two = connect(server.url, autocommit=True)
    one.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.TimedOut):
        two.cursor().execute("BEGIN IMMEDIATE", timeout=0.3)
    assert not two.in_transaction
    one.execute("COMMIT")
    two.execute("BEGIN IMMEDIATE")
    two.close()
    one.close()


def test_an_outermost_savepoint_is_a_transaction(server: FakeServer) -> None:
    connection = connect(server.url, autocommit=True)
    connection.execute("CREATE TABLE t(a)")
    connection.execute("SAVEPOINT a")
    connection.execute("INSERT INTO t VALUES(1)")
    connection.execute("SAVEPOINT b")
    connection.execute("RELEASE b")
    assert connection.in_transaction
    connection.execute("RELEASE a")
    assert not connection.in_transaction
    assert server.query("SELECT a FROM t") == [(1,)]
    with pytest.raises(errors.OperationalError, match="no such savepoint"):
        connection.execute("RELEASE a")
    connection.close()


def test_a_savepoint_counts_as_a_write(server: FakeServer, connection: Connection) -> None:
    """A node gives it the writer: a session can't be opened after it, and what is read on the
    writer is certain only when the log has confirmed it."""
    connection.execute("SAVEPOINT a")
    assert connection.execute("SELECT 1").fetchone() == (1,)
    connection.commit()
    assert [type(frame) for frame in server.frames] == [f.OpenSession, f.Run, f.Run, f.Commit]


def test_a_first_savepoint_that_fails_begins_nothing(server: FakeServer) -> None:
    connection = connect(server.url, autocommit=True)
    server.faults.refuse = [f.Refused(0, f.Why.FORBIDDEN, "you may not")]
    with pytest.raises(errors.ProgrammingError, match="you may not"):
        connection.execute("SAVEPOINT a")
    assert not connection.in_transaction
    connection.close()


@pytest.mark.parametrize(
    ("sql", "words"),
    [("COMMIT", "no transaction is active"), ("ROLLBACK", "no transaction is active")],
)
def test_ending_nothing_as_text_is_an_error(server: FakeServer, sql: str, words: str) -> None:
    connection = connect(server.url, autocommit=True)
    with pytest.raises(errors.OperationalError, match=words):
        connection.execute(sql)
    connection.close()


def test_begin_inside_a_transaction_is_an_error(table: Connection) -> None:
    table.execute("INSERT INTO t(b) VALUES('x')")
    with pytest.raises(errors.OperationalError, match="within a transaction"):
        table.execute("BEGIN")


def test_transaction_blocks_nest_as_savepoints(server: FakeServer, table: Connection) -> None:
    with table.transaction():
        table.execute("INSERT INTO t(b) VALUES('outer')")
        with suppress(ZeroDivisionError), table.transaction():
            table.execute("INSERT INTO t(b) VALUES('inner')")
            raise ZeroDivisionError
        with table.transaction("IMMEDIATE"):
            table.execute("INSERT INTO t(b) VALUES('second')")
    assert server.query("SELECT b FROM t") == [("outer",), ("second",)]
    with suppress(ZeroDivisionError), table.transaction():
        table.execute("DELETE FROM t")
        raise ZeroDivisionError
    assert server.query("SELECT count(*) FROM t") == [(2,)]


def test_a_transaction_can_not_begin_in_an_unknown_way(table: Connection) -> None:
    with pytest.raises(errors.ProgrammingError, match="DEFERRED"):
        table.transaction("CHAOTIC")


def test_counts_and_rowids_are_those_of_sqlite(table: Connection) -> None:
    cursor = table.cursor()
    assert (cursor.rowcount, cursor.lastrowid, cursor.description) == (-1, None, None)
    cursor.execute("INSERT INTO t(b) VALUES('x'), ('y')")
    assert (cursor.rowcount, cursor.lastrowid) == (2, 2)
    cursor.execute("UPDATE t SET b='z'")
    assert (cursor.rowcount, cursor.lastrowid) == (2, 2)
    cursor.execute("SELECT * FROM t")
    assert cursor.rowcount == -1
    cursor.execute("CREATE TABLE u(a)")
    assert cursor.rowcount == -1
    assert table.total_changes == 4


def test_returning_gives_rows_and_a_count(table: Connection) -> None:
    cursor = table.execute("INSERT INTO t(b) VALUES('x'), ('y') RETURNING a, b")
    assert cursor.rowcount == 2
    assert cursor.fetchall() == [(1, "x"), (2, "y")]


def test_named_parameters_work(table: Connection) -> None:
    assert table.execute("SELECT :x, @y, $z", {"x": 1, "y": 2, "z": 3}).fetchone() == (1, 2, 3)


def test_a_description_is_there_without_rows(table: Connection) -> None:
    cursor = table.execute("SELECT a, b FROM t")
    assert cursor.description is not None
    assert [column[:2] for column in cursor.description] == [("a", "INTEGER"), ("b", "TEXT")]
    assert cursor.fetchall() == []


def test_rows_come_in_the_ways_of_pep_249(table: Connection) -> None:
    table.executemany("INSERT INTO t(b) VALUES(?)", [(str(n),) for n in range(7)])
    cursor = table.cursor()
    cursor.execute("SELECT a FROM t ORDER BY a")
    assert (cursor.rownumber, cursor.fetchone(), cursor.rownumber) == (0, (1,), 1)
    assert cursor.fetchmany(2) == [(2,), (3,)]
    assert cursor.fetchmany(size=1) == [(4,)]
    assert cursor.fetchmany(0) == []
    with pytest.raises(errors.ProgrammingError, match="0 or more"):
        cursor.fetchmany(-1)
    cursor.arraysize = 2
    assert cursor.fetchmany() == [(5,), (6,)]
    assert list(cursor) == [(7,)]
    assert (cursor.fetchone(), cursor.fetchmany(3), cursor.fetchall()) == (None, [], [])


def test_fetching_without_rows_is_an_error(table: Connection) -> None:
    cursor = table.cursor()
    for _ in range(2):
        for fetch in (cursor.fetchone, cursor.fetchmany, cursor.fetchall):
            with pytest.raises(errors.ProgrammingError, match="no rows to fetch"):
                fetch()
        cursor.execute("INSERT INTO t(b) VALUES('x')")


def test_a_large_result_comes_in_pages(server: FakeServer, table: Connection) -> None:
    table.executemany("INSERT INTO t(b) VALUES(?)", [("x",)] * 4500)
    table.commit()
    query = "SELECT a FROM t ORDER BY a"
    assert [row[0] for row in table.execute(query)] == list(range(1, 4501))
    assert server.seen["Fetch"] == 4
    assert len(table.execute(query).fetchall()) == 4500
    assert len(table.execute(query).fetchmany(3000)) == 3000


def test_the_rest_of_a_result_is_released(server: FakeServer, table: Connection) -> None:
    table.executemany("INSERT INTO t(b) VALUES(?)", [("x",)] * 2500)
    cursor = table.execute("SELECT a FROM t")
    cursor.fetchone()
    cursor.execute("SELECT 1")
    cursor.execute("SELECT a FROM t")
    cursor.close()
    table.execute("SELECT 1")
    assert server.seen["Release"] == 2


def test_who_takes_a_row_and_drops_the_cursor_leaves_nothing_held(
    server: FakeServer, table: Connection
) -> None:
    """A node holds few results: those of `execute(...).fetchone()` would soon be all of them."""
    table.executemany("INSERT INTO t(b) VALUES(?)", [("x",)] * 4500)
    for _ in range(3):
        assert table.execute("SELECT a FROM t").fetchone() == (1,)
        assert len(table.execute("SELECT a FROM t").fetchmany(2500)) == 2500  # And one page ahead.
    (stream,) = server.nodes[0].streams
    for _ in range(1000):  # A page that was on its way is let go of when it comes.
        table.execute("SELECT 1")
        if not stream.cursors:
            break
    assert stream.cursors == {}


def test_a_page_that_is_gone_is_an_operational_error(server: FakeServer, table: Connection) -> None:
    table.executemany("INSERT INTO t(b) VALUES(?)", [("x",)] * 2500)
    table.commit()
    table.autocommit = True
    cursor = table.execute("SELECT a FROM t")
    server.break_streams()
    with pytest.raises(errors.OperationalError, match="rest of the rows"):
        cursor.fetchall()


def test_executemany_counts_rows_in_chunks(server: FakeServer, table: Connection) -> None:
    before = server.seen["Run"]
    cursor = table.executemany("INSERT INTO t(b) VALUES(?)", ([str(n)] for n in range(25_000)))
    assert cursor.rowcount == 25_000
    assert server.seen["Run"] - before == 4
    table.commit()
    assert server.query("SELECT count(*) FROM t") == [(25_000,)]


def test_a_chunk_that_fails_says_which_rows_were_written_before(
    server: FakeServer, table: Connection
) -> None:
    table.autocommit = True
    cursor = table.cursor()
    rows_ = [(n,) for n in range(2000)] + [(0,)]
    with pytest.raises(errors.IntegrityError) as caught:
        cursor.executemany("INSERT INTO t(a) VALUES(?)", rows_)
    (written,) = server.query("SELECT count(*) FROM t")[0]
    assert 0 < written < 2000, "the chunk that fails is undone, those before it are not"
    assert cursor.rowcount == written
    assert caught.value.__notes__ == [
        f"rows 0 to {written - 1} of executemany() were written before it"
    ]


def test_executemany_takes_mappings_and_large_rows(server: FakeServer, table: Connection) -> None:
    before = server.seen["Run"]
    rows_ = [{"b": "x" * 400_000} for _ in range(6)]
    assert table.executemany("INSERT INTO t(b) VALUES(:b)", rows_).rowcount == 6
    bodies = [len(x.body) for x in server.frames if isinstance(x, f.Run) and x.work == f.Work.MANY]
    assert server.seen["Run"] - before == 6 or max(bodies) <= 1 << 20


def test_executemany_with_no_rows_does_nothing(server: FakeServer, table: Connection) -> None:
    assert table.executemany("DELETE FROM t WHERE a=?", []).rowcount == 0


@pytest.mark.parametrize("sql", ["SELECT 1", "CREATE TABLE x(a)", "PRAGMA user_version"])
def test_executemany_is_for_changes(table: Connection, sql: str) -> None:
    with pytest.raises(errors.ProgrammingError, match="INSERT, UPDATE"):
        table.executemany(sql, [(1,)])


def test_executemany_in_a_transaction_is_atomic(server: FakeServer, table: Connection) -> None:
    rows_ = [(n,) for n in range(20_000)] + [(5,)]
    with pytest.raises(errors.IntegrityError), table:
        table.executemany("INSERT INTO t(a) VALUES(?)", rows_)
    assert server.query("SELECT count(*) FROM t") == [(0,)]


def test_a_row_that_fails_in_a_transaction_is_named_and_those_before_it_stay(
    server: FakeServer, table: Connection
) -> None:
    rows_ = [(n,) for n in range(20_000)] + [(5,), (20_001,)]
    with pytest.raises(errors.IntegrityError) as caught:
        table.executemany("INSERT INTO t(a) VALUES(?)", rows_)
    assert caught.value.row == 20_000
    assert str(caught.value) == "UNIQUE constraint failed: t.a"
    assert "row 20000" in caught.value.__notes__[0]
    table.commit()
    assert server.query("SELECT count(*) FROM t") == [(20_000,)]


def test_a_first_chunk_that_fails_after_some_rows_has_begun_its_transaction(
    server: FakeServer, table: Connection
) -> None:
    with pytest.raises(errors.DatabaseError) as caught:
        table.executemany("INSERT INTO t(a) VALUES(?)", [(1,), (2,), ("x",), (4,)])
    assert caught.value.row == 2
    table.commit()
    assert server.query("SELECT a FROM t") == [(1,), (2,)]


def test_a_script_happens_as_a_whole(server: FakeServer) -> None:
    connection = connect(server.url, autocommit=True)
    connection.executescript("CREATE TABLE t(a UNIQUE); INSERT INTO t VALUES(1);")
    with pytest.raises(errors.IntegrityError):
        connection.executescript("INSERT INTO t VALUES(2); INSERT INTO t VALUES(1)")
    assert server.query("SELECT a FROM t") == [(1,)]
    connection.executescript("BEGIN; INSERT INTO t VALUES(3); COMMIT; PRAGMA foreign_keys=off")
    assert server.query("SELECT a FROM t") == [(1,), (3,)]
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (0,)
    connection.close()


def test_settings_travel_with_each_statement(server: FakeServer) -> None:
    connection = connect(server.url, autocommit=True)
    assert connection.execute("PRAGMA foreign_keys").fetchall() == [(1,)]
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("PRAGMA recursive_triggers = ON")
    connection.execute("CREATE TABLE t(a)")
    assert server.frames[-1].settings == f.Settings.RECURSIVE_TRIGGERS
    connection.execute("BEGIN")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA defer_foreign_keys = ON")
    assert connection.execute("PRAGMA foreign_keys").fetchall() == [(0,)]
    assert connection.execute("PRAGMA defer_foreign_keys").fetchall() == [(1,)]
    connection.execute("COMMIT")
    assert connection.execute("PRAGMA defer_foreign_keys").fetchall() == [(0,)]
    connection.close()


def test_levels_are_chosen_by_connection_cursor_and_statement(server: FakeServer) -> None:
    connection = connect(server.url, consistency="session", autocommit=True, max_staleness=1.5)
    connection.execute("SELECT 1")
    connection.cursor(consistency="lease").execute("SELECT 1")
    connection.cursor(consistency="lease").execute("SELECT 1", consistency="stale")
    runs = [frame for frame in server.frames if isinstance(frame, f.Run)]
    assert [run.level for run in runs] == [2, 1, 3]
    assert runs[-1].max_staleness_ms == 1500
    with pytest.raises(errors.ProgrammingError, match="linearizable"):
        connection.execute("SELECT 1", consistency="eventual")
    connection.close()


def test_a_transaction_reads_the_newest_whatever_its_connection_asks_for(
    server: FakeServer,
) -> None:
    for level in ("linearizable", "lease", "session", "stale"):
        connection = connect(server.url, autocommit=True, consistency=level)
        connection.execute("BEGIN")
        connection.execute("SELECT 1", consistency=level)
        connection.close()
    runs = [frame for frame in server.frames if isinstance(frame, f.Run)]
    assert [run.level for run in runs] == [0, 1, 0, 0]


def test_weak_reads_begin_no_transaction(server: FakeServer, table: Connection) -> None:
    table.execute("SELECT 1", consistency="stale")
    assert not table.in_transaction
    table.execute("SELECT 1")
    assert table.in_transaction


def test_a_bookmark_hands_on_what_was_seen(server: FakeServer, table: Connection) -> None:
    table.execute("INSERT INTO t(b) VALUES('x')")
    table.commit()
    other = connect(server.url, consistency="session")
    other.bookmark = table.bookmark
    other.execute("SELECT * FROM t")
    run = next(frame for frame in reversed(server.frames) if isinstance(frame, f.Run))
    assert run.token == server.database.index
    older = other.bookmark
    other.bookmark = "raftsql:1:0:c1"
    assert other.bookmark == older
    for wrong in ("", "5", "raftsql:1:x:c1", "raftsql:1:5:other"):
        with pytest.raises(errors.ProgrammingError, match="bookmark"):
            other.bookmark = wrong
    other.close()


def test_row_factories_of_connection_and_cursor(table: Connection) -> None:
    table.execute("INSERT INTO t(b) VALUES('x')")
    table.row_factory = rows.Row
    one = table.execute("SELECT a, b FROM t").fetchone()
    assert (one["a"], one["B"]) == (1, "x")
    cursor = table.cursor()
    cursor.row_factory = rows.dict_row
    assert list(cursor.execute("SELECT a, b FROM t")) == [{"a": 1, "b": "x"}]
    cursor.row_factory = None
    assert cursor.execute("SELECT a FROM t").fetchall() == [(1,)]


def test_declared_types_are_converted_when_wished(server: FakeServer) -> None:
    import datetime

    connection = connect(server.url, detect_types=1, autocommit=True)
    connection.execute("CREATE TABLE d(day date, at timestamp)")
    at = datetime.datetime(2024, 2, 29, 1, 2, 3)
    connection.execute("INSERT INTO d VALUES(?, ?)", (at.date(), at))
    assert connection.execute("SELECT * FROM d").fetchone() == (at.date(), at)
    connection.close()


def test_a_cursor_class_may_be_ones_own(server: FakeServer) -> None:
    class Mine(Cursor):
        pass

    connection = connect(server.url, cursor_factory=Mine)
    assert type(connection.cursor()) is Mine
    assert type(connection.cursor(Cursor)) is Cursor
    assert connection.cursor().connection is connection
    connection.close()


def test_a_closed_cursor_still_tells_what_its_statement_did(table: Connection) -> None:
    cursor = table.cursor()
    cursor.executemany("INSERT INTO t(b) VALUES(?)", [("x",), ("y",)])
    cursor.close()
    assert cursor.rowcount == 2
    cursor = table.execute("SELECT a FROM t")
    cursor.close()
    assert cursor.description is not None
    assert cursor.description[0][0] == "a"


def test_closed_things_say_so(table: Connection) -> None:
    cursor = table.cursor()
    with cursor:
        pass
    for use in (cursor.fetchone, lambda: cursor.execute("SELECT 1")):
        with pytest.raises(errors.ProgrammingError, match="closed cursor"):
            use()
    other = table.cursor()
    table.close()
    table.close()
    for use in (table.cursor, table.commit, table.rollback, lambda: other.execute("SELECT 1")):
        with pytest.raises(errors.ProgrammingError, match="closed database"):
            use()


def test_wrong_numbers_of_parameters_are_programming_errors(table: Connection) -> None:
    with pytest.raises(errors.ProgrammingError):
        table.execute("SELECT ?, ?", (1,))


@pytest.mark.parametrize("sql", [5, None, b"SELECT 1"])
def test_a_statement_is_text(table: Connection, sql: Any) -> None:
    with pytest.raises(errors.ProgrammingError, match="a statement is a str"):
        table.execute(sql)


def test_an_empty_statement_does_nothing(table: Connection) -> None:
    cursor = table.execute("-- nothing")
    assert cursor.description is None


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_is_more_than_nothing(table: Connection, timeout: float) -> None:
    with pytest.raises(errors.ProgrammingError, match="timeout"):
        table.execute("SELECT 1", timeout=timeout)


def test_the_url_may_be_a_keyword_too(server: FakeServer) -> None:
    with connect(url=server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    connection.close()


def test_a_representation_says_what_it_is(server: FakeServer, table: Connection) -> None:
    at = server.nodes[0].address
    assert repr(table) == f"<raftsql.Connection idle at {at}>"
    assert repr(table.transaction()) == f"<raftsql.Transaction of {table!r}>"
    cursor = table.execute("SELECT 1 UNION ALL SELECT 2")
    assert repr(table) == f"<raftsql.Connection in transaction at {at}>"
    assert repr(cursor) == "<raftsql.Cursor at row 0>"
    cursor.fetchone()
    assert repr(cursor) == "<raftsql.Cursor at row 1>"
    assert repr(table.cursor()) == "<raftsql.Cursor without rows>"
    cursor.close()
    assert repr(cursor) == "<raftsql.Cursor closed>"
    table.close()
    assert repr(table) == "<raftsql.Connection closed>"
    assert repr(Connection.__new__(Connection)) == "<raftsql.Connection closed>"
