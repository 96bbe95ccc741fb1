"""The driver's side of exactly once: numbers for writes, and what has been answered.

Every write of a process takes the next sequence of one session. The floor is the highest sequence
up to which all are settled: the cluster may forget their answers, and refuses to apply them late.
A sequence is settled when its answer was seen, or when its caller has given up: then nobody will
send it again, and it must not hold the floor for ever.
"""

from __future__ import annotations

import secrets
import threading


class Session:
    """One registration with a cluster. Used by many threads."""

    __slots__ = ("nonce", "number", "heard_at", "floor", "_last", "_settled", "_lock")

    def __init__(self) -> None:
        self.nonce = secrets.token_bytes(16)
        """Makes a repeated registration find the same session."""
        self.number = 0
        """0 until the cluster has said it."""
        self.heard_at = 0.0
        """When the cluster last answered under it: long ago, it may have forgotten it."""
        self.floor = 0
        """Every sequence up to here is settled."""
        self._last = 0
        self._settled: set[int] = set()
        """Sequences above the floor that are settled."""
        self._lock = threading.Lock()

    def take(self) -> int:
        """The next sequence; it is never given twice."""
        with self._lock:
            self._last += 1
            return self._last

    def settle(self, sequence: int) -> None:
        """This sequence will never be sent again."""
        with self._lock:
            assert self.floor < sequence <= self._last, "settled twice, or never taken"
            if sequence != self.floor + 1:
                self._settled.add(sequence)
                return
            self.floor = sequence
            while self.floor + 1 in self._settled:
                self.floor += 1
                self._settled.remove(self.floor)
