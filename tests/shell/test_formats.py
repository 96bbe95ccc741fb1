"""Formats: what the transcripts can't show."""

from __future__ import annotations

import csv
import json
import tracemalloc
from collections.abc import Iterator
from io import StringIO
from itertools import islice

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftsql_shell import literals
from raftsql_shell.formats import ABOUT, MODES, format_of
from raftsql_shell.formats.cells import cut, number, text_of, width_of
from raftsql_shell.formats.delimited import _unquoted
from raftsql_shell.formats.grid import SAMPLE_ROWS
from raftsql_shell.formats.objects import unique
from raftsql_shell.formats.sql import insert
from raftsql_shell.formats.upright import vertical
from raftsql_shell.look import Look, Row

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
)
TABLES = st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[VALUES] * n), max_size=6))


def written(mode: str, columns: list[str], rows: list[Row], **look: object) -> str:
    batches = iter([rows] if rows else [])
    return "".join(format_of(mode)(columns, batches, Look(**look)))  # type: ignore[arg-type]


def names(rows: list[Row]) -> list[str]:
    return [f"c{k}" for k in range(len(rows[0]) if rows else 2)]


@given(TABLES)
def test_csv_is_read_back_as_what_was_written(rows: list[Row]) -> None:
    text = written("csv", names(rows), rows)
    found = list(csv.reader(StringIO(text, newline=""), strict=True))
    shown = [
        ["" if v is None else v.hex() if isinstance(v, bytes) else plain(v) for v in row]
        for row in rows
    ]
    assert found == [names(rows), *shown]


def plain(value: object) -> str:
    if isinstance(value, float) and value not in (float("inf"), float("-inf")):
        return msgspec.json.encode(value).decode()
    return number(value) if isinstance(value, float) else str(value)


@given(TABLES)
def test_json_is_read_back_as_what_was_written(rows: list[Row]) -> None:
    expected = [
        dict(zip(names(rows), [v.hex() if isinstance(v, bytes) else v for v in row], strict=True))
        for row in rows
    ]
    assert json.loads(written("json", names(rows), rows)) == expected
    lines = written("jsonl", names(rows), rows).split("\n")
    assert [json.loads(line) for line in lines if line] == expected


@given(TABLES)
def test_rows_of_a_grid_are_equally_wide_and_without_control_characters(rows: list[Row]) -> None:
    for mode in ("box", "table", "markdown"):
        lines = written(mode, names(rows), rows).split("\n")[:-1]
        assert all(line.isprintable() or "�" in line or " " in line for line in lines)
        assert not any(
            ord(letter) < 32 or letter in "\x7f\x9b" for line in lines for letter in line
        )


@given(VALUES)
def test_a_literal_is_read_back_by_sqlite(value: object) -> None:
    import sqlite3

    connection = sqlite3.connect(":memory:")
    found = connection.execute(f"SELECT {literals.literal(value)}").fetchone()[0]
    connection.close()
    assert found == value
    assert type(found) is type(value)


def test_wide_letters_keep_the_lines_of_a_grid_straight() -> None:
    text = written("box", ["日本"], [("e\u0301",), ("👍",), ("語語語",)])
    assert {width_of(line) for line in text.splitlines()} == {10}


def test_what_would_program_the_terminal_is_shown_as_a_picture() -> None:
    for mode in ("box", "table", "column", "markdown", "vertical", "line"):
        text = written(mode, ["a\x1b[2J"], [("\x1b]0;title\x07",), ("\x9b31m",), ("\u202eabc",)])
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text)


def test_a_row_that_is_wider_than_the_screen_turns_the_result_upright() -> None:
    row = ("x" * 30, "y" * 30)
    assert "│" in written("box", ["a", "b"], [row], screen=67)
    assert "1. row" in written("box", ["a", "b"], [row], screen=66)
    assert "|" in written("markdown", ["a", "b"], [row], screen=20)


def test_a_longer_value_after_the_sample_is_shown_whole() -> None:
    sample = [("x",)] * SAMPLE_ROWS
    batches: Iterator[list[Row]] = iter([sample, [("a longer one",)]])
    text = "".join(format_of("box")(["c"], batches, Look()))
    assert "│ a longer one │" in text


@pytest.mark.parametrize("mode", MODES)
def test_a_result_is_streamed_in_constant_memory(mode: str) -> None:
    batch: list[Row] = [(k, f"name {k}", k * 1.5, None) for k in range(1000)]
    pieces = format_of(mode)(["a", "b", "c", "d"], iter(batch for _ in range(60)), Look())
    for _ in islice(pieces, 4):
        pass
    tracemalloc.start()
    for _ in pieces:
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


def test_every_mode_has_a_description() -> None:
    assert set(ABOUT) == set(MODES)


def test_columns_of_one_name_are_numbered() -> None:
    assert unique(["a", "b", "a", "a_2", "a"]) == ["a", "b", "a_2", "a_2_2", "a_3"]


def test_a_text_is_cut_by_the_cells_that_it_takes() -> None:
    assert [cut("日本語", width) for width in (0, 6, 5, 4, 1)] == [
        "日本語",
        "日本語",
        "日本…",
        "日…",
        "…",
    ]
    assert cut("abcdef", 4) == "abc…"
    assert text_of("a\tb", "") == "a␉b"


@pytest.mark.parametrize(
    ("row", "plain"),
    [
        ((1, "a b", 1.5), True),
        ((1, "日本", None), True),
        ((None, None, None), True),
        ((1, "a,b", 1.5), False),
        ((1, 'a"b', 1.5), False),
        ((1, "a\nb", 1.5), False),
        ((1, "", 1.5), False),
        ((1, b"a", 1.5), False),
        ((1, "a", float("inf")), False),
    ],
)
def test_only_rows_that_need_no_quotes_take_the_short_way(row: Row, plain: bool) -> None:
    assert (_unquoted([row], "") is not None) == plain


def test_the_short_way_and_the_long_way_write_the_same() -> None:
    plain: list[Row] = [(1, "a b", 1e22, None), (-5, "]", 0.1, None), (7, "null", 2.0, None)]
    short = written("csv", ["a", "b", "c", "d"], plain, headers=False)
    long = written("csv", ["a", "b", "c", "d"], [*plain, (0, '"', 0.0, b"")], headers=False)
    assert long.startswith(short)
    assert short == "1,a b,1e22,\n-5,],0.1,\n7,null,2.0,\n"


def test_rows_on_end_and_inserts_need_no_screen() -> None:
    batches: Iterator[list[Row]] = iter([[(1,)]])
    assert "".join(vertical(["a"], batches, Look())).startswith("*" * 27 + " 1. row ")
    batches = iter([[("it's",)]])
    assert "".join(insert(["a"], batches, Look(table="t"))) == "INSERT INTO t(a) VALUES('it''s');\n"
