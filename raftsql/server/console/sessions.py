"""Who looks at the console: a browser that has shown who its user is, and what it has open.

A session's name is 32 random bytes in a cookie, of which the node keeps a hash alone. No password
is kept, and no token: the session remembers which user it is, and each call looks whether that is
still so. Where nobody has to say who they are, a browser has a session all the same, since
transactions and queries belong to somebody.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from raftsql.rpc.gate import Caller, Denied, Gate
from raftsql.server.console.inside import HomeCluster
from raftsql.server.console.problems import Problem, busy
from raftsql_driver.aio import AsyncConnection
from raftsql_driver.errors import Error

SESSIONS_MAX: Final = 512
"""In all: each may hold connections. The one that was not used for longest makes room."""
SESSIONS_OF_ONE_MAX: Final = 64
"""Of one user: nobody can push out all others."""
LIFE_SECONDS_MAX: Final = 12 * 3600.0
"""A session that is used all the time ends too."""
TRANSACTIONS_MAX: Final = 4
"""Of one session."""
QUERIES_MAX: Final = 16
"""Of one session, under way at once."""
TRANSACTION_IDLE_SECONDS: Final = 60.0
"""A transaction that nobody has asked anything of for so long is rolled back. One that has written
is ended by the leader sooner, since it keeps all other writers waiting."""


class OpenTransaction:
    """A transaction that a page has begun; its connection does nothing else."""

    def __init__(self, name: str, connection: AsyncConnection, now: float) -> None:
        self.name = name
        self.connection = connection
        self.touched = now
        self.busy = 0
        """Statements that run in it or wait to."""


class Session:
    """One browser's."""

    def __init__(self, key: bytes, caller: Caller | None, cluster: HomeCluster, now: float) -> None:
        self.key = key
        """The hash of its name."""
        self.caller = caller
        self.made = now
        self.touched = now
        self.queries: dict[str, Any] = {}
        """Those that run, by the name that the page gave them."""
        self.transactions: dict[str, OpenTransaction] = {}
        self.bookmark = ""
        """How much it has seen: what it reads next is not older."""
        self.ended = asyncio.Event()
        self.at_end: list[Callable[[], None]] = []
        """Called when it ends."""
        self._cluster = cluster

    def connection(self) -> AsyncConnection:
        """A connection as this user, where each statement is a transaction of its own."""
        connection = AsyncConnection(self._cluster.address, self._cluster)
        if self.bookmark:
            connection.bookmark = self.bookmark
        return connection

    def seen(self, connection: AsyncConnection) -> None:
        """What this connection has seen, the session has."""
        if _seen(connection.bookmark) >= _seen(self.bookmark):
            self.bookmark = connection.bookmark

    def transaction(self, name: str) -> OpenTransaction:
        """One of its own that is open."""
        found = self.transactions.get(name)
        if found is None:
            raise Problem(
                404, "transaction_lost", "there is no such transaction (any more): begin another"
            )
        return found

    def adopt(self, connection: AsyncConnection, now: float) -> OpenTransaction:
        """Keep a connection with its transaction for later statements."""
        if len(self.transactions) >= TRANSACTIONS_MAX:
            raise busy(f"{TRANSACTIONS_MAX} transactions are open: end one of them first")
        name = secrets.token_urlsafe(12)
        self.transactions[name] = OpenTransaction(name, connection, now)
        return self.transactions[name]

    async def forget(self, name: str) -> None:
        """End a transaction's connection; what is not committed is rolled back."""
        found = self.transactions.pop(name, None)
        if found is not None:
            with suppress(Error):
                await found.connection.close()

    async def end(self) -> None:
        """Stop what runs, roll back what is open."""
        self.ended.set()
        for tell in self.at_end:
            tell()
        for query in list(self.queries.values()):
            query.cancel()
        for name in list(self.transactions):
            await self.forget(name)


class Sessions:
    """All of a node's."""

    def __init__(
        self, gate: Gate, cluster: Callable[[Caller | None], HomeCluster], *, idle_seconds: float,
        clock: Callable[[], float],
    ) -> None:  # fmt: skip
        """`cluster` is the way to this node for a user."""
        self._gate = gate
        self._cluster = cluster
        self._clock = clock
        self.idle_seconds = idle_seconds
        self._sessions: dict[bytes, Session] = {}
        """The one used last is last."""

    def __len__(self) -> int:
        return len(self._sessions)

    def callers(self) -> set[Caller | None]:
        """Whose sessions there are."""
        return {session.caller for session in self._sessions.values()}

    async def begin(self, caller: Caller | None) -> tuple[str, Session]:
        """A new one, and its name, which is told once."""
        name = caller.name if caller is not None else ""
        own = [s for s in self._sessions.values() if (s.caller.name if s.caller else "") == name]
        if len(own) >= SESSIONS_OF_ONE_MAX:
            await self.end(own[0])
        if len(self._sessions) >= SESSIONS_MAX:
            await self.end(next(iter(self._sessions.values())))
        word = secrets.token_urlsafe(32)
        session = Session(_hashed(word), caller, self._cluster(caller), self._clock())
        self._sessions[session.key] = session
        return word, session

    def of(self, word: str) -> Session | None:
        """The session of this name, if its time is not over; looking at it is using it."""
        session = self._sessions.get(_hashed(word)) if word else None
        if session is None or self._is_over(session):
            return None
        session.touched = self._clock()
        self._sessions[session.key] = self._sessions.pop(session.key)
        return session

    def _is_over(self, session: Session) -> bool:
        now = self._clock()
        return now - session.touched > self.idle_seconds or now - session.made > LIFE_SECONDS_MAX

    async def end(self, session: Session) -> None:
        """End one."""
        self._sessions.pop(session.key, None)
        await session.end()

    async def sweep(self) -> None:
        """End what is over, and what belongs to users that are gone."""
        for session in list(self._sessions.values()):
            if self._is_over(session) or not self.holds(session):
                await self.end(session)
                continue
            for found in list(session.transactions.values()):
                idle = self._clock() - found.touched
                if not found.busy and idle > TRANSACTION_IDLE_SECONDS:
                    await session.forget(found.name)

    def holds(self, session: Session) -> bool:
        """Whether its user is still who they were."""
        try:
            self._gate.user_of(session.caller)
        except Denied:
            return False
        # Nobody's session ends when there are users; a user's when there are none any more.
        return (session.caller is None) != self._gate.is_closed

    async def close(self) -> None:
        """End all."""
        for session in list(self._sessions.values()):
            await self.end(session)


def _hashed(word: str) -> bytes:
    return hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()


def _seen(bookmark: str) -> int:
    """The place in the log that a bookmark names."""
    parts = bookmark.split(":")
    return int(parts[2]) if len(parts) > 2 else -1
