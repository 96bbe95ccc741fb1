"""What one node of a script has on disk, and what it has only handed over to be written."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from raftsql.raft.log import Log
from raftsql.raft.messages import ORIGIN, Entry, HardState, Position
from raftsql.raft.ready import Save


class Disk:
    """Term, vote and log as they would be found after a crash, and the writes under way."""

    def __init__(self, state: HardState, entries: Sequence[Entry], base: Position = ORIGIN) -> None:
        """Start with all of this durable."""
        self.state = state
        self.base = base
        self.entries = list(entries)
        self.writing: deque[Save] = deque()
        self.writes = 0
        """How many writes became durable, in all."""

    @property
    def last(self) -> int:
        """The index of the last durable entry."""
        return self.base.index + len(self.entries)

    def write(self, save: Save) -> None:
        """Take a write; it is durable after `sync`."""
        self.writing.append(save)

    def sync(self) -> int:
        """Make the oldest write durable: its number."""
        save = self.writing.popleft()
        self.writes += 1
        if save.reset is not None:
            self.base, self.entries = save.reset, []
        if save.entries:
            first = save.entries[0].index
            assert self.base.index < first <= self.last + 1, "a write leaves a gap in the journal"
            del self.entries[first - self.base.index - 1 :]
            self.entries.extend(save.entries)
        if save.state is not None:
            assert save.state.term >= self.state.term, "a term on disk never goes back"
            self.state = save.state
        newest = self.entries[-1].term if self.entries else self.base.term
        assert newest <= self.state.term, "a term is durable no later than its entries"
        return save.number

    def crash(self) -> None:
        """Lose what was not durable."""
        self.writing.clear()

    def read(self, first: int, last: int, bytes_max: int) -> Sequence[Entry]:
        """Durable entries from `first` on, at least one."""
        assert self.base.index < first <= last <= self.last, f"no entries {first}..{last} on disk"
        found = self.entries[first - self.base.index - 1 : last - self.base.index]
        size = 0
        for count, entry in enumerate(found):
            size += len(entry.payload)
            if size > bytes_max and count > 0:
                return found[:count]
        return found

    def compact(self, upto: int) -> None:
        """Drop durable entries up to and with `upto`."""
        if upto > self.base.index:
            entry = self.entries[upto - self.base.index - 1]
            del self.entries[: upto - self.base.index]
            self.base = Position(upto, entry.term)

    def holds(self, position: Position) -> bool:
        """Whether the durable log has this entry, or starts right after it."""
        if position == self.base:
            return True
        place = position.index - self.base.index - 1
        return 0 <= place < len(self.entries) and self.entries[place].term == position.term

    def log(self, applied: Position) -> Log:
        """The log that a node starts with, whose state machine stands at `applied`.

        Where the journal does not hold that position (a snapshot was installed, and the crash
        came before the journal knew), the journal starts anew after it.
        """
        if not self.holds(applied):
            self.base, self.entries = applied, []
        runs: list[Position] = []
        for entry in self.entries:
            if not runs or runs[-1].term != entry.term:
                runs.append(Position(entry.index, entry.term))
        return Log(
            base=self.base, runs=runs, last_index=self.last, applied=applied.index, read=self.read
        )
