"""What the disk was given, what it has done, and what the next save will hold.

Saves are numbered from 1 and done in order. Whatever may not be said before something is durable
waits for the number of the save that holds it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from raftsql.raft.log import Log
from raftsql.raft.messages import Entry, HardState, NodeId, Position
from raftsql.raft.ready import Save


class Saves:
    """The saves of one node since it was started, from what was durable then."""

    __slots__ = ("given", "done", "ends", "_state_in", "_unsaved_first", "_reset", "_begun")

    def __init__(self, *, unsaved_first: int) -> None:
        """Everything is durable; the next entry will be the one at `unsaved_first`."""
        self.given = 0
        """The newest save that was given out."""
        self.done = 0
        """The newest one that is durable, and all before it."""
        self.ends: deque[tuple[int, int]] = deque()
        """Saves under way, and where the log ends that they hold; not those that hold what the log
        has taken back."""
        self._state_in = 0
        """The save that holds term and vote as they are; above `given` it is the next one."""
        self._unsaved_first = unsaved_first
        """The first entry of the log that was given to no save."""
        self._reset: Position | None = None
        """After what the journal begins anew with the next save."""
        self._begun: deque[tuple[int, int]] = deque()
        """Saves under way, and since when."""

    def state_changed(self) -> None:
        """Term or vote are others now."""
        self._state_in = self.given + 1

    def truncated(self, first: int) -> None:
        """Entries from `first` on were taken back.

        A save under way that holds some of them proves nothing when it is done, not even if the
        same entries come back: the save that takes them away is still to come.
        """
        self._unsaved_first = min(self._unsaved_first, first)
        self.ends = deque(save for save in self.ends if save[1] < first)

    def begin_anew(self, base: Position) -> None:
        """The log is empty and follows `base`, which a snapshot has brought."""
        self._reset = base
        self._unsaved_first = base.index + 1
        self.ends.clear()

    def take(self, *, term: int, vote: NodeId, log: Log, now: int) -> Save | None:
        """All that must become durable and was given to no save; None if nothing must."""
        first, last = self._unsaved_first, log.last.index
        if self.holding_all(last) == self.given:
            return None
        entries: Sequence[Entry] = ()
        if first <= last:
            entries = log.slice(first, last, bytes_max=1 << 62, entries_max=1 << 62)
            assert entries[-1].index == last, "unsaved entries are all in memory"
        state = HardState(term, vote) if self._state_in > self.given else None
        self.given += 1
        save = Save(self.given, state, entries, self._reset)
        self.ends.append((self.given, last))
        self._begun.append((self.given, now))
        self._unsaved_first, self._reset = last + 1, None
        return save

    def finish(self, number: int) -> int:
        """This save is durable, and all before it; up to where the log is by them, or 0."""
        assert number <= self.given, "only what was given out can be saved"
        self.done = max(self.done, number)
        while self._begun and self._begun[0][0] <= number:
            self._begun.popleft()
        stored = 0
        while self.ends and self.ends[0][0] <= number:
            stored = max(stored, self.ends.popleft()[1])
        return stored

    @property
    def holding_state(self) -> int:
        """The save after which term and vote, as they are, are durable."""
        return self._state_in

    def holding_all(self, last: int) -> int:
        """The save after which everything is durable, for a log that ends at `last`."""
        waits = (
            self._state_in > self.given or self._reset is not None or self._unsaved_first <= last
        )
        return self.given + 1 if waits else self.given

    @property
    def begun_at(self) -> int | None:
        """Since when the oldest save under way is; None if none is."""
        return self._begun[0][1] if self._begun else None
