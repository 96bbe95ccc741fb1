"""Tokens are SQLite's, to the character."""

from __future__ import annotations

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftsql.sql.tokens import TokenKind, tokenize

W, Q, S, B, N, V, P, X = (
    TokenKind.WORD,
    TokenKind.QUOTED,
    TokenKind.STRING,
    TokenKind.BLOB,
    TokenKind.NUMBER,
    TokenKind.VARIABLE,
    TokenKind.OPERATOR,
    TokenKind.ILLEGAL,
)


def shape(text: str) -> list[tuple[TokenKind, str]]:
    return [(token.kind, token.key) for token in tokenize(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a A_1 é$ _", [(W, "A"), (W, "A_1"), (W, "é$"), (W, "_")]),
        ("ſelect", [(W, "ſELECT")]),  # noqa: RUF001 - a long s is no S to SQLite
        ("a\u00a0b", [(W, "A\u00a0B")]),
        ("\ufeffa\ufeff", [(W, "A\ufeff")]),
        ("'it''s' ''", [(S, "it's"), (S, "")]),
        ('"a""b" `c``d` [e f]', [(Q, 'A"B'), (Q, "C`D"), (Q, "E F")]),
        ("'a\\' b", [(S, "a\\"), (W, "B")]),
        ("x'00' X'aB' x''", [(B, "x'00'"), (B, "X'aB'"), (B, "x''")]),
        ("x '00'", [(W, "X"), (S, "00")]),
        ("x'0' x'0g'", [(X, "x'0'"), (X, "x'0g'")]),
        ("1 1.5 .5 1. 1e5 1.e-5", [(N, n) for n in ("1", "1.5", ".5", "1.", "1e5", "1.e-5")]),
        ("1_000 0x1F 0xAB_CD", [(N, n) for n in ("1_000", "0x1F", "0xAB_CD")]),
        ("1abc 0xg 1e 0x", [(X, n) for n in ("1abc", "0xg", "1e", "0x")]),
        ("1.5.5", [(N, "1.5"), (N, ".5")]),
        ("a.b", [(W, "A"), (P, "."), (W, "B")]),
        ("? ?12 :a @b $c #d", [(V, v) for v in ("?", "?12", ":a", "@b", "$c", "#d")]),
        ("$a::b(c) :::a $a::", [(V, "$a::b(c)"), (V, ":::a"), (V, "$a::")]),
        ("$ : $a(b c", [(X, "$"), (X, ":"), (X, "$a(b"), (W, "C")]),
        ("a->b->>'c'", [(W, "A"), (P, "->"), (W, "B"), (P, "->>"), (S, "c")]),
        ("<<>><=>=<>==!=||", [(P, o) for o in ("<<", ">>", "<=", ">=", "<>", "==", "!=", "||")]),
        ("! ^ \\ { }", [(X, c) for c in "!^\\{}"]),
        ("a--b\nc", [(W, "A"), (W, "C")]),
        ("a--b", [(W, "A")]),
        ("a/*b*/c/**/d/*/e*/f", [(W, c) for c in "ACDF"]),
        ("a/* open", [(W, "A")]),
        ("a/*", [(W, "A"), (P, "/"), (P, "*")]),
        ("a /* -- */ b -- /*\n c", [(W, "A"), (W, "B"), (W, "C")]),
        ("'open", [(X, "'open")]),
        ("'a''b", [(X, "'a''b")]),
        ('"open', [(X, '"open')]),
        ("[open", [(X, "[open")]),
        ("a \v b", [(W, "A"), (W, "B")]),
        ("a\vb", [(W, "A"), (X, "\v"), (W, "B")]),
        ("select'x'from", [(W, "SELECT"), (S, "x"), (W, "FROM")]),
    ],
)
def test_a_text_is_cut_as_sqlite_cuts_it(text: str, expected: list[tuple[TokenKind, str]]) -> None:
    assert shape(text) == expected


@pytest.mark.parametrize(
    ("rows", "rest"),
    [
        ("(1)", ""),
        ("(1, -2.5, +3e5, 'it''s', x'00', NULL, ?)", ""),
        ("(1), (2) , /* ) */ (3) -- (\n, ('), (')", ""),
        ("('a;b')", " RETURNING a"),
        ("(1), (2)", ", (random())"),
        ("(1)", ", (x'0')"),
        ("(1)", ", (1_000), (2)"),
        ("(1)", ", ('open)"),
        ("", "(random(), 1)"),
        ("", "(?1)"),
        ("", "(1 + 1)"),
        ("", "(nullable)"),
        ("", "()"),
        ("", "(1.5.5)"),
        ("", "((1))"),
    ],
)
def test_rows_of_literals_belong_to_values(rows: str, rest: str) -> None:
    text = f"INSERT INTO t Values {rows}{rest}"
    values = tokenize(text)[3]
    assert (values.kind, values.key) == (W, "VALUES")
    assert text[values.start : values.end] == f"Values {rows}".rstrip()


def test_a_name_that_begins_with_values_is_a_name() -> None:
    assert shape("values1 values$ (1)")[:2] == [(W, "VALUES1"), (W, "VALUES$")]


PARTS = st.sampled_from(
    [
        *"abcxX019_.$@:#?'\"`[]()-+*/%<>=!|&~,;^\\{} \n\t\v\f\ufeff\u00a0é",
        "--", "/*", "*/", "::", "0x", "1e", "x'", "''", "random(", "now", "select ", "_1",
    ]
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(PARTS, max_size=30).map("".join))
def test_tokens_never_overlap_and_only_spaces_and_comments_lie_between(text: str) -> None:
    end = 0
    for token in tokenize(text):
        between = text[end : token.start].strip(" \t\n\f\r\v\ufeff")
        assert not between or between.startswith(("--", "/*"))
        assert token.start < token.end <= len(text)
        end = token.end


@settings(deadline=None)
@given(st.lists(PARTS, max_size=12).map("".join))
def test_a_text_without_illegal_tokens_is_never_unrecognized_by_sqlite(text: str) -> None:
    """And the reverse: what SQLite calls an unrecognized token is illegal here too."""
    if any(token.kind is TokenKind.SEMICOLON for token in tokenize(text)):
        return
    illegal = [token for token in tokenize(text) if token.kind is TokenKind.ILLEGAL]
    connection = apsw.Connection(":memory:")
    try:
        connection.execute("EXPLAIN SELECT " + text)
    except apsw.Error as error:
        if "unrecognized token" in str(error) and "_" not in str(error):
            assert illegal
    else:
        assert not illegal
