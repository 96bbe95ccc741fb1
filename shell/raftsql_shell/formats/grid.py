"""Tables: box, table, column and markdown.

The first rows decide how wide the columns are; a longer value that comes later pushes its line out
of the grid rather than being lost. Work is done a column at a time, because that is what makes ten
thousand rows a matter of milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from raftsql_shell.formats import cells, upright
from raftsql_shell.look import Batches, Look, Row

SAMPLE_ROWS: Final = 10_000
"""So many rows are looked at before the first is written: bounds both memory and surprise."""


@dataclass(frozen=True, slots=True)
class Border:
    """The signs around cells. A rule is its left end, its line, its crossing and its right end."""

    left: str
    between: str
    right: str
    top: tuple[str, str, str, str] | None
    middle: tuple[str, str, str, str] | None
    bottom: tuple[str, str, str, str] | None


BOX: Final = Border(
    "│ ", " │ ", " │", ("┌─", "─", "─┬─", "─┐"), ("├─", "─", "─┼─", "─┤"), ("└─", "─", "─┴─", "─┘")
)
TABLE: Final = Border(
    "| ", " | ", " |", ("+-", "-", "-+-", "-+"), ("+-", "-", "-+-", "-+"), ("+-", "-", "-+-", "-+")
)
COLUMN: Final = Border("", "  ", "", None, ("", "-", "  ", ""), None)
MARKDOWN: Final = Border("| ", " | ", " |", None, ("|-", "-", "-|-", "-|"), None)


def box(columns: Sequence[str], batches: Batches, look: Look) -> Iterator[str]:
    """A table with lines between the columns."""
    return _grid(columns, batches, look, BOX)


def table(columns: Sequence[str], batches: Batches, look: Look) -> Iterator[str]:
    """A table in ASCII."""
    return _grid(columns, batches, look, TABLE)


def column(columns: Sequence[str], batches: Batches, look: Look) -> Iterator[str]:
    """Columns under their names."""
    return _grid(columns, batches, look, COLUMN)


def markdown(columns: Sequence[str], batches: Batches, look: Look) -> Iterator[str]:
    """A table for Markdown, which has no way to leave the header out."""
    escaped = ([tuple(map(_escaped, row)) for row in batch] for batch in batches)
    upright_is_none = Look(null=look.null, widths=look.widths)
    return _grid([name.replace("|", "\\|") for name in columns], escaped, upright_is_none, MARKDOWN)


def _escaped(value: object) -> object:
    return value.replace("|", "\\|") if isinstance(value, str) else value


def _grid(columns: Sequence[str], batches: Batches, look: Look, border: Border) -> Iterator[str]:
    sample = _sample(batches)
    null = "NULL" if look.null is None else look.null
    names = [cells.cut(cells.text_of(name, ""), look.width(k)) for k, name in enumerate(columns)]
    shown = _columns(sample, len(columns), null, look)
    name_widths = [cells.width_of(name) if look.headers else 0 for name in names]
    widths = [
        max(width, 1, max(cells.widths_of(column), default=0))
        for width, column in zip(name_widths, shown, strict=True)
    ]
    total = sum(widths) + len(border.between) * (len(widths) - 1)
    if look.screen and total + len(border.left) + len(border.right) > look.screen:
        yield from upright.vertical(columns, chain([sample], batches), look)
        return
    right = [_is_number(sample, k) for k in range(len(columns))]
    yield _rule(border.top, widths)
    if look.headers:
        yield _lines([[name] for name in names], widths, right, border)
        yield _rule(border.middle, widths)
    if sample:
        yield _lines(shown, widths, right, border)
    for batch in batches:
        yield _lines(_columns(batch, len(columns), null, look), widths, right, border)
    yield _rule(border.bottom, widths)


def _sample(batches: Batches) -> list[Row]:
    rows: list[Row] = []
    for batch in batches:
        rows += batch
        if len(rows) >= SAMPLE_ROWS:
            break
    return rows


def _columns(rows: list[Row], count: int, null: str, look: Look) -> list[list[str]]:
    if not rows:
        return [[] for _ in range(count)]
    shown = [cells.texts(column, null) for column in zip(*rows, strict=True)]
    if look.widths:
        shown = [
            [cells.cut(text, look.width(number)) for text in column]
            for number, column in enumerate(shown)
        ]
    return shown


def _is_number(rows: list[Row], number: int) -> bool:
    kinds = {type(row[number]) for row in rows} - {type(None)}
    return bool(kinds) and kinds <= {int, float}


def _rule(signs: tuple[str, str, str, str] | None, widths: list[int]) -> str:
    if signs is None:
        return ""
    left, line, cross, right = signs
    return left + cross.join(line * width for width in widths) + right + "\n"


def _lines(shown: list[list[str]], widths: list[int], right: list[bool], border: Border) -> str:
    padded = [
        _padded(column, width, to_the_right=number)
        for column, width, number in zip(shown, widths, right, strict=True)
    ]
    end = f"{border.right}\n{border.left}"
    lines = map(border.between.join, zip(*padded, strict=True))
    if not border.right:
        return "".join(line.rstrip() + "\n" for line in lines)
    return border.left + end.join(lines) + border.right + "\n"


def _padded(column: list[str], width: int, *, to_the_right: bool) -> list[str]:
    if "".join(column).isascii():
        if to_the_right:
            return [text.rjust(width) for text in column]
        return [text.ljust(width) for text in column]
    blanks = [" " * (width - cells.width_of(text)) for text in column]
    if to_the_right:
        return [blank + text for text, blank in zip(column, blanks, strict=True)]
    return [text + blank for text, blank in zip(column, blanks, strict=True)]
