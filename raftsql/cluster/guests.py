"""Who else has the database's file open: copies, checksums, backups under way.

A file that another one takes the place of must be closed by everybody first. Those who work on it
beside the replica are its guests: they work in steps, look between two of them whether they must
go, and nobody new is let in while a switch is under way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

LEAVE_SECONDS: Final = 10.0
"""A step takes milliseconds; who has not left after so long never will."""


class SentAway(Exception):
    """The database is being replaced: what was begun on the old one is of no use any more."""


class Guest:
    """One job's stay."""

    def __init__(self) -> None:
        """It may stay for now."""
        self._sent_away = False

    def check(self) -> None:
        """Call it between two steps; close the file when it raises."""
        if self._sent_away:
            raise SentAway("the database is being replaced by another one; try again")

    def send_away(self) -> None:
        """The next check raises."""
        self._sent_away = True


class Guests:
    """Everybody who has the file open now. Any thread may call."""

    def __init__(self) -> None:
        """Open, and nobody is here."""
        self._here: set[Guest] = set()
        self._changed = threading.Condition()
        self._closed = False

    @contextmanager
    def stay(self) -> Iterator[Guest]:
        """Be a guest; the file is closed by the caller before the block ends."""
        guest = Guest()
        with self._changed:
            if self._closed:
                guest.send_away()
                guest.check()
            self._here.add(guest)
        try:
            yield guest
        finally:
            with self._changed:
                self._here.discard(guest)
                self._changed.notify_all()

    def close(self) -> None:
        """Send all away and let nobody in, until `open`. Waits for those who are here."""
        with self._changed:
            self._closed = True
            for guest in self._here:
                guest.send_away()
            give_up_at = time.monotonic() + LEAVE_SECONDS
            while self._here:
                if not self._changed.wait(max(0.0, give_up_at - time.monotonic())):
                    raise TimeoutError("the database can't be replaced: it is still being copied")

    def open(self) -> None:
        """There is a database to work on again."""
        with self._changed:
            self._closed = False
