"""A value as text for people: one line, no control characters, as wide as it looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

_PICTURES: Final = {
    **{code: 0x2400 + code for code in range(32)},
    0x7F: 0x2421,
    **dict.fromkeys(range(128, 160), 65533),
    **dict.fromkeys((8232, 8233, *range(8234, 8239), *range(8294, 8298)), 65533),
}
"""Control characters move the cursor, and some of them program the terminal: show their pictures.

The same for marks that turn the direction of writing: they would put a row's cells in disorder.
"""
_MANY_LINES: Final = {code: point for code, point in _PICTURES.items() if code not in (9, 10)}


def text_of(value: Any, null: str) -> str:
    """A value on one line."""
    if value is None:
        return null
    if isinstance(value, str):
        return value if value.isascii() and value.isprintable() else value.translate(_PICTURES)
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, float):
        return number(value)
    return str(value)


def lines_of(value: Any, null: str) -> str:
    """A value with its newlines, and without other control characters."""
    if isinstance(value, str):
        return value.translate(_MANY_LINES)
    return text_of(value, null)


def number(value: float) -> str:
    """A float the way SQLite names it: infinities are Inf and -Inf."""
    text = repr(value)
    return text.replace("inf", "Inf") if "inf" in text else text


def texts(values: Sequence[Any], null: str) -> list[str]:
    """A whole column as text; columns of one plain kind take a short way."""
    kinds = set(map(type, values))
    if kinds == {int}:
        return list(map(str, values))
    if kinds == {str}:
        joined = "".join(values)
        if joined.isascii() and joined.isprintable():
            return list(values)
    return [text_of(value, null) for value in values]


def width_of(text: str) -> int:
    """How many cells of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth

    width: int = wcswidth(text)
    return width if width >= 0 else len(text)


def widths_of(column: Sequence[str]) -> list[int]:
    """The width of each text of a column."""
    if "".join(column).isascii():
        return list(map(len, column))
    return [width_of(text) for text in column]


def cut(text: str, width: int) -> str:
    """The text, shortened with an ellipsis where it is wider than allowed; 0 allows all."""
    if not width or width_of(text) <= width:
        return text
    if text.isascii():
        return text[: width - 1] + "…"
    taken, used = [], 0
    for letter in text:
        used += max(0, width_of(letter))
        if used > width - 1:
            break
        taken.append(letter)
    return "".join(taken) + "…"
