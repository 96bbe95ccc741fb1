"""Strict mode wants the order said wherever what is written depends on it."""

from __future__ import annotations

import pytest

from raftsql.sql.plans import plan
from raftsql.sql.verdict import Mode, Pure, Refused


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t SELECT a FROM u LIMIT 1",
        "INSERT INTO t SELECT a FROM u WHERE a > 1 LIMIT 5 OFFSET 2",
        "INSERT INTO t SELECT a FROM u UNION SELECT b FROM u LIMIT 1",
        "INSERT INTO t SELECT a FROM (SELECT a FROM u LIMIT 1) ORDER BY a",
        "INSERT INTO t SELECT a FROM (SELECT a FROM u ORDER BY a) LIMIT 1",
        "UPDATE t SET a = (SELECT a FROM u LIMIT 1)",
        "UPDATE t SET a = 1 LIMIT 5",
        "DELETE FROM t WHERE a IN (SELECT a FROM u LIMIT 1)",
        "DELETE FROM t LIMIT 1",
        "WITH r AS (SELECT a FROM u LIMIT 1) INSERT INTO t SELECT a FROM r",
        "CREATE TABLE x AS SELECT a FROM t LIMIT 1",
        "CREATE VIEW x AS SELECT a FROM t LIMIT 1",
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO u SELECT a FROM t ORDER BY a;"
        " DELETE FROM u WHERE a IN (SELECT a FROM t LIMIT 1); END",
        "INSERT INTO t SELECT sum(a) OVER (ORDER BY a) FROM u LIMIT 1",
    ],
)
def test_a_limit_without_an_order_is_refused(text: str) -> None:
    verdict = plan(text, Mode.STRICT).verdict
    assert isinstance(verdict, Refused)
    assert verdict.what == "LIMIT"
    assert text[verdict.position :].startswith("LIMIT")
    assert not isinstance(plan(text).verdict, Refused)


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t SELECT group_concat(c) FROM u",
        "INSERT INTO t SELECT string_agg(c, ',') FROM u",
        "UPDATE t SET a = (SELECT json_group_array(a) FROM u)",
        "INSERT INTO t SELECT json_group_object(a, b) FROM u ORDER BY a",
        "INSERT INTO t SELECT row_number() OVER () FROM u",
        "INSERT INTO t SELECT lag(a) OVER (PARTITION BY b) FROM u",
        "INSERT INTO t SELECT first_value(a) OVER w FROM u WINDOW w AS (PARTITION BY b)",
        'INSERT INTO t SELECT "group_concat"(c) FROM u',
        "INSERT INTO t SELECT group_concat((SELECT c FROM u ORDER BY a)) FROM u",
        "INSERT INTO t SELECT group_concat(c) FILTER (WHERE a > 1) FROM u",
    ],
)
def test_an_aggregate_that_depends_on_order_is_refused_without_one(text: str) -> None:
    verdict = plan(text, Mode.STRICT).verdict
    assert isinstance(verdict, Refused)
    assert verdict.what.endswith("()")
    assert not isinstance(plan(text).verdict, Refused)


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO t SELECT a FROM u ORDER BY a LIMIT 1",
        "INSERT INTO t SELECT a FROM u UNION SELECT b FROM u ORDER BY 1 LIMIT 1",
        "UPDATE t SET a = (SELECT a FROM u ORDER BY a DESC LIMIT 1)",
        "DELETE FROM t WHERE EXISTS (SELECT 1 FROM u LIMIT 1)",
        "INSERT INTO t SELECT 1 LIMIT 1",
        "INSERT INTO t SELECT a FROM u LIMIT 0",
        "INSERT INTO t SELECT count(*), sum(a), max(a) FROM u",
        "INSERT INTO t SELECT group_concat(c ORDER BY a) FROM u",
        "INSERT INTO t SELECT json_group_array(c ORDER BY a DESC) FILTER (WHERE a > 1) FROM u",
        "INSERT INTO t SELECT row_number() OVER (PARTITION BY b ORDER BY a) FROM u",
        "INSERT INTO t SELECT lag(a) OVER w FROM u WINDOW w AS (ORDER BY a)",
        "INSERT INTO t SELECT lag(a) OVER (w ROWS 1 PRECEDING) FROM u WINDOW w AS (ORDER BY a)",
        "INSERT INTO t SELECT lag(a) OVER x FROM u WINDOW w AS (), x AS (ORDER BY a)",
        "INSERT INTO t SELECT group_concat(c) FILTER (WHERE a) OVER (ORDER BY a) FROM u",
        'INSERT INTO t SELECT "limit" FROM u',
        "INSERT INTO t VALUES ('LIMIT 1')",
        "INSERT INTO t(lag) VALUES (1)",
    ],
)
def test_what_says_its_order_or_needs_none_passes(text: str) -> None:
    assert plan(text, Mode.STRICT).verdict == Pure()


def test_a_read_may_do_what_it_likes() -> None:
    assert plan("SELECT a FROM t LIMIT 1", Mode.STRICT).verdict == Pure()
