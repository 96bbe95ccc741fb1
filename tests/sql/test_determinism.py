"""Every statement's verdict, by hand."""

from __future__ import annotations

import pytest

from raftsql.sql.classify import StatementKind
from raftsql.sql.plans import plan
from raftsql.sql.verdict import Mode, Pinned, Pure, Refused
from tests.sql import statements as s

PURE = [
    *((text, StatementKind.READ) for text in s.lines(s.PURE_READS)),
    *((text, StatementKind.WRITE) for text in s.lines(s.PURE_WRITES)),
    *((text, StatementKind.DDL) for text in s.lines(s.PURE_DEFINITIONS)),
    *((text, StatementKind.MAINTENANCE) for text in s.lines(s.MAINTENANCE)),
    *((text, StatementKind.TRANSACTION) for text in s.TRANSACTIONS),
    *((text, StatementKind.EMPTY) for text in ("", " ", ";", "-- x", "/* x", "/* x */;;\n")),
]
PINNED = [
    *((text, StatementKind.READ) for text in s.lines(s.PINNED_READS)),
    *((text, StatementKind.WRITE) for text in s.lines(s.PINNED_WRITES)),
    *((text, StatementKind.DDL) for text in s.lines(s.PINNED_DEFINITIONS)),
]


def test_the_table_is_large() -> None:
    assert len(PURE) + len(PINNED) + len(s.REFUSED) > 350


@pytest.mark.parametrize(("text", "kind"), PURE)
def test_a_pure_statement_is_pure_in_both_modes(text: str, kind: StatementKind) -> None:
    decided = plan(text)
    assert (decided.kind, decided.verdict) == (kind, Pure()), decided.message


@pytest.mark.parametrize(("text", "kind"), PINNED)
def test_what_asks_clock_or_chance_is_pinned(text: str, kind: StatementKind) -> None:
    decided = plan(text)
    assert decided.kind is kind, decided.message
    assert isinstance(decided.verdict, Pinned)
    for call in decided.verdict.calls:
        written = text[call.position :].lstrip('"[`').upper()
        assert written.startswith(call.name)


@pytest.mark.parametrize(("text", "kind"), PINNED)
def test_strict_mode_refuses_what_pinned_mode_pins_unless_it_only_reads(
    text: str, kind: StatementKind
) -> None:
    decided = plan(text, Mode.STRICT)
    assert isinstance(decided.verdict, Refused) == (kind is not StatementKind.READ)


@pytest.mark.parametrize(("text", "why"), s.REFUSED.items())
def test_a_refusal_says_what_where_why_and_what_to_write(text: str, why: str) -> None:
    decided = plan(text)
    assert decided.kind is StatementKind.REFUSED
    assert isinstance(decided.verdict, Refused)
    assert why in f"{decided.verdict.what}: {decided.verdict.why}"
    assert 0 <= decided.verdict.position < len(text)
    assert 0 < decided.verdict.length <= len(text) - decided.verdict.position
    assert decided.verdict.instead
    assert ". Instead, " in decided.message


@pytest.mark.parametrize(("text", "kind"), PURE + PINNED)
def test_case_comments_and_spaces_change_no_verdict(text: str, kind: StatementKind) -> None:
    from raftsql.sql.tokens import TokenKind, tokenize

    parts = [
        piece.swapcase() if token.kind is TokenKind.WORD and piece.isascii() else piece
        for token in tokenize(text)
        for piece in (text[token.start : token.end],)
    ]
    noisy = "/* ' */\ufeff " + ' -- "\n\t/**/ '.join(parts) + "\f; /* end"
    assert type(plan(noisy).verdict) is type(plan(text).verdict)
    assert plan(noisy).kind is kind


def test_the_position_of_a_refusal_is_the_part_itself() -> None:
    text = "INSERT INTO t(b)\nVALUES (1, sqlite_version())"
    verdict = plan(text).verdict
    assert isinstance(verdict, Refused)
    part = text[verdict.position : verdict.position + verdict.length]
    assert part == "sqlite_version"
    assert "sqlite_version() at 2:12 is refused" in plan(text).message
