"""What the first words of a statement tell."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raftsql.sql.classify import StatementKind, Verb, classify
from raftsql.sql.plans import plan
from raftsql.sql.tokens import TokenKind, tokenize
from raftsql.sql.verdict import Mode
from tests.sql.statements import TRANSACTIONS


@pytest.mark.parametrize(("text", "expected"), TRANSACTIONS.items())
def test_transaction_control_is_read_in_every_spelling(
    text: str, expected: tuple[str, str | None]
) -> None:
    decided = plan(text)
    assert decided.kind is StatementKind.TRANSACTION
    assert decided.control is not None
    assert (decided.control.verb, decided.control.savepoint) == (Verb[expected[0]], expected[1])


def test_savepoints_that_differ_in_case_are_one_to_sqlite_and_to_us() -> None:
    assert plan("SAVEPOINT a").control == plan('savepoint "A"').control


PARTS = st.sampled_from(
    [
        "SELECT",
        "INSERT",
        "INTO",
        "VALUES",
        "WITH",
        "EXPLAIN",
        "QUERY",
        "PLAN",
        "PRAGMA",
        "foreign_keys",
        "journal_mode",
        "=",
        "(",
        ")",
        "ON",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "TO",
        "SAVEPOINT",
        "RELEASE",
        "TRANSACTION",
        "IMMEDIATE",
        "VACUUM",
        "ANALYZE",
        "REINDEX",
        "CREATE",
        "TEMP",
        "TABLE",
        "IF",
        "NOT",
        "EXISTS",
        "VIRTUAL",
        "USING",
        "fts5",
        "random",
        "date",
        "'now'",
        ";",
        ",",
        ".",
        "*",
        "t",
        '"q"',
        "[r]",
        "1",
        "?",
        ":v",
        "x'00'",
        "LIMIT",
        "ORDER",
        "BY",
        "OVER",
        "WINDOW",
        "w",
        "AS",
        "AND",
        "group_concat",
        "FILTER",
        "FROM",
        "JOIN",
        "WHERE",
        "UPDATE",
        "SET",
        "DELETE",
        "ATTACH",
        "--",
        "/*",
        "INDEX",
        "TRIGGER",
        "END",
        "main",
        "temp",
        "'",
        '"',
        "\x00",
        "�",
        "é",
        "(",
        ")",
        "(",
        ")",
    ]
)


@settings(deadline=None)
@given(st.lists(PARTS, max_size=25).map(" ".join), st.sampled_from(Mode))
def test_no_soup_of_tokens_is_without_an_answer(text: str, mode: Mode) -> None:
    decided = plan(text, mode)
    assert (decided.message != "") == (decided.kind is StatementKind.REFUSED)
    assert (decided.control is not None) == (decided.kind is StatementKind.TRANSACTION)
    assert (decided.setting is not None) == (decided.kind is StatementKind.SETTING)


@settings(deadline=None)
@given(st.text(max_size=40), st.sampled_from(Mode))
def test_no_text_at_all_is_without_an_answer(text: str, mode: Mode) -> None:
    assert plan(text, mode).text == text


@settings(deadline=None)
@given(st.lists(PARTS, max_size=8))
def test_the_kind_of_a_statement_ignores_what_follows_its_verb(parts: list[str]) -> None:
    tokens = [t for t in tokenize("INSERT " + " ".join(parts)) if t.kind is not TokenKind.SEMICOLON]
    assert classify(tokens).kind is StatementKind.WRITE
