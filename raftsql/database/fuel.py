"""Fuel: how much work a command may do, counted in steps of SQLite's machine and not in time.

A clock would cut a runaway write at another row on each node. SQLite's progress handler counts
steps, which depend on rows and statement only - nearly: a cached statement starts its count where
its last run left it, within one unit, and a virtual table may have kept something that a restarted
node has to read again. So a command that comes near its limit is not judged by this count: it is
undone and run alone on a fresh connection, where every node counts the same, and that count
decides (`near` and `exact`).
"""

from __future__ import annotations

from typing import Final

MARGIN_UNITS: Final = 64
"""More than the remainders of all statements that one command can have in a cache."""
MARGIN_DIVISOR: Final = 8

NO_LIMIT: Final = 1 << 62


class Meter:
    """Counts units of fuel; SQLite calls it once a unit and stops the statement when it says so."""

    __slots__ = ("burnt", "exhausted", "limit")

    def __init__(self) -> None:
        self.burnt = 0
        self.limit = NO_LIMIT
        self.exhausted = False

    def __call__(self) -> bool:
        self.burnt += 1
        if self.burnt < self.limit:
            return False
        self.exhausted = True
        return True

    def start(self, limit: int) -> None:
        """Begin to count a command."""
        self.burnt = 0
        self.limit = limit
        self.exhausted = False


def near(fuel: int) -> int:
    """The count from which a command has to be counted exactly."""
    return max(1, fuel - MARGIN_UNITS - fuel // MARGIN_DIVISOR)


def exact(fuel: int) -> int:
    """The count at which a command is undone, on a fresh connection."""
    return max(1, fuel)
