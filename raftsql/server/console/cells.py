"""Values of the database as JSON that a browser can hold: exact, or cut and saying so.

What JavaScript's numbers can't hold exactly travels as text, in an object that says what it is.
Long texts and blobs are cut, with their length beside them. The same objects are taken as
parameters.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from raftsql.server.console.problems import Problem

EXACT: Final = 1 << 53
"""Integers up to here are the same in a browser."""
TEXT_MAX: Final = 4096
"""Characters of a text that are shown."""
BLOB_MAX: Final = 256
"""Bytes of a blob that are shown."""
NAME_MAX: Final = 1024
"""Characters of a column's name: without AS it is the expression's whole text."""
CHUNK_BYTES: Final = 128 << 10
"""A chunk is closed when it is about so long: encoding it takes the loop a millisecond."""
CHUNK_CELLS: Final = 4096
CHUNK_ROWS: Final = 256
ROW_BYTES_MAX: Final = 256 << 10
"""A row of many long texts shows less of each."""

encode: Final = msgspec.json.Encoder().encode


def line(what: dict[str, Any]) -> bytes:
    """One line of a stream of JSON objects."""
    return encode(what) + b"\n"


def name(text: str) -> str:
    """A column's name, or what is seen of it."""
    return text if len(text) <= NAME_MAX else f"{text[:NAME_MAX]}…"


def cell(value: Any, text_max: int = TEXT_MAX) -> Any:
    """A value as the page gets it."""
    kind = type(value)
    if kind is str:
        return value if len(value) <= text_max else {"text": value[:text_max], "length": len(value)}
    if kind is int:
        return value if -EXACT <= value <= EXACT else {"int": str(value)}
    if kind is float:
        exact = math.isfinite(value) and not value.is_integer()
        return value if exact else {"real": _name_of(value)}
    if kind is bytes:
        return {"blob": base64.b64encode(value[:BLOB_MAX]).decode(), "length": len(value)}
    return value


def _name_of(value: float) -> str:
    """A browser would take 8.0 for the integer 8, and JSON has neither infinity nor NaN."""
    return repr(value)


def row(values: Sequence[Any]) -> tuple[list[Any], int]:
    """A row as the page gets it, and about how long it is."""
    text_max = TEXT_MAX if len(values) <= 64 else max(64, ROW_BYTES_MAX // len(values))
    cells = [cell(value, text_max) for value in values]
    size = 8 * len(cells)
    for one in cells:
        if type(one) is str:
            size += len(one)
        elif type(one) is dict:
            size += len(one.get("text") or one.get("blob") or "")
    return cells, size


def chunks(rows: Sequence[Sequence[Any]]) -> Iterator[bytes]:
    """Rows as lines of JSON, each of a bounded length. Take the next only after a rest."""
    waiting: list[list[Any]] = []
    size = cells = 0
    for values in rows:
        shown, length = row(values)
        waiting.append(shown)
        size += length
        cells += len(shown)
        if size >= CHUNK_BYTES or cells >= CHUNK_CELLS or len(waiting) >= CHUNK_ROWS:
            yield line({"rows": waiting})
            waiting, size, cells = [], 0, 0
    if waiting:
        yield line({"rows": waiting})


Given = list[Any] | dict[str, Any] | None


def parameters(given: Given) -> Given:
    """What a page sends as parameters, as values of the database."""
    if isinstance(given, dict):
        return {key: _value(value) for key, value in given.items()}
    return None if given is None else [_value(value) for value in given]


def _value(given: Any) -> Any:
    match given:
        case None | int() | float() | str():
            return int(given) if isinstance(given, bool) else given
        case {"int": str() as text}:
            return _number(int, text)
        case {"real": str() as text}:
            return _number(float, text)
        case {"text": str() as text}:
            return text
        case {"blob": str() as text}:
            return _blob(text)
        case _:
            raise Problem(400, "bad_request", "a parameter is a number, a text, a blob or null")


def _number(kind: type[int] | type[float], text: str) -> int | float:
    try:
        if len(text) > 40:
            raise ValueError
        return kind(text)
    except ValueError:
        raise Problem(400, "bad_request", f"{text[:40]!r} is no number") from None


def _blob(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Problem(400, "bad_request", "a blob is sent as base64") from None
