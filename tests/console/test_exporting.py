"""Results as files: exact in both forms, and never a long piece at once."""

from __future__ import annotations

import base64
import csv
import io
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from raftsql.server.console.exporting import SLICE, Csv, Form, Json

TEXTS = some.text(some.characters(exclude_categories=["Cs"]), max_size=50)
VALUES = some.one_of(
    some.none(), some.integers(-(1 << 63), (1 << 63) - 1), some.floats(allow_nan=False), TEXTS,
    some.binary(max_size=50),
)  # fmt: skip
ROWS = some.lists(some.tuples(VALUES, VALUES), max_size=20)


def written(form: Form, rows: list[Any]) -> str:
    pieces = [form.head(), *form.rows(rows), form.foot()]
    assert all(len(piece) <= 6 * SLICE for piece in pieces)
    return b"".join(pieces).decode()


@given(ROWS)
def test_json_reads_as_the_rows_that_were(rows: list[Any]) -> None:
    found = json.loads(written(Json(["a", "b"]), rows))
    expected = [[base64.b64encode(v).decode() if type(v) is bytes else v for v in r] for r in rows]
    assert [list(row.values()) for row in found] == expected


@given(ROWS)
def test_csv_reads_as_the_rows_that_were(rows: list[Any]) -> None:
    found = list(csv.reader(io.StringIO(written(Csv(["a", "b"]), rows), newline="")))
    assert found[0] == ["a", "b"]
    assert found[1:] == [[_text(value) for value in row] for row in rows]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.hex() if type(value) is bytes else str(value)


def test_null_and_an_empty_text_are_told_apart_in_csv() -> None:
    assert written(Csv(["a", "b"]), [(None, "")]) == 'a,b\r\n,""\r\n'


def test_long_values_are_written_slice_by_slice() -> None:
    text, blob = 'é"\n' * 200_000, bytes(range(256)) * 2_000
    (row,) = json.loads(written(Json(["t", "b"]), [(text, blob)]))
    assert (row["t"], base64.b64decode(row["b"])) == (text, blob)
    csv.field_size_limit(1 << 24)
    _, found = csv.reader(io.StringIO(written(Csv(["t", "b"]), [(text, blob)]), newline=""))
    assert found == [text, blob.hex()]


def test_names_that_stand_twice_get_a_number() -> None:
    found = json.loads(written(Json(["a", "a", "a_2", "a"]), [(1, 2, 3, 4)]))
    assert found == [{"a": 1, "a_2": 2, "a_2_2": 3, "a_3": 4}]


def test_infinity_is_a_number_in_json() -> None:
    ((row),) = json.loads(written(Json(["a", "b"]), [(float("inf"), float("-inf"))]))
    assert row == {"a": float("inf"), "b": float("-inf")}


def test_no_rows_are_an_empty_array() -> None:
    assert json.loads(written(Json(["a"]), [])) == []
    assert written(Csv(["a,b"]), []) == '"a,b"\r\n'
