"""Says what went wrong, with a mark under the place in the statement.

The cluster tells the place of what it refuses. For what SQLite refuses it does not; there a local
SQLite knows where the syntax breaks, and the names in the message are looked for in the text.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

WINDOW: Final = 76
"""So much of a long line is shown around the place."""

_NAMED: Final = re.compile(
    r"(?:no such (?:table|column|function|view|index|collation sequence)|ambiguous column name"
    r"|wrong number of arguments to function|misuse of aggregate|has no column named"
    r"|unknown database|no such table column)(?::)? (\S+)"
)
_SKIPPED: Final = r"""'[^']*'|--[^\n]*|/\*.*?\*/"""


class CommandError(Exception):
    """A command was given what it can't use. The message says what to give it."""


def described(message: str, sql: str, position: int, *, line: int = 0, name: str = "") -> str:
    """A message for people, with the statement's line and a mark where the place is known."""
    if position < 0:
        position = place_of(message, sql)
    place = ""
    if name:
        row = line + (sql.count("\n", 0, position) if position >= 0 else 0)
        place = f"{name}:{row}: "
    text = f"{place}error: {message}"
    if position >= 0:
        text += "\n" + indented(caret(sql, position))
    return text


def counted(number: int, noun: str) -> str:
    """So many of something, in words."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def folded(text: str, screen: int, hang: str = "  ") -> str:
    """Its first line, the message, broken between words where the screen ends."""
    import textwrap

    message, newline, rest = text.partition("\n")
    width = max(20, screen)
    lines = textwrap.fill(message, width, subsequent_indent=hang, break_on_hyphens=False)
    return lines + newline + rest


def indented(text: str) -> str:
    """Two cells in from the left."""
    return "\n".join("  " + line for line in text.split("\n"))


def place_of(message: str, sql: str) -> int:
    """Where in a statement SQLite's message points; -1 when it can't be told."""
    if "syntax error" in message or "unrecognized token" in message:
        return _local_place(sql)
    found = _NAMED.search(message)
    if found is None:
        return -1
    wanted = found[1].rstrip("():").strip("\"'")
    for name in (wanted, wanted.rpartition(".")[2]):
        for match in re.finditer(
            rf"{_SKIPPED}|(?<!\w)({re.escape(name)})(?!\w)", sql, re.DOTALL | re.IGNORECASE
        ):
            if match[1]:
                return match.start(1)
    return -1


def _local_place(sql: str) -> int:
    """What a SQLite of our own says to the same text: its syntax is the same everywhere."""
    import apsw

    before = "" if re.match(r"\s*EXPLAIN\b", sql, re.IGNORECASE) else "EXPLAIN "
    connection = apsw.Connection(":memory:")
    try:
        connection.execute(before + sql)
    except apsw.Error as error:
        offset = getattr(error, "error_offset", -1) - len(before)
        return len(sql.encode()[:offset].decode(errors="ignore")) if offset >= 0 else -1
    finally:
        connection.close()
    return -1


def caret(sql: str, position: int) -> str:
    """The line of a place, and a mark under the token there."""
    position = min(max(position, 0), len(sql))
    start = sql.rfind("\n", 0, position) + 1
    end = sql.find("\n", position)
    end = len(sql) if end < 0 else end
    first = max(start, position - WINDOW // 2)
    last = min(end, first + WINDOW)
    token = re.compile(r"\w+(?:\.\w+)?|.").match(sql, position, last)
    length = token.end() - position if token else 1
    under = "^" * max(1, _cells(sql[position : position + length]))
    return f"{_printable(sql[first:last])}\n{' ' * _cells(sql[first:position])}{under}"


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _cells(text: str) -> int:
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )
