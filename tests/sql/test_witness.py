"""sqlglot's reading and ours agree wherever sqlglot can read."""

from __future__ import annotations

import pytest

from raftsql.sql.plans import plan
from raftsql.sql.verdict import Mode, Pinned, Pure, Refused
from raftsql.sql.witness import Reading, reading_of
from tests.sql import statements as s

WRITES = [*s.lines(s.PURE_WRITES), *s.lines(s.PINNED_WRITES)]


def test_the_tree_shows_calls_and_limits() -> None:
    assert reading_of("UPDATE t SET a = random()") == Reading(frozenset({"RANDOM"}), False)
    assert reading_of("DELETE FROM t WHERE a IN (SELECT a FROM u LIMIT 1)") == Reading(
        frozenset(), True
    )
    assert reading_of("INSERT INTO t VALUES (CURRENT_TIMESTAMP, randomblob(1))") == Reading(
        frozenset({"CURRENT_TIMESTAMP", "RANDOMBLOB"}), False
    )


@pytest.mark.parametrize("text", ["REPLACE INTO t VALUES (1)", "SELECT ((", "EXPLAIN SELECT 1", ""])
def test_what_sqlglot_can_not_read_has_no_testimony(text: str) -> None:
    assert reading_of(text) is None


def test_most_writes_of_the_table_can_be_read() -> None:
    assert sum(reading_of(text) is not None for text in WRITES) > len(WRITES) * 0.7


@pytest.mark.parametrize("text", WRITES)
def test_the_tree_sees_no_call_that_tokens_miss(text: str) -> None:
    seen = reading_of(text)
    if seen is not None and seen.calls:
        assert isinstance(plan(text).verdict, Pinned)


@pytest.mark.parametrize("text", s.lines(s.PURE_WRITES))
def test_strict_mode_lets_through_what_both_find_pure(text: str) -> None:
    verdict = plan(text, Mode.STRICT).verdict
    if ("LIMIT" in text and "ORDER" not in text) or "group_concat" in text:
        assert isinstance(verdict, Refused)
    else:
        assert verdict == Pure()
