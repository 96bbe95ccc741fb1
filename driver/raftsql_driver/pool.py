"""A pool of connections for threads, with psycopg_pool's names.

A connection here is light and shares its stream, so a pool is not needed for speed. It bounds how
many transactions a program has open at once, and hands out connections that are idle and whole.
No threads work in the background: a connection is made when it is asked for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self

from raftsql_driver.errors import Error
from raftsql_driver.stock import Stock, Turn
from raftsql_driver.sync import Connection


class ConnectionPool:
    """Connections for threads to borrow."""

    def __init__(
        self,
        conninfo: str | None = None,
        *,
        kwargs: dict[str, Any] | None = None,
        min_size: int = 4,
        max_size: int | None = None,
        open: bool = True,
        configure: Callable[[Connection], None] | None = None,
        check: Callable[[Connection], None] | None = None,
        reset: Callable[[Connection], None] | None = None,
        name: str = "raftsql",
        timeout: float = 30.0,
        max_waiting: int = 0,
        max_lifetime: float = 3600.0,
        max_idle: float = 600.0,
    ) -> None:
        self.conninfo = conninfo
        self.kwargs = {"check_same_thread": False} | (kwargs or {})
        self._configure, self._check, self._reset = configure, check, reset
        self._lock = threading.Lock()
        self._stock: Stock[Connection] = Stock(
            name,
            min_size=min_size,
            max_size=max_size,
            timeout=timeout,
            max_waiting=max_waiting,
            max_lifetime=max_lifetime,
            max_idle=max_idle,
        )
        if open:
            self.open()

    def __repr__(self) -> str:
        return f"<raftsql.ConnectionPool {self._stock}>"

    def open(self, wait: bool = False, timeout: float = 30.0) -> None:
        """Begin to give out connections; `wait` until `min_size` of them are there."""
        self._stock.is_open = True
        if wait:
            self.wait(timeout)

    def wait(self, timeout: float = 30.0) -> None:
        """Make `min_size` connections now, so that a wrong address shows now."""
        end = time.monotonic() + timeout
        with ExitStack() as borrowed:  # Gives back the others too when one can't be.
            for _ in range(self._stock.min_size):
                connection = self.getconn(max(0.0, end - time.monotonic()))
                borrowed.callback(self.putconn, connection)

    @contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[Connection]:
        """Borrow a connection: commits at the end of the block, rolls back on an exception."""
        connection = self.getconn(timeout)
        try:
            with connection:
                yield connection
        finally:
            self.putconn(connection)

    def getconn(self, timeout: float | None = None) -> Connection:
        """Borrow a connection; give it back with `putconn`."""
        end = time.monotonic() + (self._stock.timeout if timeout is None else timeout)
        while True:
            connection = self._turn(end).connection
            if connection is None:
                return self._make()
            if self._whole(connection):
                return connection
            with self._lock:
                has_place = self._stock.replaced(connection)
            if has_place:
                return self._make(connection)
            connection.close()

    def _turn(self, end: float) -> Turn[Connection]:
        """Wait until it is this caller's turn; until then at most."""
        bell = threading.Event()
        with self._lock:
            turn = self._stock.ask(bell)
        if turn.served:
            return turn
        try:
            bell.wait(max(0.0, end - time.monotonic()))
        except BaseException:  # KeyboardInterrupt: what was given meanwhile is somebody else's.
            with self._lock:
                surplus = self._stock.gave_up(turn)
            _close(surplus)
            raise
        with self._lock:
            self._stock.must_be_served(turn)
        return turn

    def _make(self, instead_of: Connection | None = None) -> Connection:
        connection = None
        try:
            if instead_of is not None:
                instead_of.close()
            connection = Connection(self.conninfo, **self.kwargs)
            if self._configure is not None:
                self._configure(connection)
            return connection
        except BaseException:
            if connection is not None:
                connection.close()
                connection = None
            raise
        finally:
            with self._lock:
                self._stock.made(connection)

    def _whole(self, connection: Connection) -> bool:
        """Whether a connection may be given out."""
        if self._stock.worn(connection):
            return False
        if self._check is None:
            return True
        try:
            self._check(connection)
        except Error:
            return False
        except BaseException:
            self._discard(connection)
            raise
        return True

    def _discard(self, connection: Connection) -> None:
        with self._lock:
            self._stock.discard(connection)
        connection.close()

    def putconn(self, connection: Connection) -> None:
        """Give a connection back; what is open on it is rolled back."""
        with self._lock:
            self._stock.must_be_lent(connection)
        try:
            if not connection.closed:
                connection.rollback()
                if self._reset is not None:
                    self._reset(connection)
        except Error:
            connection.close()
        except BaseException:
            self._discard(connection)
            raise
        self._take_back(connection)

    def _take_back(self, connection: Connection) -> None:
        with self._lock:
            surplus = self._stock.came_back(connection)
        _close(surplus)

    def check(self) -> None:
        """Look at every free connection, and throw away those that don't work."""
        with self._lock:
            idle = self._stock.take_idle()
        rest = iter(idle)
        try:
            for connection in rest:
                self._look_at(connection)
        finally:
            for connection in rest:  # None, unless somebody interrupts.
                self._take_back(connection)

    def _look_at(self, connection: Connection) -> None:
        try:
            connection.execute("SELECT 1", consistency="stale")
        except Error:
            connection.close()
        finally:
            self._take_back(connection)

    def drain(self) -> None:
        """Replace all connections: free ones now, the others when they come back."""
        with self._lock:
            idle = self._stock.outdate()
        _close(idle)

    def resize(self, min_size: int, max_size: int | None = None) -> None:
        """Change how many connections are kept, and how many there may be."""
        with self._lock:
            self._stock.resize(min_size, max_size)

    def get_stats(self) -> dict[str, int]:
        """What is there now, and what was counted since the start."""
        return self._stock.stats()

    def pop_stats(self) -> dict[str, int]:
        """The same, and count from 0 again."""
        with self._lock:
            return self._stock.pop_stats()

    @property
    def closed(self) -> bool:
        """Whether the pool gives out nothing."""
        return not self._stock.is_open

    def close(self) -> None:
        """Close the free connections now, and the others when they come back."""
        with self._lock:
            idle = self._stock.close()
        _close(idle)

    def __enter__(self) -> Self:
        if self.closed:
            self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _close(connections: Iterable[Connection]) -> None:
    for connection in connections:
        connection.close()
