"""A node's journal in memory, at the level of a Save: what is durable, and what is on its way.

Saves become durable in the order they were given, each some time after it was given. A crash
keeps any number of the first ones and a piece of the next: its term and vote, or those and some of
its entries. Nothing that was durable is ever lost, and nothing is kept out of order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from random import Random

from raftsql.raft.messages import ORIGIN, Entry, HardState, Position
from raftsql.raft.ready import Save


class Disk:
    """The journal of one node."""

    __slots__ = ("base", "entries", "on_loss", "pending", "state")

    def __init__(self, state: HardState, entries: Sequence[Entry] = ()) -> None:
        self.on_loss: Callable[[Sequence[Entry]], None] = lambda lost: None
        """Told of the durable entries that a truncation or a reset takes away."""
        self.state = state
        self.base = ORIGIN
        self.entries = list(entries)
        """Entry base.index + 1 and those that follow it."""
        self.pending: deque[Save] = deque()

    @property
    def last(self) -> Position:
        """Where the durable log ends."""
        if not self.entries:
            return self.base
        return Position(self.entries[-1].index, self.entries[-1].term)

    def holds(self, position: Position) -> bool:
        """Whether the durable log has this entry, or stands on it."""
        return self.term(position.index) == position.term

    def term(self, index: int) -> int | None:
        """The term of a durable entry, or of the base."""
        if index == self.base.index:
            return self.base.term
        place = index - self.base.index - 1
        return self.entries[place].term if 0 <= place < len(self.entries) else None

    def runs(self) -> list[Position]:
        """Where each term starts."""
        runs: list[Position] = []
        for entry in self.entries:
            if not runs or runs[-1].term != entry.term:
                runs.append(Position(entry.index, entry.term))
        return runs

    def read(self, first: int, last: int, bytes_max: int) -> list[Entry]:
        """What the core reads back: only ever what it was told is durable."""
        assert self.base.index < first <= last, f"disk: {first}..{last} is compacted away"
        place = first - self.base.index - 1
        found = self.entries[place : place + last - first + 1]
        assert len(found) == last - first + 1, f"disk: {first}..{last} is read but not durable"
        size = 0
        for count, entry in enumerate(found):
            size += len(entry.payload)
            if size > bytes_max and count:
                return found[:count]
        return found

    def finish(self) -> int:
        """The oldest save on its way becomes durable; its number."""
        save = self.pending.popleft()
        self._write(save, len(save.entries))
        return save.number

    def crash(self, chance: Random) -> None:
        """The machine stops: some of what was on its way arrived."""
        keep = chance.randrange(len(self.pending) + 1) if self.pending else 0
        for _ in range(keep):
            self.finish()
        if self.pending and chance.random() < 0.5:
            torn = self.pending[0]
            self._write(torn, chance.randrange(len(torn.entries) + 1))
        self.pending.clear()

    def reset(self, base: Position) -> None:
        """Start the log anew after `base`, durably."""
        self.on_loss(self.entries[max(0, base.index - self.base.index) :])
        self.base, self.entries = base, []

    def compact(self, upto: int) -> None:
        """Forget the entries up to there."""
        if upto > self.base.index:
            place = upto - self.base.index
            entry = self.entries[place - 1]
            assert entry.index == upto
            self.base = Position(upto, entry.term)
            del self.entries[:place]

    def _write(self, save: Save, count: int) -> None:
        """State first, then the reset, then so many of the entries, replacing what is there."""
        if save.state is not None:
            assert save.state.term >= self.state.term, "durable: a term never goes back"
            if save.state.term == self.state.term and self.state.vote:
                assert save.state.vote == self.state.vote, "durable: a vote is never taken back"
            self.state = save.state
        if save.reset is not None:
            assert save.reset.index >= self.base.index, "durable: a base never goes back"
            self.reset(save.reset)
        if not save.entries:
            return
        assert save.entries[-1].term <= self.state.term, (
            "durable: a term is durable no later than its entries"
        )
        place = bisect_left(self.entries, save.entries[0].index, key=lambda entry: entry.index)
        assert self.base.index + place + 1 == save.entries[0].index, "durable: a gap in the log"
        if place < len(self.entries):
            self.on_loss(self.entries[place:])
        self.entries[place:] = save.entries[:count]
