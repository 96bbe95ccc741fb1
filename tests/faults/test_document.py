"""Tables in documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.document import put

PROJECT = Path(__file__).parents[2]


def test_what_stands_between_the_marks_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("one\n<!-- begin runs -->\nold \\1\n<!-- end runs -->\ntwo\n")
    put(path, "runs", "| a\\b |\n")
    assert path.read_text() == "one\n<!-- begin runs -->\n| a\\b |\n<!-- end runs -->\ntwo\n"


def test_a_document_without_the_marks_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("nothing\n")
    with pytest.raises(ValueError, match="0 places"):
        put(path, "runs", "")
    assert path.read_text() == "nothing\n"


@pytest.mark.parametrize("name", ["runs", "hunts", "soak"])
def test_the_document_of_reliability_has_a_place_for_each_table(name: str) -> None:
    text = (PROJECT / "docs" / "reliability.md").read_text()
    assert text.count(f"<!-- begin {name} -->") == text.count(f"<!-- end {name} -->") == 1
