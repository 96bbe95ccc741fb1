"""Values as a browser can hold them: exact, or cut and saying so; and the way back."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from raftsql.server.console import cells
from raftsql.server.console.problems import Problem

VALUES = some.one_of(
    some.none(),
    some.integers(-(1 << 63), (1 << 63) - 1),
    some.floats(allow_nan=False),
    some.text(some.characters(exclude_categories=["Cs"]), max_size=cells.TEXT_MAX),
    some.binary(max_size=cells.BLOB_MAX),
)


@given(some.lists(VALUES, max_size=20))
def test_what_is_not_cut_comes_back_as_it_was(values: list[Any]) -> None:
    shown = json.loads(cells.encode(cells.row(values)[0]))
    assert cells.parameters(shown) == values


@given(some.lists(some.lists(VALUES, min_size=3, max_size=3), max_size=600))
def test_chunks_hold_all_rows_in_order(rows: list[list[Any]]) -> None:
    lines = list(cells.chunks(rows))
    found = [row for line in lines for row in json.loads(line)["rows"]]
    assert [cells.parameters(row) for row in found] == rows
    assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in lines)


def test_what_a_browser_can_not_hold_is_named() -> None:
    assert cells.cell(1 << 53) == 1 << 53
    assert cells.cell((1 << 53) + 1) == {"int": "9007199254740993"}
    assert cells.cell(-(1 << 63)) == {"int": "-9223372036854775808"}
    assert cells.cell(float("-inf")) == {"real": "-inf"}
    assert cells.cell(float("nan")) == {"real": "nan"}


def test_what_is_long_is_cut_with_its_length() -> None:
    assert cells.cell("x" * 4097) == {"text": "x" * 4096, "length": 4097}
    shown = cells.cell(b"\xff" * 300)
    assert (base64.b64decode(shown["blob"]), shown["length"]) == (b"\xff" * 256, 300)
    assert cells.name("c" * 5000) == "c" * 1024 + "…"


def test_chunks_are_bounded_however_wide_or_long_rows_are() -> None:
    wide = [tuple(range(2000))] * 100
    assert all(len(line) < 64 << 10 for line in cells.chunks(wide))
    long = [("x" * 10_000,) * 2000] * 4
    assert all(len(line) < 2 * cells.ROW_BYTES_MAX + (200 << 10) for line in cells.chunks(long))
    many = [(1,)] * 1000
    assert [len(json.loads(line)["rows"]) for line in cells.chunks(many)] == [256, 256, 256, 232]


@pytest.mark.parametrize(
    "given", [[{"int": "1e5"}], [{"int": "9" * 100}], [{"real": "x"}], [{"blob": "?"}], [[]], [{}]]
)
def test_other_parameters_are_refused(given: Any) -> None:
    with pytest.raises(Problem) as caught:
        cells.parameters(given)
    assert caught.value.kind == "bad_request"


def test_truth_is_a_number() -> None:
    assert cells.parameters([True, False]) == [1, 0]
    assert cells.parameters({"a": {"text": "x"}}) == {"a": "x"}
    assert cells.parameters(None) is None
