"""A refusal is said so that its reader can act on it."""

from __future__ import annotations

from raftsql.sql.verdict import Refused, caret, line_and_column, sentence


def test_a_refusal_is_a_sentence_with_place_reason_and_remedy() -> None:
    refused = Refused("ATTACH", 2, 6, "no replica has it", "put the tables here")
    assert sentence("\n\nATTACH 'x'", refused) == (
        "ATTACH at 3:1 is refused: no replica has it. Instead, put the tables here."
    )


def test_lines_and_columns_count_from_one() -> None:
    assert line_and_column("ab\ncd", 0) == (1, 1)
    assert line_and_column("ab\ncd", 2) == (1, 3)
    assert line_and_column("ab\ncd", 3) == (2, 1)


def test_a_caret_stands_under_the_place() -> None:
    assert caret("SELECT a\nFROM b, c\nWHERE d", 14, 1) == "FROM b, c\n     ^"
    assert caret("SELECT random()", 7, 6) == "SELECT random()\n       ^^^^^^"


def test_a_caret_counts_wide_and_combining_letters() -> None:
    assert caret("'日本' x", 5) == "'日本' x\n       ^"
    assert caret("'e\u0301' x", 5) == "'e\u0301' x\n    ^"


def test_a_caret_shows_a_part_of_a_long_line_and_no_control_characters() -> None:
    drawn = caret("x" * 500 + "!" + "\t" * 500, 500, 3, width_max=20).split("\n")
    assert drawn[0] == "x" * 10 + "!" + " " * 9
    assert drawn[1] == " " * 10 + "^^^"


def test_a_caret_at_the_end_or_beyond_stands_after_the_text() -> None:
    assert caret("ab", 2) == "ab\n  ^"
    assert caret("ab", 99) == "ab\n  ^"
    assert caret("", 0) == "\n^"
