"""The value rules at the door: what may stand in a parameter before it enters the log.

A value is an integer of 64 bits, a double, a text, bytes or NULL. A boolean is the integer SQLite
makes of it, NaN is NULL, as SQLite stores it; infinity is kept. Nothing is converted by a
column's declared type. What does not fit is refused here, where it costs nobody anything: in the
log it would be an error on every node for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, TypeVar

import msgspec

from raftsql.sql.commands import (
    Many,
    Parameters,
    Statement,
    decode_many,
    decode_script,
    decode_statement,
)

T = TypeVar("T")

INTEGER_MIN: Final = -(1 << 63)
INTEGER_MAX: Final = (1 << 63) - 1
PARAMETERS_MAX: Final = 32_766
"""SQLite's SQLITE_MAX_VARIABLE_NUMBER."""
LENGTH_MAX: Final = 64 * 1024 * 1024
"""SQLite's SQLITE_MAX_LENGTH, in bytes."""

_KINDS: Final = frozenset({int, str, bytes, float, bool, type(None)})

# msgspec checks these while it decodes, at no price. It can't tell a union of text and bytes apart,
# so bytes, like everything out of range, fall through to the slower check with its better words.
_Plain = Annotated[int, msgspec.Meta(ge=INTEGER_MIN, le=INTEGER_MAX)] | float | str | bool | None
_PlainList = Annotated[list[_Plain], msgspec.Meta(max_length=PARAMETERS_MAX)]
_PlainMap = Annotated[dict[str, _Plain], msgspec.Meta(max_length=PARAMETERS_MAX)]


class _PlainStatement(Statement, array_like=True, frozen=True):
    """A statement whose parameters have been checked by being decoded."""

    parameters: _PlainList | _PlainMap | None = None


class _PlainMany(Many, array_like=True, frozen=True):
    """Rows of parameters that have been checked by being decoded."""

    rows: list[_PlainList | _PlainMap]


_decode_plain_statement = msgspec.msgpack.Decoder(_PlainStatement).decode
_decode_plain_many = msgspec.msgpack.Decoder(_PlainMany).decode
_decode_plain_script = msgspec.msgpack.Decoder(list[_PlainStatement]).decode


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
    plain = _quickly(_decode_plain_statement, body, length_max)
    if plain is not None:
        return plain
    statement = _slowly(decode_statement, body)
    check(statement.parameters, length_max=length_max)
    return statement


def check_many(body: bytes, *, length_max: int = LENGTH_MAX) -> Many:
    """Decode and check the body of a MANY command; the error names the row."""
    plain = _quickly(_decode_plain_many, body, length_max)
    if plain is not None:
        return plain
    many = _slowly(decode_many, body)
    for number, row in enumerate(many.rows):
        try:
            check(row, length_max=length_max)
        except BadValue as bad:
            raise BadValue(f"row {number}: {bad}", parameter=bad.parameter, row=number) from None
    return many


def check_script(body: bytes, *, length_max: int = LENGTH_MAX) -> list[Statement]:
    """Decode and check the body of a SCRIPT command."""
    plain = _quickly(_decode_plain_script, body, length_max)
    if plain is not None:
        return list[Statement](plain)
    script = _slowly(decode_script, body)
    for statement in script:
        check(statement.parameters, length_max=length_max)
    return script


_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)


def _quickly(decode: Callable[[bytes], T], body: bytes, length_max: int) -> T | None:
    """Check a body by decoding it; None leaves it to the slower way, which says what is wrong."""
    if len(body) > length_max:
        return None
    try:
        return decode(body)
    except _UNREADABLE:
        return None


def _slowly(decode: Callable[[bytes], T], body: bytes) -> T:
    """Decode a body whose values are to be checked one by one."""
    try:
        return decode(body)
    except _UNREADABLE as error:
        raise BadValue(f"the body can't be read: {error}") from error


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
