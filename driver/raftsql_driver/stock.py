"""What a pool owns, who waits for it, and what it has counted. The same in both colours, no I/O.

Whoever waits is served in turn: a connection that comes back, or a place that becomes free, goes to
the one who has waited longest, and never to somebody who comes along just then.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from raftsql_driver.errors import PoolClosed, PoolTimeout, ProgrammingError, TooManyRequests

if TYPE_CHECKING:
    from raftsql_driver.aio import AsyncConnection
    from raftsql_driver.sync import Connection

C = TypeVar("C", bound="Connection | AsyncConnection")

_COUNTERS: Final = ("requests_num", "requests_queued", "requests_errors", "connections_num")


class Bell(Protocol):
    """Wakes somebody who waits: an event of threads or of asyncio."""

    def set(self) -> None: ...


@dataclass(slots=True, eq=False)
class Turn(Generic[C]):
    """What one caller was given, or waits for."""

    bell: Bell | None = None
    """Rung when the turn has come, or the pool was closed; None: it came at once."""
    served: bool = False
    connection: C | None = None
    """Of one who was served: a connection, or None for a place in which to make one."""


class Stock(Generic[C]):
    """A pool's connections and its queue.

    Not locked: a pool calls it under its lock, or in its event loop.
    """

    def __init__(
        self,
        name: str,
        *,
        min_size: int,
        max_size: int | None,
        timeout: float,
        max_waiting: int,
        max_lifetime: float,
        max_idle: float,
    ) -> None:
        self.name = name
        self.timeout = timeout
        """How many seconds to wait for a connection."""
        self.max_waiting = max_waiting
        """How many may wait at once; 0: no bound."""
        self.max_lifetime = max_lifetime
        """A connection older than this is replaced."""
        self.max_idle = max_idle
        """A connection above `min_size` that was idle for so long is closed."""
        self.is_open = False
        self.idle: deque[tuple[C, float]] = deque()
        """Free connections and since when; the one used last is at the right."""
        self.born: dict[int, float] = {}
        """When each connection of the pool was made, by its id."""
        self.waiting: deque[Turn[C]] = deque()
        self.making = 0
        """Places taken by connections that are being made."""
        self._counts = dict.fromkeys(_COUNTERS, 0)
        self.resize(min_size, max_size)

    def __str__(self) -> str:
        state = "open" if self.is_open else "closed"
        in_use = self.size - len(self.idle)
        return f"{self.name!r} {state}, {in_use} of {self.max_size} in use"

    def resize(self, min_size: int, max_size: int | None) -> None:
        """Change how many connections are kept, and how many there may be."""
        largest = min_size if max_size is None else max_size
        if min_size < 0 or largest < max(1, min_size):
            raise ProgrammingError(f"a pool of {min_size} to {largest} connections can't be")
        self.min_size, self.max_size = min_size, largest
        self._offer_places()

    @property
    def size(self) -> int:
        """How many connections there are, given out or not."""
        return len(self.born) + self.making

    def check_open(self) -> None:
        """Raise if the pool gives out nothing."""
        if not self.is_open:
            raise PoolClosed(f"the pool {self.name!r} is not open; call open(), or use `with`")

    # Whoever wants a connection.

    def ask(self, bell: Bell) -> Turn[C]:
        """A turn that is served already, or one that stands in the queue until the bell rings."""
        self.check_open()
        self._counts["requests_num"] += 1
        if self.idle:
            return Turn(served=True, connection=self.idle.pop()[0])
        if self.size < self.max_size:
            self.making += 1
            return Turn(served=True)
        self._counts["requests_queued"] += 1
        if self.max_waiting and len(self.waiting) >= self.max_waiting:
            self._counts["requests_errors"] += 1
            raise TooManyRequests(
                f"{len(self.waiting)} callers wait for a connection of the pool {self.name!r} "
                "already; raise max_size or max_waiting"
            )
        turn: Turn[C] = Turn(bell)
        self.waiting.append(turn)
        return turn

    def must_be_served(self, turn: Turn[C]) -> None:
        """Raise when the bell rang for another reason, or did not ring in time."""
        if turn.served:
            return
        self.check_open()
        self.gave_up(turn)
        self._counts["requests_errors"] += 1
        raise PoolTimeout(
            f"no connection of the pool {self.name!r} was free within {self.timeout:g} s; "
            f"all {self.max_size} are in use"
        )

    def gave_up(self, turn: Turn[C]) -> list[C]:
        """Who waited does not want it any more: what they were given is the next one's. Answers
        what is to be closed."""
        if turn in self.waiting:
            self.waiting.remove(turn)
        elif turn.connection is not None:
            return self.came_back(turn.connection)
        elif turn.served:
            self.made(None)
        return []

    # What becomes of connections.

    def made(self, connection: C | None) -> None:
        """A new connection has come into its place; None: it could not be made."""
        self.making -= 1
        if connection is None:
            self._offer_places()
            return
        self.born[id(connection)] = time.monotonic()
        self._counts["connections_num"] += 1

    def worn(self, connection: C) -> bool:
        """Whether this connection has to be replaced."""
        born = self.born.get(id(connection))
        too_many = len(self.born) > self.max_size
        old = born is None or time.monotonic() - born > self.max_lifetime
        return connection.closed or not self.is_open or too_many or old

    def must_be_lent(self, connection: C) -> None:
        """Raise for a connection that can't be given back."""
        if id(connection) not in self.born:
            raise ProgrammingError("this connection is not of this pool")
        if any(each is connection for each, _ in self.idle):
            raise ProgrammingError("this connection was given back already")

    def came_back(self, connection: C) -> list[C]:
        """It is for the next one, or idle. Answers what is to be closed."""
        if self.worn(connection):
            self.discard(connection)
            return [connection]
        if self.waiting:
            self._serve(connection)
            return []
        self.idle.append((connection, time.monotonic()))
        return self._idle_too_long()

    def replaced(self, connection: C) -> bool:
        """Whether its holder may make another one in its place, which may be gone meanwhile."""
        self.born.pop(id(connection), None)
        if not self.is_open or self.size >= self.max_size:
            return False
        self.making += 1
        return True

    def discard(self, connection: C) -> None:
        """It is of the pool no more; somebody may make another one."""
        self.born.pop(id(connection), None)
        self._offer_places()

    def take_idle(self) -> list[C]:
        """Take out what is free, to be looked at or closed."""
        idle = [connection for connection, _ in self.idle]
        self.idle.clear()
        return idle

    def outdate(self) -> list[C]:
        """All there are count as old. Answers what is to be closed."""
        self.born = dict.fromkeys(self.born, float("-inf"))
        idle = self.take_idle()
        for connection in idle:
            self.discard(connection)
        return idle

    def close(self) -> list[C]:
        """Give out nothing any more, and tell those who wait. Answers what is to be closed."""
        self.is_open = False
        waiting, self.waiting = self.waiting, deque()
        for turn in waiting:
            _ring(turn)
        return self.outdate()

    def _idle_too_long(self) -> list[C]:
        surplus, now = [], time.monotonic()
        while len(self.born) > self.min_size and self.idle:
            if now - self.idle[0][1] <= self.max_idle:
                break
            connection, _ = self.idle.popleft()
            del self.born[id(connection)]
            surplus.append(connection)
        return surplus

    def _offer_places(self) -> None:
        """Let as many of those who wait make a connection as there is room for."""
        while self.waiting and self.size < self.max_size:
            self.making += 1
            self._serve(None)

    def _serve(self, connection: C | None) -> None:
        turn = self.waiting.popleft()
        turn.served, turn.connection = True, connection
        _ring(turn)

    # What was counted.

    def stats(self) -> dict[str, int]:
        """What is there now, and what was counted."""
        return {
            "pool_min": self.min_size,
            "pool_max": self.max_size,
            "pool_size": self.size,
            "pool_available": len(self.idle),
            "requests_waiting": len(self.waiting),
        } | self._counts

    def pop_stats(self) -> dict[str, int]:
        """The same, and count from 0 again."""
        stats = self.stats()
        self._counts = dict.fromkeys(_COUNTERS, 0)
        return stats


def _ring(turn: Turn[C]) -> None:
    assert turn.bell is not None, "who waits has a bell"
    turn.bell.set()
