"""A query plan as a tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def tree(rows: Sequence[Any]) -> str:
    """The rows of EXPLAIN QUERY PLAN, each under the one that it is a part of."""
    children: dict[int, list[Any]] = {}
    for row in rows:
        children.setdefault(row[1], []).append(row)
    lines: list[str] = []

    def grow(parent: int, before: str) -> None:
        siblings = children.get(parent, [])
        for number, row in enumerate(siblings, 1):
            last = number == len(siblings)
            lines.append(f"{before}{'└─ ' if last else '├─ '}{row[3]}")
            grow(row[0], before + ("   " if last else "│  "))

    grow(0, "")
    return "\n".join(lines) or "nothing to be found: no table is read"
