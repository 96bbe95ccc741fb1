"""Numbered probes: proof of leadership, and the lease that grows out of it.

Everything a leader sends carries the number of its newest probe, and every answer carries it back.
An answer to probe n proves that its sender followed this leader at a moment after n was *sent*. So

- a read registered before probe n was sent may be served once a quorum has answered n or later
  (Raft 8; the number is what tells an old answer from a new one);
- the leader holds a lease from the send time of the newest probe that a quorum has answered, for
  as long as voters defend a leader they heard, less the clock drift allowed for;
- a leader whose newest such probe is an election timeout old has lost its quorum.
"""

from __future__ import annotations

from collections import deque


class Probes:
    """The probes a leader sent in its term, and the newest that a quorum has answered."""

    __slots__ = ("newest", "confirmed", "confirmed_at", "_sent")

    def __init__(self) -> None:
        """No probe was sent yet."""
        self.newest = 0
        self.confirmed = 0
        self.confirmed_at: int | None = None
        """When the newest confirmed probe was sent."""
        self._sent: deque[tuple[int, int]] = deque()

    def send(self, now: int) -> int:
        """The number of a new probe that leaves now (or later: that only shortens the lease)."""
        self.newest += 1
        self._sent.append((self.newest, now))
        return self.newest

    def confirm(self, probe: int) -> bool:
        """A quorum has answered `probe` or later ones; whether that is news."""
        if probe <= self.confirmed:
            return False
        assert probe <= self.newest, "nobody can answer a probe that was not sent"
        self.confirmed = probe
        while self._sent and self._sent[0][0] <= probe:
            self.confirmed_at = self._sent.popleft()[1]
        return True

    def lease_valid(self, now: int, length_ms: int) -> bool:
        """Whether no other leader can exist now, if clocks drift no more than allowed."""
        return self.confirmed_at is not None and now < self.confirmed_at + length_ms
