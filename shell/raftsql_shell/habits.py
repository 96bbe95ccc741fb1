"""What people type out of habit, coming from other shells, and what it is called here.

None of it is SQL that SQLite knows, and it is looked for at the prompt only: scripts stay strict.
"""

from __future__ import annotations

import re
from typing import Final

_HABITS: Final = (
    (r"(?:help|\?|\\[?h])", ".help"),
    (r"(?:quit|exit|bye|\\q)", ".quit"),
    (r"(?:show\s+tables|\\dt?)", ".tables"),
    (r"(?:show\s+views|\\dv)", ".views"),
    (r"(?:show\s+(?:indexes|index|indices|keys)|\\di)", ".indexes"),
    (r"show\s+create\s+table\s+(\S+)", ".schema {}"),
    (r"(?:describe|desc|show\s+columns\s+from|\\d)\s+(\S+)", ".describe {}"),
    (r"\\timing", ".timer"),
    (r"(?:source|\\i)\s+(\S+)", ".read {}"),
    (r"\\o\s+(\S+)", ".output {}"),
    (r"\\c\s+(\S+)", ".connect {}"),
)
_PATTERNS: Final = [
    (re.compile(rf"\s*{pattern}\s*;*\s*\Z", re.IGNORECASE), command) for pattern, command in _HABITS
]


def meant(text: str) -> str:
    """The command that somebody means; empty when it is nothing of the kind."""
    for pattern, command in _PATTERNS:
        if found := pattern.match(text):
            return command.format(*(each.rstrip(";") for each in found.groups()))
    return ""
