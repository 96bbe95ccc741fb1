"""SQLite itself asks the guard: what it lets through, refuses with which words, and notices."""

from __future__ import annotations

from typing import Any

import apsw
import pytest

from raftsql.database.guard import Guard, reading
from raftsql.sql.commands import Failed, Refusal

SCHEMA = (
    "CREATE TABLE t(a, b)",
    "CREATE VIRTUAL TABLE words USING fts5(body)",
    "CREATE VIEW seen AS SELECT a FROM t",
)


def watched(sql: str) -> Guard:
    """A guard that saw one statement compiled."""
    connection = apsw.Connection(":memory:")
    for text in SCHEMA:
        connection.execute(text)
    guard = Guard()
    guard.trusting = False
    connection.authorizer = guard.writing
    connection.execute(sql)
    return guard


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("INSERT INTO t(a) VALUES (sqlite_version())", "differs between nodes"),
        ("SELECT * FROM sqlite_raftsql_position", "belongs to raftsql"),
        ("UPDATE t SET a = (SELECT rootpage FROM sqlite_schema)", "place in the local file"),
        ("INSERT INTO t(a) SELECT file FROM pragma_database_list", "differs between nodes"),
        ("ATTACH ':memory:' AS other", "no other database"),
        ("CREATE TEMP TABLE x(a)", "not replicated"),
        ("CREATE VIRTUAL TABLE x USING dbstat", "not among those that are replicated"),
        ("PRAGMA cache_size = 5", "can't be replicated"),
        ("COMMIT", "can't begin or end a transaction"),
        ("SAVEPOINT x", "can't begin or end a transaction"),
        ("INSERT INTO t(a) SELECT block FROM words_data", "depends on where transactions ended"),
    ],
)
def test_a_refusal_says_why(bench: Any, sql: str, words: str) -> None:
    bench.script(*SCHEMA)
    answer = bench.sql(sql)
    assert isinstance(answer, Failed)
    assert answer.refusal is Refusal.DETERMINISM
    assert words in answer.message


def test_what_a_view_or_a_trigger_hides_is_refused_too(bench: Any) -> None:
    bench.script(
        "CREATE TABLE t(a, b)",
        "CREATE VIEW names AS SELECT b AS name FROM t",
        "CREATE VIEW places AS SELECT rootpage FROM sqlite_schema",
        "CREATE TRIGGER x AFTER DELETE ON t BEGIN"
        " INSERT INTO t(a) SELECT rootpage FROM places; END",
    )
    assert not isinstance(bench.sql("INSERT INTO t(a) SELECT name FROM names"), Failed)
    for hidden in ("INSERT INTO t(a) SELECT rootpage FROM places", "DELETE FROM t"):
        assert "place in the local file" in bench.sql(hidden).message


def test_the_guard_notices_what_decides_how_a_statement_is_run() -> None:
    insert = watched("INSERT INTO t(a) VALUES (last_insert_rowid())")
    assert (insert.target, insert.counts, insert.changes_schema) == ("t", True, False)
    create = watched("CREATE TABLE u(a)")
    assert (create.changes_schema, create.restructures) == (True, False)
    drop = watched("DROP VIEW seen")
    assert (drop.changes_schema, drop.restructures) == (True, True)


def test_what_was_seen_of_one_statement_is_not_remembered_of_the_next() -> None:
    guard = watched("DROP VIEW seen")
    guard.forget()
    assert (guard.changes_schema, guard.restructures, guard.target) == (False, False, None)
    assert guard.refusal is None


def test_a_trusted_statement_is_asked_nothing() -> None:
    guard = Guard()
    assert guard.trusting, "the machine's own statements make the tables"
    attach = (apsw.SQLITE_ATTACH, "other.db", None, None, None)
    assert guard.writing(*attach) == apsw.SQLITE_OK
    guard.trusting = False
    assert guard.writing(*attach) == apsw.SQLITE_DENY


def test_a_vacuum_may_attach_its_own_database_and_no_named_one() -> None:
    guard = Guard()
    guard.trusting, guard.vacuuming = False, True
    assert guard.writing(apsw.SQLITE_ATTACH, "", None, None, None) == apsw.SQLITE_OK
    assert guard.writing(apsw.SQLITE_ATTACH, "copy.db", None, None, None) == apsw.SQLITE_DENY


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM sqlite_raftsql_facts",
        "ATTACH ':memory:' AS other",
        "SELECT load_extension('x')",
        "PRAGMA query_only = OFF",
    ],
)
def test_a_reader_is_kept_from_what_is_not_the_clients(sql: str) -> None:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t(a)")
    connection.config(apsw.SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1)
    connection.execute("CREATE TABLE sqlite_raftsql_facts(name)")
    connection.authorizer = reading
    assert connection.execute("SELECT name, rootpage FROM sqlite_schema").fetchall()
    with pytest.raises((apsw.AuthError, apsw.SQLError), match=r"not authorized|prohibited|denied"):
        connection.execute(sql)
