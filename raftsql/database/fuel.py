"""Fuel: how much work a command may do, counted in steps of SQLite's machine and not in time.

A clock would cut a runaway write at another row on each node. SQLite's progress handler counts
steps, which depend on rows and statement only - nearly: a cached statement starts its count where
its last run left it, within one unit, and a virtual table may have kept something that a restarted
node has to read again. So a command that comes near its limit is not judged by this count: it is
undone and run alone on a fresh connection, where every node counts the same, and that count
decides (`near` and `exact`).

Patience is counted in the same units, but it is the caller's own affair: what was begun where it
must be short (in an event loop) is undone when it is not, and asked for again elsewhere. No answer
follows from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from raftsql.database.errors import TakesLonger

MARGIN_UNITS: Final = 64
"""More than the remainders of all statements that one command can have in a cache."""
MARGIN_DIVISOR: Final = 8
"""Of a large limit so much of it: what virtual tables read again grows with the work."""

NO_LIMIT: Final = 1 << 62
"""Of statements of our own, which nothing may interrupt."""
ENDLESS: Final = NO_LIMIT - 1
"""Of statements that are known to end, since they have on the leader. Patience may."""


class Meter:
    """Counts units of fuel; SQLite calls it once a unit and stops the statement when it says so."""

    __slots__ = ("burnt", "exhausted", "hurried", "impatient", "limit", "patience", "unwanted")

    def __init__(self) -> None:
        self.burnt = 0
        self.limit = NO_LIMIT
        self.exhausted = False
        self.patience = NO_LIMIT
        """Units that are left of the caller's patience."""
        self.hurried = False
        """Whether the caller has set a bound to it."""
        self.impatient = False
        """Whether it has ended."""
        self.unwanted: Callable[[], bool] | None = None
        """Says that nobody waits for this any more: the end of all patience. Only of what is not
        in the log yet, and is undone as a whole."""

    def __call__(self) -> bool:
        self.burnt += 1
        if self.burnt >= self.limit:
            self.exhausted = True
            return True
        if self.limit != NO_LIMIT:
            self.patience -= 1
            if self.patience < 0 or (self.unwanted is not None and self.unwanted()):
                self.impatient = True
                return True
        return False

    def start(self, limit: int) -> None:
        """Begin to count a command."""
        self.burnt = 0
        self.limit = limit
        self.exhausted = False

    def wait(self, units: int | None) -> None:
        """Have patience for so many units from here on, in all that follows; None: endless."""
        self.patience = NO_LIMIT if units is None else units
        self.hurried = units is not None
        self.impatient = False

    def hurry(self) -> None:
        """Stop a caller in a hurry: what comes next may take long, and can't be interrupted."""
        if self.hurried:
            raise TakesLonger


def near(fuel: int) -> int:
    """The count from which a command has to be counted exactly."""
    return max(1, fuel - MARGIN_UNITS - fuel // MARGIN_DIVISOR)


def exact(fuel: int) -> int:
    """The count at which a command is undone, on a fresh connection."""
    return max(1, fuel)
