r"""csv and tsv: for programs.

In csv a NULL is an empty field and an empty text is `""`, so that they can be told apart; lines end
with a newline alone; a blob is written as its hexadecimal digits; numbers look as they do in JSON.

Most batches hold nothing that needs a quote. Those are packed by the JSON encoder, whose brackets
and quotes are then taken away: a tenth of the time that any loop over values in Python takes. The
others go through that loop.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from raftsql_shell.formats import cells
from raftsql_shell.look import Batches, Look, Row

_PLAIN: Final = {int, float, str}
_INFINITY: Final = float("inf")
_SPECIAL: Final = re.compile(r'[",\\\x00-\x1f\x7f]')
"""What JSON escapes, and what separates or quotes fields."""
_QUOTED: Final = re.compile(r'[",\r\n]')
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_EMPTY_LINE: Final = '""'
"""An only column that is NULL: many readers, ours too, would take an empty line for no row."""
_encode: Final = msgspec.json.Encoder().encode
_encode_lines: Final = msgspec.json.Encoder().encode_lines


def csv(columns: Sequence[str], batches: Batches, look: Look) -> Iterator[str]:
    """Comma-separated values as RFC 4180 has them."""
    null = look.null or ""
    if look.headers:
        yield ",".join(_field(name, null) for name in columns) + "\n"
    for batch in batches:
        text = None if null or len(columns) == 1 else _unquoted(batch, "")
        if text is None:
            lines = [",".join([_field(value, null) for value in row]) for row in batch]
            text = "".join([f"{line or _EMPTY_LINE}\n" for line in lines])
        yield text


def tsv(columns: Sequence[str], batches: Batches, look: Look) -> Iterator[str]:
    r"""Tab-separated values: no quotes, one row a line whatever is in it; NULL is \N."""
    null = "\\N" if look.null is None else look.null
    if look.headers:
        yield "\t".join(name.translate(_ESCAPES) for name in columns) + "\n"
    for batch in batches:
        text = _unquoted(batch, None)
        if text is None:
            yield "".join(["\t".join([_cell(v, null) for v in row]) + "\n" for row in batch])
        else:
            yield text.replace(",", "\t")


def _unquoted(batch: list[Row], null: str | None) -> str | None:
    """The rows with commas between their values; None when some value needs more than that.

    `null` stands for NULL; without it, a NULL needs more.
    """
    columns: list[Sequence[Any]] = list(zip(*batch, strict=True))
    nulls = False
    for number, column in enumerate(columns):
        values, kinds = column, set(map(type, column))
        if type(None) in kinds and null is not None:
            nulls = True
            kinds.discard(type(None))
            values = [value for value in column if value is not None]
            columns[number] = [null if value is None else value for value in column]
        if not _needs_nothing(values, kinds):
            return None
    rows = list(zip(*columns, strict=True)) if nulls else batch
    lines = _encode_lines(rows).decode().replace('"', "")
    return lines[1:-2].replace("]\n[", "\n") + "\n"


def _needs_nothing(column: Sequence[Any], kinds: set[type]) -> bool:
    """Whether all values of a column are the same in JSON and here, but for JSON's quotes."""
    if not kinds <= _PLAIN:
        return False
    if str in kinds:
        texts = column if len(kinds) == 1 else [each for each in column if type(each) is str]
        if "" in column or _SPECIAL.search("".join(texts)):
            return False
    return float not in kinds or not (_INFINITY in column or -_INFINITY in column)


def _field(value: Any, null: str) -> str:
    if value is None:
        return null
    if not isinstance(value, str):
        return _other(value)
    if not value or _QUOTED.search(value) or (null and value == null):
        return '"' + value.replace('"', '""') + '"'
    return value


def _cell(value: Any, null: str) -> str:
    if value is None:
        return null
    return value.translate(_ESCAPES) if isinstance(value, str) else _other(value)


def _other(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and value in (_INFINITY, -_INFINITY):
        return cells.number(value)
    return _encode(value).decode()
