"""The writer: one database opened for apply, and the transactions that carry its position along.

Whatever changes rows goes through `begin` and `commit` here, so that position, clock, membership
and sessions' answers are always in the same SQLite transaction as the rows they speak of.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import apsw

from raftsql.database import internal
from raftsql.database.environment import open_writer
from raftsql.database.errors import TakesLonger
from raftsql.database.fuel import NO_LIMIT, Meter
from raftsql.database.sessions import Sessions
from raftsql.database.statements import Statements
from raftsql.raft.messages import Entry, Position
from raftsql.sql.access import Change, changed, encode
from raftsql.sql.commands import SETTINGS_ALL, USER_SHIFT, Settings

UNSET: Final = -1
"""No command has said yet which settings hold."""


DEFER: Final = int(Settings.DEFER_FOREIGN_KEYS)


class Writer:
    """A connection to the database, and all that is kept in memory beside it."""

    def __init__(self, path: Path, vfs: str) -> None:
        self.path = path
        self._vfs = vfs
        self.meter = Meter()
        self._connect()
        self.applied, self.clock_ms = internal.position(self.connection)
        self.membership = internal.fact(self.connection, internal.MEMBERSHIP) or b""
        self.access = internal.access(self.connection)
        self.sessions = Sessions(self.connection)
        self._committed = (self.clock_ms, self.membership, self.access)
        """Clock, membership and users as the last commit left them."""
        self._admit()

    def _connect(self) -> None:
        self.connection, self.pinned, self.guard = open_writer(self.path, base=self._vfs)
        internal.create(self.connection)
        self.statements = Statements(self.connection, self.pinned, self.guard, self.meter)
        self._control = self.connection.cursor()
        self.settings = UNSET
        """The settings that hold, and in them the number of the user."""

    def _admit(self) -> None:
        if self.access.on:
            self.statements.admit(self.access)

    def reconnect(self) -> None:
        """Go on with a fresh connection, which counts fuel as one on any other node does.

        The old one is closed last: a database that nobody has open is checkpointed and recovered,
        and a reader that comes just then finds it locked.
        """
        assert not self.connection.in_transaction, "an open transaction would be lost"
        old = self.connection
        self._connect()
        old.close()
        self._admit()
        self.sessions.move(self.connection)

    def close(self) -> None:
        """Let the file go; what is not committed is gone."""
        self.guard.trusting = True
        self.connection.close(force=True)

    def begin(self, settings: int) -> None:
        """Open a transaction under a client's settings; statements are guarded from here on."""
        if settings not in (self.settings, UNSET):
            self._follow(settings)
        self.guard.trusting = True
        self._control.execute("BEGIN IMMEDIATE")
        if settings != UNSET and settings & DEFER:
            self.statements.own("PRAGMA defer_foreign_keys = ON")
        self.meter.start(NO_LIMIT)
        self.guard.trusting = False

    def _follow(self, settings: int) -> None:
        """Set what travels with commands; SQLite takes it between transactions only."""
        if self.settings == UNSET or (settings ^ self.settings) & SETTINGS_ALL:
            self._set(settings)
        self.statements.become(settings >> USER_SHIFT)
        self.settings = settings

    def _set(self, settings: int) -> None:
        keys = int(bool(settings & Settings.FOREIGN_KEYS))
        self.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, keys)
        recursive = "ON" if settings & Settings.RECURSIVE_TRIGGERS else "OFF"
        self.statements.own(f"PRAGMA recursive_triggers = {recursive}")
        self.statements.defer(deferring=bool(settings & Settings.DEFER_FOREIGN_KEYS))

    def hear(self, clock_ms: int) -> int:
        """Move the log's clock, which never goes back; what it says now."""
        self.clock_ms = max(self.clock_ms, clock_ms)
        return self.clock_ms

    def take_membership(self, membership: bytes) -> None:
        """Keep a membership within the open transaction."""
        self.membership = membership
        trusting, self.guard.trusting = self.guard.trusting, True
        internal.keep_fact(self.connection, internal.MEMBERSHIP, membership)
        self.guard.trusting = trusting

    def change_access(self, change: Change, by: int, index: int) -> None:
        """Change users, grants or keys within the open transaction; or ChangeRefused."""
        self.access = changed(self.access, change, by=by, index=index, clock_ms=self.clock_ms)
        trusting, self.guard.trusting = self.guard.trusting, True
        internal.keep_fact(self.connection, internal.ACCESS, encode(self.access))
        self.guard.trusting = trusting
        self.statements.admit(self.access)

    def commit(self, last: Entry) -> None:
        """Commit the open transaction as the application of everything up to `last`."""
        if self.meter.impatient:
            raise TakesLonger  # Something went on regardless of having been interrupted.
        self.guard.trusting = True
        self.meter.limit = NO_LIMIT
        self.sessions.save(last.index, last.term, self.clock_ms)
        self._control.execute("COMMIT")
        self.applied = Position(index=last.index, term=last.term)
        self._committed = (self.clock_ms, self.membership, self.access)
        self.statements.gathering = False
        self.statements.refresh()

    def drop(self) -> None:
        """Roll back the transaction, and all that was remembered of what it applied."""
        self.roll_back()
        self.sessions.undo()
        self.clock_ms, self.membership, access = self._committed
        if access is not self.access:
            self.access = access
            self.statements.admit(access)

    def roll_back(self) -> None:
        """End the open transaction, if no statement has, and forget the schema it saw."""
        self.guard.trusting = True
        self.meter.limit = NO_LIMIT
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        self.statements.gathering = False
        self.statements.refresh()
