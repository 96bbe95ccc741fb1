"""Interactive transactions one upon another, in one SQLite transaction.

A transaction that was sealed waits for the quorum, which takes longer than most of what clients do.
So the next one may begin upon what it did, before that is committed. All of them live in SQLite's
one open transaction; each has its steps in memory, which are what the log holds of it. So the chain
can be undone at any time and done again: when the log commits its first members, SQLite's
transaction is rolled back (`unwind`), the entries are applied as on any other node, and what is
left is done again before the next statement runs (`mend`). What the clients of those were told
stays true, since the rows beneath them are the same as before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from raftsql.database.fuel import ENDLESS
from raftsql.database.replay import run_step
from raftsql.database.writer import Writer

if TYPE_CHECKING:
    from raftsql.database.transaction import OpenTransaction

QUICK_STEPS: Final = 64
"""Statements of a chain that can be done again in no time, if none of them took long."""
QUICK_BYTES: Final = 1 << 20
"""And their texts and parameters: a few large values take as long as many small ones."""


class Chain:
    """The transactions that have begun on one writer and not ended, oldest first.

    All but the newest are sealed.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.members: list[OpenTransaction] = []
        self.torn = False
        """Whether SQLite's transaction is not there, and has to be done again."""

    @property
    def is_quick(self) -> bool:
        """Whether it can be done again where nothing may take long."""
        steps = sum(member.step_count for member in self.members)
        size = sum(member.size for member in self.members)
        quick = steps <= QUICK_STEPS and size <= QUICK_BYTES
        return quick and not any(member.is_long for member in self.members)

    def join(self, transaction: OpenTransaction) -> None:
        """Begin a transaction upon those that are there."""
        if not self.members:
            self._writer.begin(transaction.settings)
        else:
            assert self.members[-1].is_sealed, "only what can't change any more is built upon"
            assert transaction.settings == self.members[-1].settings, "settings hold for all"
        if not self.torn:
            self._start()
        self.members.append(transaction)

    def _start(self) -> None:
        self._writer.statements.reset_counters()
        self._writer.guard.savepoints = True

    def mend(self) -> None:
        """Do again what is not there, as replicas will."""
        if not self.torn:
            return
        writer = self._writer
        writer.begin(self.members[0].settings)
        clock_ms = writer.clock_ms
        writer.meter.start(ENDLESS)
        for member in self.members:
            self._start()
            for number, step in enumerate(member.steps().steps, start=1):
                run_step(writer, number, step)
            if member.is_noted:
                member.note()
                clock_ms = writer.clock_ms
        writer.clock_ms = clock_ms  # It moves when a transaction is sealed, and not before.
        self.torn = False

    def unwind(self, upto: int = 0) -> None:
        """Leave SQLite's transaction; the log takes care of the members up to that entry."""
        self._writer.guard.savepoints = False
        self._writer.drop()
        self.members = [m for m in self.members if not m.is_sealed or m.index > upto]
        self.torn = bool(self.members)

    def leave(self, transaction: OpenTransaction) -> None:
        """Let go of a member, and of all that it did."""
        self._writer.guard.savepoints = False
        self.members.remove(transaction)
        if transaction.step_count or transaction.is_sealed or not self.members:
            self._writer.drop()
            self.torn = bool(self.members)

    def clear(self) -> None:
        """Forget all members: the only one was committed, or the database is let go."""
        self._writer.guard.savepoints = False
        self.members.clear()
        self.torn = False
