"""What a row looks like to a program: a tuple, or what a row factory makes of one.

A factory is called as sqlite3 calls it, `factory(cursor, values)`, and may be set on a connection
or on a cursor.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, Protocol, TypeAlias

from raftsql_driver.convert import (
    PARSE_COLNAMES,
    PARSE_DECLTYPES,
    Converter,
    as_bytes,
    converter_of,
)
from raftsql_proto.frames import Column

Described: TypeAlias = tuple[str, str | None, None, None, None, None, None]
Description: TypeAlias = tuple[Described, ...]
Values: TypeAlias = tuple[Any, ...]


class HasDescription(Protocol):
    """All that a row factory may ask of a cursor."""

    @property
    def description(self) -> Description | None: ...


RowFactory: TypeAlias = Callable[[Any, Values], Any]


class Row:
    """A row whose values are reached by position and by name, in any case of letters."""

    __slots__ = ("_names", "_values")

    def __init__(self, cursor: HasDescription, values: Values) -> None:
        self._names = tuple(column[0] for column in cursor.description or ())
        self._values = tuple(values)

    def keys(self) -> list[str]:
        """The names of the columns."""
        return list(self._names)

    def __getitem__(self, key: int | str | slice) -> Any:
        if isinstance(key, str):
            return self._values[_position(self._names, key)]
        return self._values[key]

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Row):
            return NotImplemented
        return self._names == other._names and self._values == other._values

    def __hash__(self) -> int:
        return hash((self._names, self._values))

    def __repr__(self) -> str:
        fields = ", ".join(
            f"{name}={value!r}" for name, value in zip(self._names, self._values, strict=True)
        )
        return f"Row({fields})"


@lru_cache(maxsize=512)
def _position(names: tuple[str, ...], name: str) -> int:
    if name in names:
        return names.index(name)
    folded = [each.casefold() for each in names]
    if name.casefold() in folded:
        return folded.index(name.casefold())
    raise IndexError(f"no column named {name!r}; there are {', '.join(names)}")


def tuple_row(cursor: HasDescription, values: Values) -> Values:
    """The row as a tuple: what happens without a factory."""
    return values


def dict_row(cursor: HasDescription, values: Values) -> dict[str, Any]:
    """The row as a dict from column names to values."""
    return {
        column[0]: value for column, value in zip(cursor.description or (), values, strict=True)
    }


def namedtuple_row(cursor: HasDescription, values: Values) -> Any:
    """The row as a named tuple; a name that Python can't use becomes `_1`, `_2`, ..."""
    return _named(tuple(column[0] for column in cursor.description or ()))._make(values)


@lru_cache(maxsize=512)
def _named(names: tuple[str, ...]) -> Any:
    return namedtuple("Row", names, rename=True)


def scalar_row(cursor: HasDescription, values: Values) -> Any:
    """The first value of the row, alone."""
    return values[0]


_ALIAS: Final = re.compile(r"(.*?)\s*\[([^\]]*)\]\s*$", re.DOTALL)
_KINDS: Final = {int: "INTEGER", str: "TEXT", float: "REAL", bytes: "BLOB"}


def describe(columns: list[Column], first: Values | None, detect_types: int) -> Description:
    """PEP 249's seven facts a column: its name, its type, and five that SQLite does not know.

    The type is the declared one; of an expression it is told from the first row.
    """
    described: list[Described] = []
    for number, column in enumerate(columns):
        name, declared = column.name, column.declared
        if detect_types & PARSE_COLNAMES and (alias := _ALIAS.match(name)):
            name = alias[1]
        if declared is None and first is not None:
            declared = _KINDS.get(type(first[number]))
        described.append((name, declared, None, None, None, None, None))
    return tuple(described)


def converters(columns: list[Column], detect_types: int) -> list[Converter | None] | None:
    """A converter for each column; None where no column needs one."""
    if not detect_types:
        return None
    found = [_converter(column, detect_types) for column in columns]
    return found if any(found) else None


def _converter(column: Column, detect_types: int) -> Converter | None:
    if detect_types & PARSE_COLNAMES and (alias := _ALIAS.match(column.name)):
        return converter_of(alias[2])
    if detect_types & PARSE_DECLTYPES and column.declared:
        return converter_of(re.split(r"[\s(]", column.declared, maxsplit=1)[0])
    return None


def convert(page: list[Values], with_: list[Converter | None]) -> list[Values]:
    """The rows with their converters applied; NULL stays None."""
    return [
        tuple(
            value if converter is None or value is None else converter(as_bytes(value))
            for value, converter in zip(values, with_, strict=True)
        )
        for values in page
    ]
