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
_PLAIN: Final = {int, str, type(None)}


def json(columns: Sequence[str], batches: Batches, look: Look) -> Iterator[str]:
    """One array; each object on a line of its own."""
    start = "["
    encode = _encoder(columns)
    for batch in batches:
        if batch:
            yield start + ",\n".join(encode(batch))
            start = ",\n"
    yield "[]\n" if start == "[" else "]\n"


def jsonl(columns: Sequence[str], batches: Batches, look: Look) -> Iterator[str]:
    """An object a line, and nothing around them."""
    encode = _encoder(columns)
    for batch in batches:
        yield "".join([text + "\n" for text in encode(batch)])


def _encoder(columns: Sequence[str]) -> Callable[[list[Row]], list[str]]:
    names = unique(columns)
    encode = msgspec.json.Encoder().encode

    def encoded(batch: list[Row]) -> list[str]:
        plain = all(set(map(type, column)) <= _PLAIN for column in zip(*batch, strict=True))
        rows = batch if plain else [tuple(map(_value, row)) for row in batch]
        return [encode(dict(zip(names, row, strict=True))).decode() for row in rows]

    return encoded


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
