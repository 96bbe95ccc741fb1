"""What a name is where it stands."""

from __future__ import annotations

import pytest

from raftsql.sql.names import Role, closings, names
from raftsql.sql.plans import plan
from raftsql.sql.tokens import tokenize
from raftsql.sql.verdict import Mode


def roles(text: str) -> dict[str, Role]:
    tokens = tokenize(text)
    return {tokens[n.place].key: n.role for n in names(tokens, closings(tokens))}


@pytest.mark.parametrize(
    ("text", "name", "role"),
    [
        ("SELECT f(1)", "F", Role.CALL),
        ("SELECT 1, f(1)", "F", Role.CALL),
        ("SELECT a FROM t WHERE f(1)", "F", Role.CALL),
        ("SELECT a FROM t JOIN u ON f(1)", "F", Role.CALL),
        ("SELECT a FROM t JOIN u ON a IN (b, f(1))", "F", Role.CALL),
        ("SELECT a FROM t WHERE a IS DISTINCT FROM f(1)", "F", Role.CALL),
        ("SELECT CURRENT_DATE", "CURRENT_DATE", Role.CALL),
        ("SELECT a FROM f(1)", "F", Role.TABLE),
        ("SELECT a FROM t, f(1)", "F", Role.TABLE),
        ("SELECT a FROM t LEFT JOIN f(1)", "F", Role.TABLE),
        ("SELECT a FROM t JOIN u ON a = b, f(1)", "F", Role.TABLE),
        ("SELECT a FROM t JOIN u USING (a), f(1)", "F", Role.TABLE),
        ("SELECT a FROM (t, f(1))", "F", Role.TABLE),
        ("SELECT a FROM (SELECT b FROM u), f(1)", "F", Role.TABLE),
        ("SELECT a FROM main.f", "F", Role.TABLE),
        ("SELECT a FROM 'f'", "f", Role.TABLE),
        ("SELECT a IN f(1)", "F", Role.TABLE),
        ("INSERT INTO f(a) VALUES (1)", "F", Role.TARGET),
        ("INSERT INTO t AS f(a) VALUES (1)", "F", Role.TARGET),
        ("CREATE TABLE f(a)", "F", Role.TARGET),
        ("CREATE TABLE t(a REFERENCES f(b))", "F", Role.TARGET),
        ("CREATE INDEX i ON f(a)", "F", Role.TARGET),
        ("CREATE UNIQUE INDEX i ON f(a)", "F", Role.TARGET),
        ("WITH f(a) AS (SELECT 1) SELECT 1", "F", Role.TARGET),
        ("WITH e AS (SELECT 1), f(a) AS (SELECT 1) SELECT 1", "F", Role.TARGET),
        ("CREATE TABLE t(a f(3))", "F", Role.DOUBT),
        ('CREATE TABLE t("a" f(3))', "F", Role.DOUBT),
        ("SELECT CAST(a AS f(3))", "F", Role.TARGET),
    ],
)
def test_a_name_has_the_role_of_its_place(text: str, name: str, role: Role) -> None:
    assert roles(text)[name] is role


def test_columns_and_the_arguments_of_a_module_are_no_names() -> None:
    assert "A" not in roles("SELECT a FROM t")
    assert "F" not in roles("CREATE VIRTUAL TABLE t USING fts5(a, f(1))")


def test_each_parenthesis_knows_its_end() -> None:
    assert closings(tokenize("(a(b)c)")) == {0: 6, 2: 4}
    assert closings(tokenize("((a)")) == {0: 3, 1: 3}
    assert closings(tokenize(")(")) == {1: 1}


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t VALUES (" + "date(" * 20_000 + ")" * 20_000 + ")",
        "INSERT INTO t VALUES (" + "strftime(1," * 20_000 + ")" * 20_000 + ")",
        "INSERT INTO t SELECT " + "group_concat(" * 20_000 + ")" * 20_000,
        "INSERT INTO t VALUES (1" + ",a(" * 20_000,
        "INSERT INTO t SELECT 1" + ", lag(a) OVER w" * 10_000 + " WINDOW w AS (ORDER BY a)",
        "EXPLAIN " * 20_000,
        "SELECT " + "(" * 20_000,
        "WITH " + "a(b) AS (SELECT 1), " * 5_000 + "c AS (SELECT 1) SELECT 1",
        "/*" * 20_000,
        "SELECT " + "$a(" * 20_000,
        "SELECT '" + "''" * 20_000,
    ],
    ids=lambda text: text[:30] if isinstance(text, str) else None,
)
@pytest.mark.timeout(5)
def test_no_text_costs_more_than_its_length(text: str, mode: Mode) -> None:
    plan(text, mode)
