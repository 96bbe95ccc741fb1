"""What a span says of a statement: a few words, and the text without the values that stand in it.

Parameters never come here. A value that is written into the text is as private as one, so numbers,
strings and blobs become `?` unless the program asked for the text as it is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from raftsql_driver.statements import look_at

TEXT_MAX: Final = 4_000
"""Characters of a statement that are looked at: a span is no place for more."""
TARGETS_MAX: Final = 3
"""Tables that a summary names."""

_TOKEN: Final = re.compile(
    r"""
    (?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<value>[xX]?'(?:[^']|'')*(?:'|\Z))
    |(?P<name>"(?:[^"]|"")*(?:"|\Z)|`(?:[^`]|``)*(?:`|\Z)|\[[^\]]*(?:\]|\Z)|[?:@$]?[^\W\d]\w*|\?\d+)
    |(?P<number>0[xX][0-9a-fA-F_]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?)
    """,
    re.DOTALL | re.VERBOSE,
)
_TARGET: Final = re.compile(
    r"""\b(?:(?<!DISTINCT\ )FROM|JOIN|INTO|UPDATE(?:\ OR\ \w+)?|TABLE|VIEW|INDEX|TRIGGER)
    \s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?
    (?!(?:SET|SELECT|VALUES|OR|IF|OF|ON)\b)
    ("(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|[^\W\d]\w*)""",
    re.IGNORECASE | re.VERBOSE,
)


class Caption(NamedTuple):
    """A statement, as it may be shown."""

    operation: str
    """SELECT, INSERT and the like."""
    targets: tuple[str, ...]
    """The tables and other things it names first."""
    masked: str
    """Its text, with `?` in the place of every value."""

    @property
    def summary(self) -> str:
        """A name for all statements of this kind."""
        return " ".join((self.operation, *self.targets)) or "SQL"


def caption(sql: str) -> Caption:
    """Look at a statement, or at as much of a long one as a span could show."""
    return _of_shown(shortened(sql))


@lru_cache(maxsize=2048)
def _of_shown(text: str) -> Caption:
    """Kept by what is shown: whole texts, values and all, would fill any memory."""
    masked = _TOKEN.sub(_without_values, text).strip()
    found = (match[1] for match in _TARGET.finditer(masked))
    targets = tuple(dict.fromkeys(found))[:TARGETS_MAX]
    keyword = look_at(text).keyword if len(text) <= TEXT_MAX else masked.partition(" ")[0].upper()
    return Caption(keyword, targets, masked)


def shortened(sql: str) -> str:
    """As much of a text as a span shows."""
    return sql if len(sql) <= TEXT_MAX else sql[:TEXT_MAX] + "…"


def _without_values(match: re.Match[str]) -> str:
    if match["name"]:
        return match[0]
    return " " if match["comment"] else "?"
