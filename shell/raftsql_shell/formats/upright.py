"""Rows on end: a line for each value. For rows that are too wide, and for reading one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from raftsql_shell.formats import cells
from raftsql_shell.look import Batches, Look


def vertical(columns: Sequence[str], batches: Batches, look: Look) -> Iterator[str]:
    """Each row under its number."""
    width = max(map(cells.width_of, columns), default=0)
    number = 0
    for batch in batches:
        pieces = []
        for row in batch:
            number += 1
            pieces.append(_headline(number, look.screen))
            pieces.extend(_values(columns, row, look, width, ": "))
        yield "".join(pieces)


def line(columns: Sequence[str], batches: Batches, look: Look) -> Iterator[str]:
    """Rows apart by an empty line, as in the sqlite3 shell."""
    width = max([5, *map(cells.width_of, columns)])
    first = True
    for batch in batches:
        pieces = []
        for row in batch:
            pieces.append("" if first else "\n")
            pieces.extend(_values(columns, row, look, width, " = "))
            first = False
        yield "".join(pieces)


def _headline(number: int, screen: int) -> str:
    stars = "*" * min(27, max(1, (screen - len(str(number)) - 6) // 2) if screen else 27)
    return f"{stars} {number}. row {stars}\n"


def _values(
    columns: Sequence[str], row: Sequence[object], look: Look, width: int, sign: str
) -> Iterator[str]:
    null = "NULL" if look.null is None else look.null
    for number, (name, value) in enumerate(zip(columns, row, strict=True)):
        text = cells.cut(cells.lines_of(value, null), look.width(number))
        shown = cells.text_of(name, "")
        head = " " * (width - cells.width_of(shown)) + shown + sign if look.headers else ""
        yield head + text.replace("\n", "\n" + " " * cells.width_of(head)) + "\n"
