r"""csv and tsv: for programs.

In csv a NULL is an empty field and an empty text is `""`, so that they can be told apart; lines end
with a newline alone; a blob is written as its hexadecimal digits. The standard library's writer
does the rows that need none of this, which are most, at the speed of C.
"""

from __future__ import annotations

import csv as csv_module
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import Any, Final

from raftsql_shell.formats import cells
from raftsql_shell.look import Batches, Look, Row

_PLAIN: Final = {int, str, float, type(None)}
_INFINITY: Final = float("inf")
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def csv(columns: Sequence[str], batches: Batches, look: Look) -> Iterator[str]:
    """Comma-separated values as RFC 4180 has them."""
    null = look.null or ""
    if look.headers:
        yield ",".join(_field(name, null) for name in columns) + "\n"
    buffer = StringIO()
    write_rows = csv_module.writer(buffer, lineterminator="\n").writerows
    for batch in batches:
        if null or not _plain(batch):
            yield "".join([",".join([_field(v, null) for v in row]) + "\n" for row in batch])
            continue
        write_rows(batch)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _plain(batch: list[Row]) -> bool:
    """Whether the standard writer says what we mean of all these rows."""
    for column in zip(*batch, strict=True):
        kinds = set(map(type, column))
        if not kinds <= _PLAIN:
            return False
        if str in kinds and "" in column:
            return False
        if float in kinds and (_INFINITY in column or -_INFINITY in column):
            return False
    return len(batch[0]) > 1 if batch else True


def _field(value: Any, null: str) -> str:
    if value is None:
        return null
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return cells.number(value)
    text = str(value)
    if not text or any(sign in text for sign in ',"\n\r') or (null and text == null):
        return '"' + text.replace('"', '""') + '"'
    return text


def tsv(columns: Sequence[str], batches: Batches, look: Look) -> Iterator[str]:
    r"""Tab-separated values: no quotes, one row a line whatever is in it; NULL is \N."""
    null = "\\N" if look.null is None else look.null
    if look.headers:
        yield "\t".join(name.translate(_ESCAPES) for name in columns) + "\n"
    for batch in batches:
        yield "".join(["\t".join([_cell(value, null) for value in row]) + "\n" for row in batch])


def _cell(value: Any, null: str) -> str:
    if value is None:
        return null
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, bytes):
        return value.hex()
    return cells.number(value) if isinstance(value, float) else str(value)
