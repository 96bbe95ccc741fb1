"""A script is cut where SQLite would end its statements."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftsql.sql.split import split
from raftsql.sql.tokens import TokenKind, tokenize

TRIGGER = (
    "CREATE TRIGGER g AFTER INSERT ON t BEGIN"
    " UPDATE t SET a = CASE WHEN b THEN 1 ELSE 2 END; DELETE FROM u; END"
)
TEMPORARY = TRIGGER.replace("CREATE", "create/**/temp")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", []),
        (" ;; -- nothing\n; /* open", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;", ["SELECT 1"]),
        ("a; b ;c", ["a", "b", "c"]),
        ("SELECT ';' ; SELECT \";\", `;`, [;]", ["SELECT ';'", 'SELECT ";", `;`, [;]']),
        ("a -- ; no\n; b /* ; */ ; c", ["a", "b", "c"]),
        ("BEGIN; DELETE FROM t; END; a", ["BEGIN", "DELETE FROM t", "END", "a"]),
        (f"{TRIGGER}; SELECT 1", [TRIGGER, "SELECT 1"]),
        (f"EXPLAIN {TRIGGER}; a", [f"EXPLAIN {TRIGGER}", "a"]),
        (f"EXPLAIN QUERY PLAN {TRIGGER}; a", [f"EXPLAIN QUERY PLAN {TRIGGER}", "a"]),
        (f"{TEMPORARY};b", [TEMPORARY, "b"]),
        ("SELECT CASE WHEN 1 THEN 2 END; b", ["SELECT CASE WHEN 1 THEN 2 END", "b"]),
        ("CREATE TABLE trigger(a); b", ["CREATE TABLE trigger(a)", "b"]),
        ("SELECT 'open; b", ["SELECT 'open; b"]),
        ("a; \ufeff b", ["a", "b"]),
    ],
)  # fmt: skip
def test_a_script_is_cut_into_its_statements(script: str, expected: list[str]) -> None:
    assert [piece.text for piece in split(script)] == expected
    assert all(script[piece.start : piece.end] == piece.text for piece in split(script))


def test_a_script_of_many_statements_is_cut_in_linear_time() -> None:
    assert len(split("INSERT INTO t VALUES (1);\n" * 20_000)) == 20_000


PARTS = st.sampled_from(
    [
        ";",
        ";",
        ";",
        "'a'",
        '"b"',
        "`c`",
        "[d]",
        "';'",
        "--",
        "/*",
        "*/",
        "CREATE",
        "TRIGGER",
        "TEMP",
        "BEGIN",
        "END",
        "CASE",
        "EXPLAIN",
        "QUERY",
        "PLAN",
        "a",
        "1",
        "(",
        ")",
        ",",
        "x'00'",
        "'",
        '"',
        "é",
        "\n",
    ]
)


@settings(deadline=None)
@given(st.lists(PARTS, max_size=25).map(" ".join))
def test_only_semicolons_and_comments_lie_between_the_pieces(script: str) -> None:
    end = 0
    for piece in [*split(script), None]:
        between = script[end : piece.start if piece else len(script)]
        assert all(token.kind is TokenKind.SEMICOLON for token in tokenize(between))
        end = piece.end if piece else end


@settings(deadline=None)
@given(st.lists(PARTS, max_size=15).map(" ".join))
def test_each_piece_but_the_last_is_complete_to_sqlite(script: str) -> None:
    if any(token.kind is TokenKind.ILLEGAL for token in tokenize(script)):
        return
    for piece in split(script)[:-1]:
        assert sqlite3.complete_statement(piece.text + "\n;")


@settings(deadline=None)
@given(st.lists(PARTS, max_size=15).map(" ".join))
def test_no_piece_is_two_statements_to_sqlite(script: str) -> None:
    """Cut at any semicolon inside a piece, and SQLite waits for more."""
    for piece in split(script):
        for token in tokenize(piece.text):
            if token.kind is TokenKind.SEMICOLON:
                assert not sqlite3.complete_statement(piece.text[: token.end])
