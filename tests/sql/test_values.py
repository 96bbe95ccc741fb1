"""What may stand in a parameter, and what is refused before it reaches the log."""

from __future__ import annotations

import datetime
import math
from typing import Any

import msgspec
import pytest

from raftsql.sql.values import (
    INTEGER_MAX,
    INTEGER_MIN,
    PARAMETERS_MAX,
    BadValue,
    check,
    check_many,
    check_script,
    check_statement,
)

pack = msgspec.msgpack.encode


@pytest.mark.parametrize(
    "value",
    [0, 207, 52_943, INTEGER_MIN, INTEGER_MAX, 1.5, math.inf, "", "é\0🙂", b"\xcf", None, True],
)
def test_a_value_of_sql_passes_unchanged(value: object) -> None:
    assert check_statement(pack(["x", [value]])).parameters == [value]
    assert check_statement(pack(["x", {"a": value}])).parameters == {"a": value}
    assert check_many(pack(["x", [[value], [value]]])).rows == [[value], [value]]
    assert check_script(pack([["x", [value]]]))[0].parameters == [value]


def test_not_a_number_passes_and_is_null_to_sqlite() -> None:
    parameters = check_statement(pack(["x", [math.nan]])).parameters
    assert isinstance(parameters, list)
    assert math.isnan(parameters[0])


BAD: list[tuple[Any, str]] = [
    (INTEGER_MAX + 1, "64-bit integer"),
    ((1 << 64) - 1, "64-bit integer"),
    ([1], "a list is no value"),
    ({"a": 1}, "a map is no value"),
    (datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), "a msgpack timestamp is no value"),
    (msgspec.msgpack.Ext(5, b"x"), "extension (code 5) is no value"),
]


@pytest.mark.parametrize(("value", "why"), BAD)
def test_another_value_is_refused_and_its_parameter_named(value: Any, why: str) -> None:
    with pytest.raises(BadValue) as listed:
        check_statement(pack(["x", [1, value]]))
    assert listed.value.parameter == 2
    assert why in str(listed.value)
    with pytest.raises(BadValue, match="parameter name:") as named:
        check_statement(pack(["x", {"name": value}]))
    assert named.value.parameter == "name"


@pytest.mark.parametrize(("value", "why"), BAD)
def test_in_many_rows_the_row_is_named_too(value: Any, why: str) -> None:
    with pytest.raises(BadValue) as bad:
        check_many(pack(["x", [[1], [2], [value]]]))
    assert (bad.value.row, bad.value.parameter) == (2, 1)
    with pytest.raises(BadValue):
        check_script(pack([["x", [1]], ["x", [value]]]))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x92\xa1x",
        b"\x92\xa1x\x91\xa3\xed\xa0\x80",
        b"\x92\xa3\xed\xa0\x80\x90",
        b"\x92\xa1x\x91\xa1\xff",
        b"\x92\xa1x\x91\xc7\x0c\xff" + b"\xff" * 12,
        b"\x92\xa1x\x81\x01\x01",
        pack(["x"]) + b"x",
        pack("x"),
        pack(["x", 5]),
        pack([5, []]),
        b"\x91" * 100_000,
        b"\x92\xa1x" + b"\x91" * 100_000,
    ],
)
def test_a_body_that_is_no_statement_is_refused(body: bytes) -> None:
    with pytest.raises(BadValue, match="can't be read"):
        check_statement(body)


def test_more_parameters_than_sqlite_has_are_refused() -> None:
    assert check_statement(pack(["x", [0] * PARAMETERS_MAX]))
    for rows in (pack(["x", [[0] * (PARAMETERS_MAX + 1)]]),):
        with pytest.raises(BadValue, match="at most 32766"):
            check_many(rows)
    with pytest.raises(BadValue, match="at most 32766"):
        check_statement(pack(["x", [0] * (PARAMETERS_MAX + 1)]))


def test_a_longer_value_than_the_limit_is_refused() -> None:
    assert check_statement(pack(["x", ["é" * 50]]), length_max=100)
    with pytest.raises(BadValue, match="102 bytes are over the limit of 100"):
        check_statement(pack(["x", ["é" * 51]]), length_max=100)
    with pytest.raises(BadValue, match="101 bytes"):
        check_many(pack(["x", [[b"a" * 101]]]), length_max=100)
    assert check_statement(pack(["x", ["a" * 60, "b" * 60]]), length_max=100)


def test_decoded_parameters_can_be_checked_alone() -> None:
    check(None)
    check([1, "a"])
    with pytest.raises(BadValue, match="parameter 1"):
        check([1 << 70])
