"""Scripts: commands with their approved output below them.

A line that starts with `> ` is a command, `#` starts a comment, and what follows a command up to
the next command, comment or empty line is its output. `performed` runs the commands and writes the
same text with the output that they give now.
"""

from __future__ import annotations

from tests.raft.verbs import Verbs


def performed(text: str) -> str:
    """The script with the output of a run made now."""
    verbs = Verbs()
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("> "):
            lines.append(line)
            lines += verbs.run(line[2:])
        elif not line or line.startswith("#"):
            lines.append(line)
    return "\n".join(lines) + "\n"
