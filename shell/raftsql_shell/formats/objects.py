"""json and jsonl: an object for each row, the columns in their order.

Columns of one name are numbered (`a`, `a_2`), blobs are strings of hexadecimal digits, and an
infinity is 9.0e999, which is JSON and is read back as an infinity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from raftsql_shell.look import Batches, Look, Row

_INFINITY: Final = float("inf")
_RAW_INFINITY: Final = {_INFINITY: msgspec.Raw(b"9.0e999"), -_INFINITY: msgspec.Raw(b"-9.0e999")}
_PLAIN: Final = {int, float, str, type(None)}


def json(columns: Sequence[str], batches: Batches, look: Look) -> Iterator[str]:
    """One array; each object on a line of its own."""
    start = "["
    encoded = _encoder(columns)
    for batch in batches:
        # A newline inside of a text is escaped: all that are here end an object.
        yield start + encoded(batch)[:-1].replace("\n", ",\n")
        start = ",\n"
    yield "[]\n" if start == "[" else "]\n"


def jsonl(columns: Sequence[str], batches: Batches, look: Look) -> Iterator[str]:
    """An object a line, and nothing around them."""
    return map(_encoder(columns), batches)


def _encoder(columns: Sequence[str]) -> Callable[[list[Row]], str]:
    """Makes lines of a batch. A class with the columns' names is encoded quicker than dicts."""
    fields = [f"f{number}" for number in range(len(columns))]
    names = dict(zip(fields, unique(columns), strict=True))
    make = msgspec.defstruct("Row", fields, rename=names)
    encode_lines = msgspec.json.Encoder().encode_lines

    def encoded(batch: list[Row]) -> str:
        plain = all(map(_is_plain, zip(*batch, strict=True)))
        rows = batch if plain else [tuple(map(_value, row)) for row in batch]
        return encode_lines([make(*row) for row in rows]).decode()

    return encoded


def _is_plain(column: Sequence[Any]) -> bool:
    kinds = set(map(type, column))
    if float in kinds and (_INFINITY in column or -_INFINITY in column):
        return False
    return kinds <= _PLAIN


def _value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return _RAW_INFINITY.get(value, value)
    return value


def unique(columns: Sequence[str]) -> list[str]:
    """The names, with a number where one comes again: an object can't have it twice."""
    names: list[str] = []
    for column in columns:
        name, number = column, 2
        while name in names:
            name, number = f"{column}_{number}", number + 1
        names.append(name)
    return names
