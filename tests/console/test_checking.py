"""Verdicts with the words that they are about, and NULLs for a plan's parameters."""

from __future__ import annotations

import pytest

from raftsql.server.console.checking import STATEMENTS_MAX, placeholders, verdicts
from raftsql.sql.verdict import Mode


def test_words_are_marked_at_their_place_in_the_whole_text() -> None:
    sql = "SELECT 'é'; INSERT INTO t VALUES (random(), datetime('now')); VACUUM INTO 'x'"
    found = verdicts(sql, Mode.PINNED)
    assert [one["verdict"] for one in found] == ["pure", "pinned", "refused"]
    for one in found:
        assert sql[one["start"] : one["end"]].startswith(("SELECT", "INSERT", "VACUUM"))
        for word in one["words"]:
            assert sql[word["start"] : word["end"]] == word["text"]
    assert [word["text"] for word in found[1]["words"]] == ["random", "datetime"]


def test_strict_mode_is_the_clusters_own() -> None:
    sql = "INSERT INTO t VALUES (random())"
    assert verdicts(sql, Mode.PINNED)[0]["verdict"] == "pinned"
    assert verdicts(sql, Mode.STRICT)[0]["verdict"] == "refused"


def test_hostile_and_unfinished_texts_have_a_verdict_too() -> None:
    for sql in ("", ";;;", "'open", "SELECT \0", "(" * 10_000, "/*", "\ufeff", "x" * 5000):
        assert isinstance(verdicts(sql, Mode.PINNED), list)
    assert len(verdicts("SELECT 1;" * 1000, Mode.PINNED)) == STATEMENTS_MAX


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT ?" + "9" * 5000, None),
        ("SELECT 1", None),
        ("SELECT ?, ?", [None, None]),
        ("SELECT ?3", [None, None, None]),
        ("SELECT '?', \"?\" -- ?", None),
        ("SELECT :a, @b, $c", {"a": None, "b": None, "c": None}),
        ("SELECT ?99999", None),
    ],
)
def test_a_plans_parameters_are_null(sql: str, expected: object) -> None:
    assert placeholders(sql) == expected
