"""The answer to "may this enter the log?": pure, pinned or refused, and the words for it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Mode(Enum):
    """How strict a cluster is with what depends on clock, chance and order."""

    PINNED = "pinned"
    """Clock and chance travel with the command: SQL keeps its meaning, replicas stay identical."""
    STRICT = "strict"
    """What needs pinning is refused, and so is a LIMIT whose rows no ORDER BY chooses."""


class Call(NamedTuple):
    """A place in a statement that reads the clock or draws from chance."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Pure:
    """The same rows on every node, whatever the environment."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """The same rows on every node in the command's pinned environment."""

    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """It may not run. All texts are parts of a sentence, without its full stop."""

    what: str
    """The statement's part, as the user wrote it or as SQL names it."""
    position: int
    """Offset in characters."""
    length: int
    why: str
    instead: str


Verdict = Pure | Pinned | Refused


def line_and_column(text: str, position: int) -> tuple[int, int]:
    """Where an offset stands for a human, both counted from 1."""
    line_start = text.rfind("\n", 0, position) + 1
    return text.count("\n", 0, position) + 1, position - line_start + 1


def sentence(text: str, refused: Refused) -> str:
    """Say a refusal in one or two plain sentences."""
    line, column = line_and_column(text, refused.position)
    return (
        f"{refused.what} at {line}:{column} is refused: {refused.why}. Instead, {refused.instead}."
    )


def caret(text: str, position: int, length: int = 1, *, width_max: int = 100) -> str:
    """Draw the line of an offset with a mark under the place, for a terminal."""
    position = min(max(position, 0), len(text))
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    end = len(text) if end < 0 else end
    first = max(start, position - width_max // 2)
    last = min(end, first + width_max)
    shown = _printable(text[first:last])
    before = _cells(_printable(text[first:position]))
    under = _cells(_printable(text[position : max(position, min(position + length, last))]))
    return f"{shown}\n{' ' * before}{'^' * max(1, under)}"


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _cells(text: str) -> int:
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
