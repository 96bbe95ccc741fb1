"""What a span says of a statement."""

from __future__ import annotations

import pytest

from raftsql_driver.captions import TEXT_MAX, caption

MASKED = [
    ("SELECT * FROM t WHERE a = 'it''s' AND b > 1.5e-3", "SELECT * FROM t WHERE a = ? AND b > ?"),
    ("INSERT INTO t VALUES (?, :name, ?2, -7, x'ff', 0x1F)",
     "INSERT INTO t VALUES (?, :name, ?2, -?, ?, ?)"),
    ('SELECT "a 1", [b 2], `c 3` FROM t1', 'SELECT "a 1", [b 2], `c 3` FROM t1'),
    ("SELECT 1 -- password 'x'\n, 2 /* 3 */", "SELECT ?  \n, ?"),
    ("SELECT 'never closed", "SELECT ?"),
    ("SELECT .5, 1_000, 'a'||'b'", "SELECT ?, ?, ?||?"),
    ("UPDATE größe SET x1 = 12 WHERE é2 = 3", "UPDATE größe SET x1 = ? WHERE é2 = ?"),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "masked"), MASKED)
def test_values_in_the_text_become_question_marks(sql: str, masked: str) -> None:
    assert caption(sql).masked == masked


SUMMARIES = [
    ("select * from a join b on a.x = b.x", "SELECT a b"),
    ("INSERT INTO t SELECT * FROM s", "INSERT t s"),
    ("insert or replace into t values (1)", "INSERT t"),
    ("INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET x = 1", "INSERT t"),
    ("UPDATE OR IGNORE t SET x = 1", "UPDATE t"),
    ("DELETE FROM main.t", "DELETE main"),
    ("CREATE TABLE IF NOT EXISTS t (x)", "CREATE t"),
    ("SELECT 1 WHERE x IS DISTINCT FROM y", "SELECT"),
    ("SELECT x FROM (SELECT 1 AS x)", "SELECT"),
    ("SELECT * FROM a, a JOIN b JOIN c JOIN d", "SELECT a b c"),
    ("PRAGMA table_info(t)", "PRAGMA"),
    ("", "SQL"),
]


@pytest.mark.parametrize(("sql", "summary"), SUMMARIES)
def test_a_summary_names_what_is_done_to_what(sql: str, summary: str) -> None:
    assert caption(sql).summary == summary


def test_a_long_statement_is_cut_before_it_is_looked_at_and_hides_its_values_still() -> None:
    found = caption("INSERT INTO t VALUES ('" + "secret" * TEXT_MAX + "')")
    assert found.masked == "INSERT INTO t VALUES (?"
    assert found.summary == "INSERT t"
