"""Values on their way to SQLite."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from collections import UserList
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftsql_driver import convert
from raftsql_driver.errors import DataError, ProgrammingError

PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(convert.INTEGER_MIN, convert.INTEGER_MAX),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
)


@given(st.lists(PLAIN))
def test_what_sqlite_can_hold_goes_as_it_is(values: list[Any]) -> None:
    assert convert.parameters(values) is values
    body = convert.pack("SELECT 1", convert.parameters(values))
    assert msgspec.msgpack.decode(body) == ["SELECT 1", values]


@given(st.lists(st.lists(PLAIN, max_size=3).map(tuple), max_size=5))
def test_many_rows_are_checked_as_one(rows: list[Any]) -> None:
    assert convert.rows(rows) is rows


class Colour(enum.IntEnum):
    RED = 3


class Name(str):
    __slots__ = ()


class Celsius:
    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    def __conform__(self, protocol: object) -> Any:
        return self.degrees if protocol is convert.PrepareProtocol else None


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (datetime.date(2024, 2, 29), "2024-02-29"),
        (datetime.datetime(2024, 2, 29, 1, 2, 3), "2024-02-29 01:02:03"),
        (datetime.time(1, 2, 3), "01:02:03"),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"ab"), b"ab"),
        (Colour.RED, 3),
        (Name("x"), "x"),
        (Celsius(3.5), 3.5),
    ],
)
def test_other_types_are_adapted(value: Any, sent: Any) -> None:
    packed = convert.parameters([value])
    assert packed == [sent]
    assert type(packed[0]) is type(sent)  # type: ignore[index]


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 2**64, 2**200])
def test_an_integer_beyond_64_bits_is_refused(value: int) -> None:
    with pytest.raises(DataError, match=r"parameter 2.*64-bit"):
        convert.parameters((1, value))
    rows = convert.rows([(1,), (value,)])
    with pytest.raises(DataError, match="64"):
        convert.pack("INSERT", rows, suspect=True)


def test_small_integers_that_look_like_large_ones_pass() -> None:
    rows = convert.rows([(b"\xcf",), ("\u03cf",)])
    assert convert.pack("INSERT", rows, suspect=True)


@pytest.mark.parametrize("value", [object(), [1], {"a": 1}, {1}, 1j, range(3)])
def test_what_is_no_value_is_refused_with_advice(value: Any) -> None:
    with pytest.raises(ProgrammingError, match="register an adapter"):
        convert.parameters([value])


@pytest.mark.parametrize("given_", ["abc", b"abc", 5, (x for x in (1, 2)), {1, 2}])
def test_parameters_are_a_sequence_or_a_mapping(given_: Any) -> None:
    with pytest.raises(ProgrammingError, match="tuple, a list or a mapping"):
        convert.parameters(given_)


def test_names_of_parameters_are_text() -> None:
    with pytest.raises(ProgrammingError, match="name"):
        convert.parameters({1: "x"})  # type: ignore[dict-item]
    with pytest.raises(DataError, match="parameter a"):
        convert.parameters({"a": 2**70})


def test_other_sequences_are_fine() -> None:
    assert convert.parameters(UserList([1, "x"])) == [1, "x"]


def test_a_lone_surrogate_is_refused_with_advice() -> None:
    with pytest.raises(DataError, match="surrogate"):
        convert.pack("SELECT ?", ["\ud800"])


def test_a_bad_value_among_many_rows_is_named() -> None:
    with pytest.raises(ProgrammingError, match=r"row 1: parameter 2"):
        convert.rows([(1, 2), (1, object())])
    with pytest.raises(ProgrammingError, match=r"row 1: .*tuple"):
        convert.rows([(1, 2), "ab"])


class Point:
    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y


def test_an_adapter_may_be_registered() -> None:
    convert.register_adapter(Point, lambda point: f"{point.x};{point.y}")
    assert convert.parameters([Point(1, 2)]) == ["1;2"]


def test_an_adapter_that_gives_no_value_is_refused() -> None:
    class Odd:
        pass

    convert.register_adapter(Odd, lambda odd: odd)
    with pytest.raises(ProgrammingError, match="Odd"):
        convert.parameters([Odd()])


@pytest.mark.parametrize(("value", "held"), [(5, b"5"), (1.5, b"1.5"), ("ä", b"\xc3\xa4")])
def test_a_converter_is_given_bytes(value: Any, held: bytes) -> None:
    assert convert.as_bytes(value) == held
