"""A refusal is said so that its reader can act on it."""

from __future__ import annotations

from raftsql.sql.verdict import Refused, line_and_column, sentence


def test_a_refusal_is_a_sentence_with_place_reason_and_remedy() -> None:
    refused = Refused("ATTACH", 2, 6, "no replica has it", "put the tables here")
    assert sentence("\n\nATTACH 'x'", refused) == (
        "ATTACH at 3:1 is refused: no replica has it. Instead, put the tables here."
    )


def test_lines_and_columns_count_from_one() -> None:
    assert line_and_column("ab\ncd", 0) == (1, 1)
    assert line_and_column("ab\ncd", 2) == (1, 3)
    assert line_and_column("ab\ncd", 3) == (2, 1)
