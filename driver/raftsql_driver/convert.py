"""From Python to SQLite's five kinds of value and back, with adapters and converters as sqlite3.

A value goes as it is when SQLite has its kind; other types need an adapter. Values come back as
SQLite stored them, unless `detect_types` asks for converters. Both are registered for the process.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from raftsql_driver.errors import DataError, ProgrammingError, kind_of

T = TypeVar("T")
Value: TypeAlias = Any
Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]
Packed: TypeAlias = list[Any] | tuple[Any, ...] | dict[str, Any]
Adapter: TypeAlias = Callable[[Any], Any]
Converter: TypeAlias = Callable[[bytes], Any]

INTEGER_MIN: Final = -(1 << 63)
INTEGER_MAX: Final = (1 << 63) - 1
PLAIN: Final = frozenset({int, str, float, bytes, bool, type(None)})
_UINT64: Final = b"\xcf"
"""The byte that begins a msgpack integer above INTEGER_MAX (it may stand for other things too)."""

PARSE_DECLTYPES: Final = 1
"""Convert by the first word of the type that a column was declared with."""
PARSE_COLNAMES: Final = 2
"""Convert by the type in a column's alias: `AS "born [date]"`."""


class PrepareProtocol:
    """What a `__conform__` method is asked for, as in sqlite3."""


_adapters: dict[type, Adapter] = {}
_converters: dict[str, Converter] = {}


def register_adapter(kind: type[T], adapter: Callable[[T], Any], /) -> None:
    """Use `adapter` for parameters of exactly this type."""
    _adapters[kind] = adapter


def register_converter(name: str, converter: Converter, /) -> None:
    """Use `converter` for columns of this declared type; it is given the value's bytes."""
    _converters[name.upper()] = converter


def converter_of(name: str) -> Converter | None:
    """The converter registered for a type's name."""
    return _converters.get(name.upper())


def parameters(given: Parameters | None) -> Packed | None:
    """Check a statement's parameters and adapt what SQLite can't hold as it is."""
    if type(given) is tuple or type(given) is list:
        for value in given:
            if type(value) not in PLAIN or (
                type(value) is int and not INTEGER_MIN <= value <= INTEGER_MAX
            ):
                return [_value(name, value) for name, value in enumerate(given, 1)]
        return given
    if given is None:
        return None
    if isinstance(given, Mapping):
        return {_name(name): _value(name, value) for name, value in given.items()}
    if isinstance(given, (str, bytes, bytearray)) or not isinstance(given, Iterable):
        raise ProgrammingError(
            f"parameters are given as a tuple, a list or a mapping, not as {kind_of(given)}; "
            "for a single value write (value,)"
        )
    if not (hasattr(given, "__len__") and hasattr(given, "__getitem__")):
        raise ProgrammingError(
            f"parameters are given as a tuple, a list or a mapping, not as {kind_of(given)}"
        )
    return [_value(name, value) for name, value in enumerate(given, 1)]


def rows(given: list[Any], first: int = 0) -> list[Any]:
    """The same for many rows at once, quickly where all of them are plain.

    `first` is the number of the first of them, for errors.
    """
    kinds = set(map(type, given))
    if kinds <= {tuple, list} and PLAIN.issuperset(map(type, chain.from_iterable(given))):
        return given
    return _one_by_one(given, first)


def _one_by_one(given: list[Any], first: int) -> list[Any]:
    checked = []
    for number, row in enumerate(given, first):
        try:
            checked.append(parameters(row))
        except (DataError, ProgrammingError) as error:
            raise type(error)(f"row {number}: {error}") from error
    return checked


_encode: Final = msgspec.msgpack.Encoder().encode


def pack(sql: str, packed: Any, *, suspect: bool = False, first: int = 0) -> bytes:
    """The body of a request. `suspect`: rows, whose integers have not been looked at one by one."""
    try:
        body = _encode((sql, packed))
    except UnicodeEncodeError as error:
        raise DataError(
            f"a text holds a lone surrogate ({error.object[error.start]!r}) and so is no Unicode; "
            "pass bytes, or decode it with errors='replace'"
        ) from error
    except OverflowError as error:
        if suspect:
            _one_by_one(packed, first)
        raise DataError(f"an integer does not fit into SQLite's 64 bits: {error}") from error
    if suspect and _UINT64 in body:
        _one_by_one(packed, first)
    return body


def _value(name: int | str, value: Any) -> Value:
    kind = type(value)
    if kind in PLAIN:
        if kind is int and not INTEGER_MIN <= value <= INTEGER_MAX:
            raise DataError(
                f"parameter {name}: {value} does not fit into SQLite's 64-bit integer; "
                "pass it as text or as a float"
            )
        return value
    adapter = _adapters.get(kind)
    if adapter is not None:
        return _adapted(name, adapter(value))
    conform = getattr(value, "__conform__", None)
    if conform is not None:
        adapted = conform(PrepareProtocol)
        if adapted is not None:
            return _adapted(name, adapted)
    return _adapted(name, _plain(name, value))


def _adapted(name: int | str, value: Any) -> Value:
    return _value(name, value) if type(value) in PLAIN else _plain(name, value)


def _plain(name: int | str, value: Any) -> Value:
    """A subclass's value as the kind that it extends."""
    for kind in (bool, int, float, str, bytes):
        if isinstance(value, kind):
            return _value(name, kind.__call__(value) if kind is not str else str.__str__(value))
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    raise ProgrammingError(
        f"parameter {name}: {kind_of(value)} is no value of SQL; pass an int, float, str, bytes or "
        "None, or register an adapter for the type (raftsql.register_adapter)"
    )


def _name(name: Any) -> str:
    if type(name) is not str:
        raise ProgrammingError(f"a parameter's name is a str, not {kind_of(name)}")
    return name


def as_bytes(value: Value) -> bytes:
    """What a converter is given: the value as sqlite3 would hand it on."""
    if type(value) is bytes:
        return value
    return (value if type(value) is str else repr(value)).encode()


def _date(value: bytes) -> datetime.date:
    return datetime.date.fromisoformat(value.decode())


def _timestamp(value: bytes) -> datetime.datetime:
    return datetime.datetime.fromisoformat(value.decode())


register_adapter(datetime.date, datetime.date.isoformat)
register_adapter(datetime.datetime, lambda value: value.isoformat(" "))
register_adapter(datetime.time, datetime.time.isoformat)
register_adapter(decimal.Decimal, str)
register_adapter(uuid.UUID, str)
register_converter("date", _date)
register_converter("timestamp", _timestamp)
