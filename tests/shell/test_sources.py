"""Files as rows: what a load builds on."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftsql_shell.errors import CommandError
from raftsql_shell.formats.delimited import csv, tsv
from raftsql_shell.import_ import CHUNK_LETTERS, CHUNK_ROWS
from raftsql_shell.look import Look
from raftsql_shell.sources import kind_of, open_source, type_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
ROWS = st.lists(st.tuples(TEXTS, st.one_of(st.none(), TEXTS)), max_size=6)


def read(content: str, kind: str, *, empty_is_null: bool = True) -> list[tuple[int, list[Any]]]:
    source = open_source(BytesIO(content.encode()), kind, empty_is_null=empty_is_null)
    return list(source.rows)


@given(ROWS)
def test_what_tsv_writes_is_read_as_the_same(rows: list[tuple[str, str | None]]) -> None:
    text = "".join(tsv(["a", "b"], iter([rows] if rows else []), Look(headers=False)))
    assert [tuple(row) for _, row in read(text, "tsv")] == rows


@given(ROWS)
def test_what_csv_writes_is_read_as_the_same_but_for_empty_texts(
    rows: list[tuple[str, str | None]],
) -> None:
    text = "".join(csv(["a", "b"], iter([rows] if rows else []), Look(headers=False)))
    expected = [tuple(value or None for value in row) for row in rows]
    assert [tuple(row) for _, row in read(text, "csv")] == expected


def test_rows_know_the_lines_on_which_they_begin() -> None:
    assert [line for line, _ in read('1,"a\nb"\n\n2,c\n', "csv")] == [1, 4]


def test_a_file_is_known_by_its_name() -> None:
    assert [kind_of(Path(name)) for name in ("a.CSV", "b.tab", "c.ndjson")] == [
        "csv",
        "tsv",
        "jsonl",
    ]
    with pytest.raises(CommandError):
        kind_of(Path("d.xlsx"))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", None], "INTEGER"),
        (["1", "2.5", "1e3"], "REAL"),
        ([1, 2.5], "REAL"),
        (["007"], "TEXT"),
        (["0", "0.5"], "REAL"),
        (["nan", "inf"], "TEXT"),
        (["1_000"], "TEXT"),
        ([None], "TEXT"),
        ([], "TEXT"),
    ],
)
def test_a_new_columns_type_suits_its_values(values: list[Any], kind: str) -> None:
    assert type_of(values) == kind


def test_a_chunk_is_one_command_of_the_log() -> None:
    from raftsql_driver import chunks

    assert CHUNK_ROWS <= chunks.CHUNK_ROWS_MAX
    assert CHUNK_LETTERS <= chunks.CHUNK_BYTES_MAX
