"""What one connection of a pool has seen, the others see too.

`consistency="session"` promises a connection its own writes. A program that takes its connections
from a pool has another one each time, and means all of them.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

from sqlalchemy import event


class Bookmark:
    """How much of the log an engine's connections have seen together."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen = ""

    def given(self, connection: Any, record: Any, proxy: Any) -> None:
        """A connection leaves the pool."""
        if self._seen:
            record.driver_connection.bookmark = self._seen

    def taken(self, connection: Any, record: Any) -> None:
        """A connection comes back, or was lost meanwhile."""
        if connection is not None:
            with self._lock:
                self.given(connection, record, None)
                self._seen = record.driver_connection.bookmark


def share(engine: Any) -> None:
    """Give an engine's connections one bookmark."""
    bookmark = Bookmark()
    event.listen(engine, "checkout", bookmark.given)
    event.listen(engine, "checkin", bookmark.taken)
