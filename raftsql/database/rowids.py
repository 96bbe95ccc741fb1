"""The last row number, after which SQLite would pick numbers by chance.

When a table holds a row numbered 2^63 - 1, SQLite draws numbers for new rows from its process-wide
generator, which no command can pin: each node would draw another. So no command may write that
number; one that does is undone. How it is noticed must not cost every insert a call back from
SQLite (0.5 µs): statements that let SQLite count on, or write one row whose number is looked at
anyway, are known by their program and need no watching.
"""

from __future__ import annotations

from typing import Any, Final

import apsw

from raftsql.sql.commands import Failed, Refusal

ROWID_MAX: Final = (1 << 63) - 2
"""The highest row number a command may write."""

TOO_HIGH: Final = Failed(
    Refusal.DETERMINISM,
    apsw.SQLITE_FULL,
    f"the row number {ROWID_MAX + 1} can't be used: SQLite would number later rows by chance",
)

_UNSURE: Final = frozenset({"Program", "VUpdate", "RowCell"})
"""Opcodes that write rows this program does not show: triggers, virtual tables, whole copies."""
_LOOPS: Final = frozenset({"Next", "Prev", "Yield", "VNext", "SorterNext", "RowSetRead"})


class RowidWatch:
    """SQLite's update hook: notes whether a row number was too high."""

    __slots__ = ("reached",)

    def __init__(self) -> None:
        self.reached = False

    def __call__(self, operation: int, schema: str, table: str, rowid: int) -> None:
        if rowid > ROWID_MAX and operation != apsw.SQLITE_DELETE:
            self.reached = True


def needs_watching(program: list[Any], *, tells_rowid: bool) -> bool:
    """Whether a statement could write a chosen row number that its own answer does not tell.

    `program` is what EXPLAIN shows; `tells_rowid` says that last_insert_rowid() is the row's.
    """
    names = {row[1] for row in program}
    if names & _UNSURE:
        return True
    if names & _LOOPS and _numbers_rows(program):
        return True  # The first row may be the last that is counted; chance numbers the second.
    return chooses_rowid(program) and (bool(names & _LOOPS) or not tells_rowid)


def _numbers_rows(program: list[Any]) -> bool:
    """Whether SQLite picks row numbers for a table, and not only for some rows in between."""
    written = {row[2] for row in program if row[1] == "OpenWrite"}
    return any(row[1] == "NewRowid" and row[2] in written for row in program)


def chooses_rowid(program: list[Any]) -> bool:
    """Whether a row number comes from outside; otherwise SQLite counts on, or keeps it."""
    return any(row[1] == "MustBeInt" for row in program)
