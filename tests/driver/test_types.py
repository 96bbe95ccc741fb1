"""PEP 249's constructors and type objects."""

from __future__ import annotations

import datetime

import pytest

from raftsql_driver import types


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ("VARCHAR(20)", types.STRING),
        ("text", types.STRING),
        ("INTEGER", types.NUMBER),
        ("double precision", types.NUMBER),
        ("DECIMAL(10, 2)", types.NUMBER),
        ("boolean", types.NUMBER),
        ("BLOB", types.BINARY),
        ("VARBINARY(16)", types.BINARY),
        ("timestamp", types.DATETIME),
        ("DATE", types.DATETIME),
        ("INTEGER", types.ROWID),
    ],
)
def test_a_declared_type_is_equal_to_its_kind(declared: str, kind: types.TypeObject) -> None:
    assert declared == kind
    assert kind == declared


def test_kinds_differ() -> None:
    kinds = [types.STRING, types.NUMBER, types.BINARY, types.DATETIME, types.ROWID]
    assert len(set(kinds)) == 5
    assert types.STRING != types.NUMBER
    assert types.ROWID != "BIGINT"
    assert repr(types.STRING) == "raftsql.STRING"


def test_constructors_take_ticks() -> None:
    moment = datetime.datetime(2024, 2, 29, 1, 2, 3)
    ticks = moment.timestamp()
    assert types.DateFromTicks(ticks) == moment.date() == types.Date(2024, 2, 29)
    assert types.TimeFromTicks(ticks) == moment.time() == types.Time(1, 2, 3)
    assert types.TimestampFromTicks(ticks) == moment == types.Timestamp(2024, 2, 29, 1, 2, 3)
    assert types.Binary(bytearray(b"ab")) == b"ab"
