"""The answer to "may this enter the log?": pure, pinned or refused, and the words for it."""

from __future__ import annotations

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
