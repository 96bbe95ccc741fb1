"""The real SQLite, made to tell when it asks for time or chance: the judge of our judge."""

from __future__ import annotations

import uuid

import apsw
import apsw.ext

from tests.sql.statements import SCHEMA

CLOCK_MS = 210_866_760_000_000 + 1_700_000_000_000


class Witness:
    """A database in memory that counts what an environment would have to pin."""

    def __init__(self) -> None:
        self.draws = 0
        self.functions: set[str] = set()
        witness = self

        class Clock(apsw.VFS):
            def __init__(self) -> None:
                self.vfs_name = f"witness-{uuid.uuid4()}"
                self.readings = 0
                super().__init__(self.vfs_name, "")

            def xCurrentTimeInt64(self) -> int:
                self.readings += 1
                return CLOCK_MS

        def random() -> int:
            witness.draws += 1
            return 4

        def randomblob(size: object) -> bytes:
            witness.draws += 1
            return b"four"

        self.clock = Clock()
        self.connection = apsw.Connection(":memory:", vfs=self.clock.vfs_name)
        self.connection.execute(SCHEMA)
        for name, function, count in (("random", random, 0), ("randomblob", randomblob, 1)):
            self.connection.create_scalar_function(
                name, function, count, flags=apsw.SQLITE_INNOCUOUS
            )
        self.connection.set_authorizer(self._authorize)

    def _authorize(
        self, action: int, first: str | None, second: str | None, _1: str | None, _2: str | None
    ) -> int:
        if action == apsw.SQLITE_FUNCTION and second is not None:
            self.functions.add(second.upper())
        if action in (apsw.SQLITE_ATTACH, apsw.SQLITE_DETACH):
            return apsw.SQLITE_DENY
        return apsw.SQLITE_OK

    def run(self, text: str) -> bool:
        """Run a statement and undo it; whether SQLite ran it. What it asked for is counted."""
        self.draws, self.clock.readings = 0, 0
        self.functions.clear()
        try:
            count = apsw.ext.query_info(self.connection, text).bindings_count
        except (apsw.Error, UnicodeEncodeError):
            return False
        self.connection.execute("SAVEPOINT witness")
        try:
            for _ in self.connection.execute(text, ["now"] * count):
                pass
        except apsw.Error:
            return False
        finally:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK TO witness; RELEASE witness")
        return True

    def close(self) -> None:
        self.connection.close()
