"""How results look: what `.mode`, `.headers`, `.nullvalue` and `.width` change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Row: TypeAlias = tuple[Any, ...]
Batches: TypeAlias = Iterator[list[Row]]
"""A result a batch of rows at a time, so that no format ever holds all of it."""


@dataclass(slots=True)
class Look:
    """The choices that outlive a statement."""

    mode: str = "box"
    headers: bool = True
    null: str | None = None
    """What stands for NULL; None: what is usual in the mode."""
    widths: tuple[int, ...] = ()
    """The most cells a column may take, the last for all that follow; 0: no limit."""
    table: str = "table"
    """Whom the insert mode writes to."""
    screen: int = 0
    """The terminal's width, beyond which rows are shown upright; 0: no terminal."""

    def width(self, number: int) -> int:
        """The limit of a column, counted from 0."""
        if not self.widths:
            return 0
        return self.widths[min(number, len(self.widths) - 1)]


Format: TypeAlias = Callable[[Sequence[str], Batches, Look], Iterator[str]]
