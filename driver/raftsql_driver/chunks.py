"""Cuts the rows of `executemany` into commands: large enough to be quick, small enough to share."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from raftsql_driver import convert

CHUNK_ROWS_MAX: Final = 10_000
"""Rows of `executemany` in one command: bounds how long others wait for it."""
CHUNK_BYTES_MAX: Final = 1 << 20
"""Their size: a command is one entry of the log, and one message."""
FIRST_CHUNK_ROWS: Final = 500
"""So many rows tell how large the others may be."""


def chunks(sql: str, rows: Iterator[Any]) -> Iterator[tuple[int, bytes]]:
    """Bodies for many rows, each under the bounds, with the number of its first row; the first body
    tells how many rows fit."""
    number, before = FIRST_CHUNK_ROWS, 0
    while taken := list(islice(rows, number)):
        checked = convert.rows(taken, before)
        bodies = list(_halved(sql, checked, before))
        before += len(taken)
        size_bytes = max(1, sum(len(body) for _, body in bodies) // len(taken))
        number = max(1, min(CHUNK_ROWS_MAX, CHUNK_BYTES_MAX * 9 // 10 // size_bytes))
        yield from bodies


def _halved(sql: str, rows: list[Any], first: int) -> Iterator[tuple[int, bytes]]:
    body = convert.pack(sql, rows, suspect=True, first=first)
    if len(body) <= CHUNK_BYTES_MAX or len(rows) == 1:
        yield first, body
        return
    middle = len(rows) // 2
    yield from _halved(sql, rows[:middle], first)
    yield from _halved(sql, rows[middle:], first + middle)
