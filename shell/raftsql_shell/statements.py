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
_BLANK: Final = re.compile(r"(?:\s|;|--[^\n]*|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)*\Z")
_CLOSERS: Final = {"'": "'", '"': '"', "`": "`", "[": "]", "/*": "*/"}
"""What ends a quote or a comment that the end of its line does not."""


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
    """Is fed lines, and gives statements and commands when they are complete.

    Each line is looked at once, however long the statement or the text that it is a part of.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        """Of the statement that is begun and not ended."""
        self._length = 0
        """Their characters."""
        self._line = 1
        """The line on which it begins."""
        self._closer = ""
        """What ends the quote or comment that is open; empty outside of them."""
        self._opened_at = 0
        """Where that begins in the statement."""

    @property
    def pending(self) -> bool:
        """Whether a statement is begun and not ended."""
        return bool(self._lines)

    def feed(self, text: str) -> Iterator[Statement | Command]:
        """Take a text of whole lines."""
        for line in text.splitlines(keepends=True) if "\n" in text else [text]:
            if not self._lines and line.lstrip().startswith("."):
                number, self._line = self._line, self._line + line.count("\n")
                yield Command(line.strip(), number)
                continue
            if "\0" in line:
                number = self._line + "".join(self._lines).count("\n")
                raise BadText(f"a NUL character on line {number}: this is no SQL")
            yield from self._take(line)

    def finish(self) -> Statement | None:
        """The end: what is left, which the last semicolon may be missing of."""
        text, at, line, closer = "".join(self._lines), self._opened_at, self._line, self._closer
        self._lines, self._length, self._closer = [], 0, ""
        if closer == "*/":  # SQLite takes the end of the text for the end of the comment.
            text = text[:at]
        elif closer:
            opened = line + text.count("\n", 0, at)
            raise BadText(f"the {text[at]} on line {opened} is never closed")
        return None if _BLANK.match(text) else _statement(text, line)

    def _take(self, line: str) -> Iterator[Statement]:
        start = at = 0  # What is cut off of the line, and what was looked at.
        commented = False
        while True:
            if self._closer:
                closed = line.find(self._closer, at)
                if closed < 0:
                    break
                at, commented = closed + len(self._closer), self._closer == "*/"
                self._closer = ""
            token = _TOKEN.search(line, at)
            if token is None:
                break
            at = token.end()
            if token[0] in _CLOSERS:
                self._closer = _CLOSERS[token[0]]
                self._opened_at = self._length + token.start() - start
            elif (found := self._ended(line[start:at], token[0])) is not None:
                yield from found
                start = at
        self._keep(line[start:], commented=commented)

    def _ended(self, rest: str, sign: str) -> list[Statement] | None:
        """What a sign ends together with the lines before: a statement, or nothing but blanks; None
        when it does not end it."""
        upright = sign[0] == "\\"
        if not upright and sign != ";":
            return None
        text = "".join([*self._lines, rest])
        body = text[: len(text) - len(sign)] if upright else text
        is_blank = _BLANK.match(body)
        if is_blank if upright else not _is_whole(text):
            return None
        statements = [] if is_blank else [_statement(body, self._line, upright=upright)]
        self._line += text.count("\n")
        self._lines, self._length = [], 0
        return statements

    def _keep(self, rest: str, *, commented: bool) -> None:
        """Keep what is left of a line, unless there is nothing in it."""
        if not self._closer and (commented or not self._lines):
            text = "".join([*self._lines, rest])
            if _BLANK.match(text):
                self._line += text.count("\n")
                self._lines, self._length = [], 0
                return
        self._lines.append(rest)
        self._length += len(rest)


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
