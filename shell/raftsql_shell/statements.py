r"""Cuts what is typed, piped or read into statements and commands.

SQLite itself says where a statement ends; it is only asked at semicolons that are not inside of a
quote or a comment. A line that begins with a dot, where no statement is open, is a command. `\G`
ends a statement too, and asks for its rows upright.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"""'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/"""
    r"""|;|\\[Gg](?=\s|\Z)|['"`\[]|/\*""",
    re.DOTALL,
)
_BLANK: Final = re.compile(r"(?:\s|;|--[^\n]*|/\*.*?\*/)*\Z", re.DOTALL)
_OPENERS: Final = {"'", '"', "`", "[", "/*"}


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of SQL."""

    text: str
    line: int
    upright: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A line for the shell itself."""

    text: str
    line: int


class BadText(Exception):
    """What can't be cut into statements: it ends inside of a quote, or is no text at all."""


class Splitter:
    """Is fed lines, and gives statements and commands when they are complete."""

    def __init__(self) -> None:
        self._text = ""
        self._line = 1
        """The line on which the text begins."""
        self._at = 0
        """Up to here the text was looked at: all before it is outside of quotes."""

    @property
    def pending(self) -> bool:
        """Whether a statement is begun and not ended."""
        return bool(self._text)

    def feed(self, text: str) -> Iterator[Statement | Command]:
        """Take a text of whole lines."""
        for line in text.splitlines(keepends=True) if "\n" in text else [text]:
            if not self._text and line.lstrip().startswith("."):
                number, self._line = self._line, self._line + line.count("\n")
                yield Command(line.strip(), number)
                continue
            if "\0" in line:
                number = self._line + self._text.count("\n")
                raise BadText(f"a NUL character on line {number}: this is no SQL")
            self._text += line
            yield from self._complete()
            if self._at == len(self._text) and _BLANK.match(self._text):
                self._drop(len(self._text))

    def finish(self) -> Statement | None:
        """The end: what is left, which the last semicolon may be missing of."""
        text, at, line = self._text, self._at, self._line
        self._text, self._at = "", 0
        opener = text[at : at + 2] if text.startswith("/*", at) else text[at : at + 1]
        if opener in _OPENERS and opener != "/*":
            opened = line + text.count("\n", 0, at)
            raise BadText(f"the {opener} on line {opened} is never closed")
        if opener == "/*":  # SQLite takes the end of the text for the end of the comment.
            text = text[:at]
        return None if _BLANK.match(text) else _statement(text, line)

    def _complete(self) -> Iterator[Statement]:
        while token := _TOKEN.search(self._text, self._at):
            sign = token[0]
            if sign in _OPENERS:
                self._at = token.start()
                return
            self._at = token.end()
            if sign[0] == "\\" and not _BLANK.match(self._text[: token.start()]):
                yield _statement(self._text[: token.start()], self._line, upright=True)
            elif sign == ";" and _is_whole(self._text[: token.end()]):
                if not _BLANK.match(self._text[: token.end()]):
                    yield _statement(self._text[: token.end()], self._line)
            else:
                continue
            self._drop(token.end())
        self._at = len(self._text)

    def _drop(self, end: int) -> None:
        self._line += self._text.count("\n", 0, end)
        self._text, self._at = self._text[end:], 0


def _is_whole(text: str) -> bool:
    """SQLite's judgement; it is loaded when the first semicolon asks for it."""
    from sqlite3 import complete_statement

    return complete_statement(text)


def _statement(text: str, line: int, *, upright: bool = False) -> Statement:
    start = len(text) - len(text.lstrip())
    return Statement(text.strip(), line + text.count("\n", 0, start), upright)


def split(text: str) -> Iterator[Statement | Command]:
    """All statements and commands of a text; the last needs no semicolon."""
    splitter = Splitter()
    yield from splitter.feed(text)
    last = splitter.finish()
    if last is not None:
        yield last


def is_complete(text: str) -> bool:
    """Whether Enter should run what was typed, rather than begin another line."""
    splitter = Splitter()
    try:
        for _ in splitter.feed(text):
            pass
    except BadText:  # To run it is how to be told what is wrong.
        return True
    return not splitter.pending


NAMELESS: Final = "?"
_PARAMETER: Final = re.compile(
    r"""'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/"""
    r"""|(?<![\w])[:@$]([A-Za-z_]\w*)|(\?)\d*""",
    re.DOTALL,
)


def parameters(sql: str) -> list[str]:
    """The names of a statement's named parameters, without their signs; NAMELESS for others."""
    found = (match[1] or match[2] for match in _PARAMETER.finditer(sql))
    return list(dict.fromkeys(name for name in found if name))
