"""The log as consensus sees it: terms of all of it, entries of its end, the rest on disk.

The core must know every entry's term at once, but its payload only for the newest entries: those
not yet stored, not yet applied, or just about to be sent. So the log keeps *runs* (where each
term starts: a handful of numbers for a log of millions) and a *tail* of entries. What lies
before the tail is read back through a function that the caller gave.

Pointers, always in this order: base <= applied <= committed <= last, applied <= stored <= last.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

from raftsql.raft.messages import ORIGIN, Entry, Position

ReadEntries = Callable[[int, int, int], Sequence[Entry]]
"""(first, last, bytes_max) -> the stored entries from first on, at least one, last included."""


def read_nothing(first: int, last: int, bytes_max: int) -> Sequence[Entry]:
    """The reader of a log that has nothing on disk."""
    raise AssertionError(f"entries {first}..{last} are neither in memory nor on disk")


class Log:
    """A sequence of entries after `base`, of which the end is in memory."""

    __slots__ = (
        "base", "last", "stored", "committed", "applied",
        "_run_firsts", "_run_terms", "_read", "_tail", "_tail_first", "_tail_bytes",
    )  # fmt: skip

    def __init__(
        self,
        *,
        base: Position = ORIGIN,
        runs: Sequence[Position] = (),
        last_index: int | None = None,
        applied: int | None = None,
        read: ReadEntries = read_nothing,
    ) -> None:
        """Take up what is on disk: `runs` are the first positions of each term after `base`."""
        self.base = base
        self._run_firsts = [run.index for run in runs]
        self._run_terms = [run.term for run in runs]
        last_index = base.index if last_index is None else last_index
        self.last = Position(last_index, runs[-1].term if runs else base.term)
        self.stored = last_index
        self.applied = base.index if applied is None else applied
        self.committed = self.applied
        self._read = read
        self._tail: list[Entry] = []
        self._tail_first = last_index + 1
        self._tail_bytes = 0
        assert base.index <= self.applied <= last_index, "the log must hold what was applied"

    def term(self, index: int) -> int | None:
        """The term of the entry at `index`; None where this log knows nothing."""
        if index == self.base.index:
            return self.base.term
        if not self.base.index < index <= self.last.index:
            return None
        if index >= self._tail_first:
            return self._tail[index - self._tail_first].term
        return self._run_terms[bisect_right(self._run_firsts, index) - 1]

    def position(self, index: int) -> Position:
        """The position of an index that the log must know."""
        term = self.term(index)
        assert term is not None, f"entry {index} is not in the log"
        return Position(index, term)

    def holds(self, position: Position) -> bool:
        """Whether the entry at this place is of this term (Raft 5.3, log matching)."""
        return self.term(position.index) == position.term

    def up_to_date(self, other: Position) -> bool:
        """Whether a log that ends at `other` is at least as new as this one (Raft 5.4.1)."""
        return (other.term, other.index) >= (self.last.term, self.last.index)

    def newest_at_most(self, limit: Position) -> Position:
        """The last place at or below `limit.index` whose term is at most `limit.term`.

        Both sides of a conflict use it, so that each skips whole terms the other can't have.
        """
        index = min(limit.index, self.last.index)
        while index > self.base.index:
            term = self.term(index)
            assert term is not None, "every entry between base and last has a term"
            if term <= limit.term:
                return Position(index, term)
            index = self._run_firsts[bisect_right(self._run_firsts, index) - 1] - 1
        return self.base

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries that follow the last one."""
        for entry in entries:
            assert entry.index == self.last.index + 1, "entries must follow each other"
            assert entry.term >= self.last.term, "terms never fall along a log"
            if entry.term != self.last.term or not self._run_firsts:
                self._run_firsts.append(entry.index)
                self._run_terms.append(entry.term)
            self._tail.append(entry)
            self._tail_bytes += len(entry.payload)
            self.last = Position(entry.index, entry.term)

    def truncate(self, first: int) -> None:
        """Forget the entry at `first` and all after it: they conflict with the leader's log."""
        assert first > self.committed, (
            f"a committed entry never changes: {first} conflicts, {self.committed} is committed"
        )
        assert first > self.base.index, "what lies up to the base is no part of the log"
        if first < self._tail_first:
            self._tail, self._tail_first, self._tail_bytes = [], first, 0
        else:
            dropped = self._tail[first - self._tail_first :]
            del self._tail[first - self._tail_first :]
            self._tail_bytes -= sum(len(entry.payload) for entry in dropped)
        while self._run_firsts and self._run_firsts[-1] >= first:
            del self._run_firsts[-1], self._run_terms[-1]
        last_term = self._run_terms[-1] if self._run_terms else self.base.term
        self.last = Position(first - 1, last_term)
        self.stored = min(self.stored, first - 1)

    def slice(self, first: int, last: int, *, bytes_max: int, entries_max: int) -> Sequence[Entry]:
        """Entries from `first` to at most `last`: at least one, then as many as fit."""
        assert self.base.index < first <= last <= self.last.index, f"no entries {first}..{last}"
        last = min(last, first + entries_max - 1)
        if first < self._tail_first:
            return self._read(first, min(last, self._tail_first - 1), bytes_max)
        entries = self._tail[first - self._tail_first : last - self._tail_first + 1]
        size = 0
        for count, entry in enumerate(entries):
            size += len(entry.payload)
            if size > bytes_max and count > 0:
                return entries[:count]
        return entries

    def compact(self, upto: int) -> None:
        """Forget entries up to and with `upto`; they live on in the applied state only."""
        assert upto <= self.applied, "only what is applied may be compacted"
        assert upto <= self.stored, "only what is stored may be compacted"
        if upto <= self.base.index:
            return
        self.base = self.position(upto)
        keep = bisect_right(self._run_firsts, upto) - 1
        del self._run_firsts[:keep], self._run_terms[:keep]
        if self.last.index == upto:
            self._run_firsts, self._run_terms = [], []
        else:
            next_term = self.term(upto + 1)
            if next_term == self._run_terms[0]:
                self._run_firsts[0] = upto + 1
            else:
                del self._run_firsts[0], self._run_terms[0]
        self._forget(upto)

    def trim_tail(self, *, bytes_max: int, entries_max: int) -> None:
        """Let go of the oldest entries in memory that are stored and applied, beyond the bounds."""
        if self._tail_bytes <= bytes_max and len(self._tail) <= entries_max:
            return
        limit = min(self.applied, self.stored)
        size, upto = self._tail_bytes, self._tail_first - 1
        while upto < limit and (
            size > bytes_max // 2 or self.last.index - upto > max(entries_max // 2, 1)
        ):
            upto += 1
            size -= len(self._tail[upto - self._tail_first].payload)
        self._forget(upto)

    def _forget(self, upto: int) -> None:
        count = min(upto + 1 - self._tail_first, len(self._tail))
        if count > 0:
            self._tail_bytes -= sum(len(entry.payload) for entry in self._tail[:count])
            del self._tail[:count]
            self._tail_first += count
        elif not self._tail:
            self._tail_first = self.last.index + 1

    def reset(self, base: Position) -> None:
        """Start anew after a snapshot: the log is empty and follows `base`."""
        assert base.index > self.committed, "a snapshot may only move the log forward"
        self.base = self.last = base
        self.stored = self.committed = self.applied = base.index
        self._run_firsts, self._run_terms = [], []
        self._tail, self._tail_first, self._tail_bytes = [], base.index + 1, 0
