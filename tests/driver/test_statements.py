"""What the driver sees in a statement's text."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from sqlite3 import complete_statement

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftsql_driver import statements
from raftsql_driver.statements import Control, changed, look_at, split


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "  select 1",
        "-- why\nSELECT 1",
        "/* a /* b */ ;\n VALUES(1)",
        "EXPLAIN DELETE FROM t",
        "PRAGMA table_info(t)",
        "PRAGMA user_version",
        "pragma main.index_list('x y')",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "with x(a) AS (VALUES('DELETE it''s')) /* INSERT */ SELECT a -- UPDATE\nFROM x",
        'WITH "insert" AS (SELECT replace(1, 2, 3)) SELECT [delete] FROM `update`',
    ],
)
def test_what_surely_reads_may_be_sent_twice(sql: str) -> None:
    assert look_at(sql).reads


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES(1)",
        "WITH x AS (SELECT 1) DELETE FROM t",
        "WITH x AS (SELECT 1) INSERT/**/INTO t SELECT * FROM x",
        "WITH x AS (SELECT '--') REPLACE INTO t SELECT * FROM x",
        "WITH x AS (SELECT '\n UPDATE t SET a = 1",
        "-- SELECT\nDELETE FROM t",
        "/* SELECT */ UPDATE t SET a=1",
        "PRAGMA user_version = 5",
        "PRAGMA user_version(5)",
        "SELECTED",
        "CREATE TABLE t(a)",
        "",
        "-- only a comment",
        "'SELECT 1'",
    ],
)
def test_everything_else_is_protected(sql: str) -> None:
    assert not look_at(sql).reads


@pytest.mark.parametrize(
    ("sql", "control", "argument"),
    [
        ("BEGIN", Control.BEGIN, ""),
        ("begin transaction;", Control.BEGIN, ""),
        (" BEGIN /* now */ IMMEDIATE -- go", Control.BEGIN, "IMMEDIATE"),
        ("BEGIN EXCLUSIVE TRANSACTION", Control.BEGIN, "EXCLUSIVE"),
        ("COMMIT", Control.COMMIT, ""),
        ("END TRANSACTION ; ;", Control.COMMIT, ""),
        ("ROLLBACK", Control.ROLLBACK, ""),
        ("rollback transaction", Control.ROLLBACK, ""),
        ("SAVEPOINT a", Control.SAVEPOINT, "a"),
        ('SAVEPOINT"a ""b"', Control.SAVEPOINT, 'a "b'),
        ("SAVEPOINT [a b]", Control.SAVEPOINT, "a b"),
        ("RELEASE a", Control.RELEASE, "a"),
        ("RELEASE SAVEPOINT 'a'", Control.RELEASE, "a"),
        ("ROLLBACK TO a", Control.ROLLBACK_TO, "a"),
        ("ROLLBACK TRANSACTION TO SAVEPOINT `a`", Control.ROLLBACK_TO, "a"),
        ("PRAGMA foreign_keys", Control.SETTING, "foreign_keys"),
        ("BEGIN; DELETE FROM t", Control.NONE, ""),
        ("COMMIT AND CHAIN", Control.NONE, ""),
        ("BEGIN IMMEDIATELY", Control.NONE, ""),
        ("SAVEPOINT a; DELETE FROM t", Control.NONE, ""),
        ("PRAGMA cache_size=5", Control.NONE, ""),
    ],
)
def test_control_of_transactions_is_seen(sql: str, control: Control, argument: str) -> None:
    text = look_at(sql)
    assert (text.control, text.argument) == (control, argument)


@pytest.mark.parametrize(
    ("sql", "name", "value"),
    [
        ("PRAGMA foreign_keys", "foreign_keys", None),
        ("PRAGMA foreign_keys = ON;", "foreign_keys", "on"),
        ("pragma main.foreign_keys=off", "foreign_keys", "off"),
        ("PRAGMA defer_foreign_keys(1)", "defer_foreign_keys", "1"),
        ("PRAGMA recursive_triggers ( 'yes' )", "recursive_triggers", "yes"),
    ],
)
def test_settings_of_the_connection_are_seen(sql: str, name: str, value: str | None) -> None:
    text = look_at(sql)
    assert (text.control, text.argument, text.value) == (Control.SETTING, name, value)


def test_settings_are_switched_one_by_one() -> None:
    assert changed(1, "foreign_keys", "off") == 0
    assert changed(1, "recursive_triggers", "1") == 5
    assert changed(5, "foreign_keys", "nonsense") == 4


@pytest.mark.parametrize(
    "value",
    [
        "0",
        "00",
        "1",
        "2",
        "+1",
        "-1",
        "256",
        "1.5",
        "on",
        "ON",
        "'on'",
        "yes",
        "true",
        "full",
        "maybe",
    ],
)
def test_a_setting_is_on_where_sqlite_has_it_on(value: str) -> None:
    sql = f"PRAGMA foreign_keys = {value}"
    with closing(sqlite3.connect(":memory:")) as sqlite:
        for before in (0, 1):
            sqlite.execute(f"PRAGMA foreign_keys = {before}")
            sqlite.execute(sql)
            text = look_at(sql)
            assert text.value is not None
            after = changed(before, text.argument, text.value)
            assert (after,) == sqlite.execute("PRAGMA foreign_keys").fetchone()


def test_rows_are_counted_for_changes_alone() -> None:
    counting = ["INSERT", "UPDATE", "DELETE", "REPLACE", "WITH x AS (SELECT 1) DELETE FROM t"]
    assert all(look_at(word).counts for word in counting)
    assert not any(look_at(word).counts for word in ["CREATE", "SELECT", "DROP", "PRAGMA"])


def test_a_script_is_split_where_sqlite_would() -> None:
    script = """
        CREATE TABLE t(a); -- one; two
        INSERT INTO t VALUES(';');
        CREATE TRIGGER x AFTER INSERT ON t BEGIN
            DELETE FROM t WHERE a = 'x;y'; SELECT 1;
        END;
        /* ; */ SELECT 1
    """
    assert [look_at(sql).keyword for sql in split(script)] == [
        "CREATE",
        "INSERT",
        "CREATE",
        "SELECT",
    ]


def test_a_script_of_nothing_has_no_statements() -> None:
    assert split(" ; -- nothing\n ;; /* at all */") == []


@given(st.text(alphabet=" \n;'\"-/*ABEGINCOMMITSELECT()=[]`", max_size=40))
def test_any_text_has_an_answer(sql: str) -> None:
    look_at(sql)


@pytest.mark.parametrize("sql", ["\\d t", "@foo", "1", "(SELECT 1)", "-- x\n;$y"])
def test_what_begins_with_no_word_is_the_servers_to_judge(sql: str) -> None:
    """Taken for nothing at all, it would be answered as done."""
    assert look_at(sql).keyword


@pytest.mark.parametrize("sql", ["", " ;; ", "-- only a comment", "/* and another"])
def test_nothing_at_all_is_seen_as_nothing(sql: str) -> None:
    assert look_at(sql).keyword == ""


TRIGGER = "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1;"
PIECES = st.sampled_from(
    [TRIGGER, " END;", "EXPLAIN ", "SELECT 1", *";;'\"`[] xé\n", "--", "/*", "*/", "''"]
)


def asked_at_each_semicolon(script: str) -> list[str]:
    """The same, by asking SQLite far more often."""
    statements, start = [], 0
    for end, letter in enumerate(script, 1):
        if letter == ";" and complete_statement(script[start:end]):
            statements.append(script[start:end].strip())
            start = end
    statements.append(script[start:].strip())
    return [sql for sql in statements if look_at(sql).keyword]


@given(st.lists(PIECES, max_size=30).map("".join))
def test_semicolons_in_texts_and_comments_need_not_be_asked_about(script: str) -> None:
    assert split(script) == asked_at_each_semicolon(script)


def test_a_text_with_very_many_semicolons_is_split_at_once() -> None:
    """SQLite, asked at each of them, would read a megabyte eighty thousand times: half a minute."""
    script = f"INSERT INTO t VALUES('{'color: red; ' * 200_000}'); SELECT 1"
    assert [len(sql) for sql in split(script)] == [len(script) - len(" SELECT 1"), 8]


def test_long_statements_are_not_remembered() -> None:
    kept = statements._remembered.cache_info().currsize
    long = f"SELECT '{'x' * statements.REMEMBERED_MAX}'"
    assert look_at(long).reads
    assert statements._remembered.cache_info().currsize == kept
