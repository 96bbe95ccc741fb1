"""The value rules at the door: what may stand in a parameter before it enters the log.

A value is an integer of 64 bits, a double, a text, bytes or NULL. A boolean is the integer SQLite
makes of it, NaN is NULL, as SQLite stores it; infinity is kept. Nothing is converted by a
column's declared type. What does not fit is refused here, where it costs nobody anything: in the
log it would be an error on every node for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any, Final

import msgspec

from raftsql.sql.commands import (
    Many,
    Parameters,
    Statement,
    decode_many,
    decode_script,
    decode_statement,
)

INTEGER_MIN: Final = -(1 << 63)
INTEGER_MAX: Final = (1 << 63) - 1
PARAMETERS_MAX: Final = 32_766
"""SQLite's SQLITE_MAX_VARIABLE_NUMBER."""
LENGTH_MAX: Final = 1_000_000_000
"""SQLite's SQLITE_MAX_LENGTH, in bytes."""

_KINDS: Final = frozenset({int, str, bytes, float, bool, type(None)})
_LIST: Final = frozenset({list})
_UINT64: Final = b"\xcf"
"""The byte that begins every msgpack integer above INTEGER_MAX (and some small ones)."""


class BadValue(Exception):
    """A value or a body that can't enter the log; nothing happened."""

    def __init__(self, message: str, *, parameter: int | str | None = None, row: int = -1) -> None:
        super().__init__(message)
        self.parameter = parameter
        """The parameter's number, counted from 1, or its name."""
        self.row = row
        """The row of parameters in a `Many`, counted from 0; -1 elsewhere."""


def check(parameters: Parameters, *, length_max: int = LENGTH_MAX) -> None:
    """Raise BadValue for the first parameter that SQLite could not hold as it is."""
    if not parameters:
        return
    if len(parameters) > PARAMETERS_MAX:
        raise BadValue(f"{len(parameters)} parameters; SQLite takes at most {PARAMETERS_MAX}")
    named: Iterable[tuple[int | str, Any]] = (
        parameters.items() if isinstance(parameters, dict) else enumerate(parameters, 1)
    )
    for name, value in named:
        why = _fault(value, length_max)
        if why:
            raise BadValue(f"parameter {name}: {why}", parameter=name)


def check_statement(body: bytes, *, length_max: int = LENGTH_MAX) -> Statement:
    """Decode and check the body of an EXECUTE command."""
    try:
        statement = decode_statement(body)
    except _UNREADABLE as error:
        raise _unreadable(error) from error
    parameters = statement.parameters
    if type(parameters) is list and len(parameters) <= PARAMETERS_MAX:
        for value in parameters:
            if type(value) not in _KINDS:
                break
        else:
            if len(body) <= length_max and _UINT64 not in body:
                return statement  # Nearly every statement ends here.
    check(parameters, length_max=length_max)
    return statement


def check_many(body: bytes, *, length_max: int = LENGTH_MAX) -> Many:
    """Decode and check the body of a MANY command; the error names the row."""
    try:
        many = decode_many(body)
    except _UNREADABLE as error:
        raise _unreadable(error) from error
    if len(body) <= length_max and _are_plain(many.rows, may_be_large=_UINT64 in body):
        return many
    for number, row in enumerate(many.rows):
        try:
            check(row, length_max=length_max)
        except BadValue as bad:
            raise BadValue(f"row {number}: {bad}", parameter=bad.parameter, row=number) from None
    return many


def check_script(body: bytes, *, length_max: int = LENGTH_MAX) -> list[Statement]:
    """Decode and check the body of a SCRIPT command."""
    try:
        script = decode_script(body)
    except _UNREADABLE as error:
        raise _unreadable(error) from error
    for statement in script:
        check(statement.parameters, length_max=length_max)
    return script


_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)


def _unreadable(error: Exception) -> BadValue:
    return BadValue(f"the body can't be read: {error}")


def _are_plain(rows: list[Any], *, may_be_large: bool) -> bool:
    """Whether all rows are lists of few values that SQLite can hold; lengths are not looked at."""
    if not _LIST.issuperset(map(type, rows)):
        return False
    if max(map(len, rows), default=0) > PARAMETERS_MAX:
        return False
    if not _KINDS.issuperset(map(type, chain.from_iterable(rows))):
        return False
    if not may_be_large:
        return True
    integers = [value for row in rows for value in row if type(value) is int]
    return max(integers, default=0) <= INTEGER_MAX


def _fault(value: Any, length_max: int) -> str:
    """What is wrong with a value; nothing when it may pass."""
    if type(value) is int:
        fits = INTEGER_MIN <= value <= INTEGER_MAX
        return "" if fits else f"{value} does not fit into SQLite's 64-bit integer"
    if type(value) is str or type(value) is bytes:
        size = len(value)
        if type(value) is str and size * 4 > length_max:
            size = len(value.encode())
        return "" if size <= length_max else f"{size} bytes are over the limit of {length_max}"
    if type(value) in _KINDS:
        return ""
    return f"{_named(value)} is no value of SQL; pass an integer, float, text, bytes or NULL"


def _named(value: Any) -> str:
    if type(value) is msgspec.msgpack.Ext:
        return f"a msgpack extension (code {value.code})"
    kind = type(value).__name__
    return {"datetime": "a msgpack timestamp", "list": "a list", "dict": "a map"}.get(kind, kind)
