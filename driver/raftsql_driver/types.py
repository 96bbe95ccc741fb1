"""PEP 249's constructors and type objects."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterable
from typing import Final

Date = datetime.date
Time = datetime.time
Timestamp = datetime.datetime


def DateFromTicks(ticks: float) -> datetime.date:
    """The local day of a moment given in seconds since 1970."""
    return datetime.date(*time.localtime(ticks)[:3])


def TimeFromTicks(ticks: float) -> datetime.time:
    """The local time of day of a moment given in seconds since 1970."""
    return datetime.time(*time.localtime(ticks)[3:6])


def TimestampFromTicks(ticks: float) -> datetime.datetime:
    """The local date and time of a moment given in seconds since 1970."""
    return datetime.datetime(*time.localtime(ticks)[:6])


def Binary(value: bytes | bytearray | memoryview | Iterable[int]) -> bytes:
    """A value for a BLOB."""
    return bytes(value)


class TypeObject:
    """Equal to every declared type of its kind, whatever its length or case."""

    __slots__ = ("_name", "_words", "_exact")

    def __init__(self, name: str, *words: str, exact: bool = False) -> None:
        self._name = name
        self._words = words
        self._exact = exact

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str):
            return self is other
        declared = other.upper().partition("(")[0].strip()
        if self._exact:
            return declared in self._words
        return any(word in declared for word in self._words)

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f"raftsql.{self._name}"


STRING: Final = TypeObject("STRING", "CHAR", "CLOB", "TEXT", "STRING", "JSON")
BINARY: Final = TypeObject("BINARY", "BLOB", "BINARY")
NUMBER: Final = TypeObject("NUMBER", "INT", "REAL", "FLOA", "DOUB", "NUM", "DEC", "BOOL")
DATETIME: Final = TypeObject("DATETIME", "DATE", "TIME")
ROWID: Final = TypeObject("ROWID", "INTEGER", exact=True)
