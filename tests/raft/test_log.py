"""The log, compared with a plain list of (term, payload), whatever happens to it in any order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from raftsql.raft.log import Log
from raftsql.raft.messages import ORIGIN, Entry, EntryKind, Position


def entry(index: int, term: int, size: int = 1) -> Entry:
    return Entry(term, index, EntryKind.COMMAND, bytes(size))


def made(*terms: int) -> Log:
    log = Log()
    log.append([entry(index, term) for index, term in enumerate(terms, 1)])
    return log


class LogMachine(RuleBasedStateMachine):
    """`entries[i]` is the entry at index i + 1; those up to `base` are gone from the log."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Entry] = []
        self.disk: list[Entry] = []
        self.log = Log(read=self.read)

    def read(self, first: int, last: int, bytes_max: int) -> Sequence[Entry]:
        assert self.log.base.index < first <= last <= self.log.stored, "only what is stored is read"
        found = self.disk[first - 1 : last]
        return found[: max(1, bytes_max // 8)]

    @property
    def last(self) -> int:
        return len(self.entries)

    @rule(sizes=st.lists(st.integers(0, 20), max_size=6), rise=st.integers(0, 3))
    def append(self, sizes: list[int], rise: int) -> None:
        term = self.log.last.term + rise
        new = [entry(self.last + n, term or 1, size) for n, size in enumerate(sizes, 1)]
        self.log.append(new)
        self.entries += new

    @precondition(lambda self: self.last > self.log.committed)
    @rule(data=st.data())
    def truncate(self, data: st.DataObject) -> None:
        first = data.draw(st.integers(self.log.committed + 1, self.last))
        self.log.truncate(first)
        del self.entries[first - 1 :]
        del self.disk[first - 1 :]

    @rule(data=st.data())
    def store(self, data: st.DataObject) -> None:
        self.log.stored = data.draw(st.integers(self.log.stored, self.last))
        self.disk = self.entries[: self.log.stored]

    @rule(data=st.data())
    def commit_and_apply(self, data: st.DataObject) -> None:
        self.log.committed = data.draw(st.integers(self.log.committed, self.last))
        upto = min(self.log.committed, self.log.stored)
        if upto > self.log.applied:
            self.log.applied = data.draw(st.integers(self.log.applied, upto))

    @rule(data=st.data())
    def compact(self, data: st.DataObject) -> None:
        self.log.compact(data.draw(st.integers(0, self.log.applied)))

    @rule(bytes_max=st.integers(0, 40), entries_max=st.integers(0, 8))
    def trim(self, bytes_max: int, entries_max: int) -> None:
        self.log.trim_tail(bytes_max=bytes_max, entries_max=entries_max)

    @rule(skip=st.integers(1, 5), rise=st.integers(0, 2))
    def reset(self, skip: int, rise: int) -> None:
        base = Position(self.last + skip, max(1, self.log.last.term + rise))
        gone = [entry(index, base.term) for index in range(self.last + 1, base.index + 1)]
        self.log.reset(base)
        self.entries += gone
        self.disk = list(self.entries)

    @rule()
    def restart(self) -> None:
        del self.entries[self.log.stored :]
        base = self.log.base
        runs: list[Position] = []
        for it in self.entries[base.index :]:
            if not runs or runs[-1].term != it.term:
                runs.append(Position(it.index, it.term))
        applied = self.log.applied
        self.log = Log(base=base, runs=runs, last_index=self.last, applied=applied, read=self.read)

    @invariant()
    def terms_are_known_from_the_base_on(self) -> None:
        log = self.log
        for index in range(-1, self.last + 3):
            known = log.base.index <= index <= self.last
            naive = (self.entries[index - 1].term if index else 0) if known else None
            assert log.term(index) == naive
        end = self.entries[-1] if self.entries else None
        assert log.last == (Position(end.index, end.term) if end else ORIGIN)

    @invariant()
    def slices_are_what_was_appended(self) -> None:
        log = self.log
        for first in range(log.base.index + 1, self.last + 1):
            for entries_max in (1, 3, 100):
                found = log.slice(first, self.last, bytes_max=16, entries_max=entries_max)
                assert 1 <= len(found) <= entries_max
                assert list(found) == self.entries[first - 1 : first - 1 + len(found)]

    @invariant()
    def hints_are_the_last_place_of_no_later_term(self) -> None:
        log = self.log
        for index in range(log.base.index, self.last + 2):
            for term in range(log.last.term + 2):
                found = log.newest_at_most(Position(index, term))
                places = range(log.base.index + 1, min(index, self.last) + 1)
                fit = [i for i in places if self.entries[i - 1].term <= term]
                assert found == (log.position(fit[-1]) if fit else log.base)

    @invariant()
    def pointers_are_in_order(self) -> None:
        log = self.log
        assert log.base.index <= log.applied <= log.committed <= log.last.index
        assert log.applied <= log.stored <= log.last.index


TestLogAgainstAList = LogMachine.TestCase
TestLogAgainstAList.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, derandomize=True
)


def test_entries_follow_each_other() -> None:
    with pytest.raises(AssertionError, match="entries must follow each other"):
        made(1).append([entry(3, 1)])


def test_terms_never_fall_along_a_log() -> None:
    with pytest.raises(AssertionError, match="terms never fall along a log"):
        made(2).append([entry(2, 1)])


def test_a_committed_entry_is_not_truncated() -> None:
    log = made(1, 1, 1)
    log.committed = 2
    with pytest.raises(AssertionError, match="a committed entry never changes"):
        log.truncate(2)


def test_what_is_not_applied_or_stored_is_not_compacted() -> None:
    log = made(1, 1, 1)
    log.committed = log.applied = 2
    with pytest.raises(AssertionError, match="stored"):
        log.compact(2)
    log.stored = 3
    with pytest.raises(AssertionError, match="applied"):
        log.compact(3)


def test_a_snapshot_moves_a_log_forward_only() -> None:
    log = made(1, 1, 1)
    log.committed = 3
    with pytest.raises(AssertionError, match="only move the log forward"):
        log.reset(Position(3, 1))


def test_a_log_does_not_start_without_what_was_applied() -> None:
    with pytest.raises(AssertionError, match="must hold what was applied"):
        Log(runs=[Position(1, 1)], last_index=2, applied=3)


def test_a_log_with_nothing_on_disk_reads_nothing() -> None:
    log = Log(runs=[Position(1, 1)], last_index=1, applied=0)
    with pytest.raises(AssertionError, match="neither in memory nor on disk"):
        log.slice(1, 1, bytes_max=1, entries_max=1)


@pytest.mark.parametrize(
    ("ours", "other", "new_enough"),
    [
        ((), (0, 0), True),
        ((1,), (1, 1), True),
        ((1, 1), (1, 1), False),
        ((1, 1), (1, 2), True),
        ((2,), (9, 1), False),
        ((1, 1, 1), (1, 2), True),
    ],
)
def test_the_later_last_term_wins_then_the_longer_log(
    ours: tuple[int, ...], other: tuple[int, int], new_enough: bool
) -> None:
    """Raft 5.4.1; `other` is (last index, last term)."""
    assert made(*ours).up_to_date(Position(*other)) is new_enough


def test_a_slice_holds_at_least_one_entry_however_large() -> None:
    log = Log()
    log.append([entry(1, 1, 500), entry(2, 1, 500)])
    assert len(log.slice(1, 2, bytes_max=10, entries_max=10)) == 1


def test_trimming_keeps_what_is_not_stored_or_applied() -> None:
    log = made(1, 1, 1, 1)
    log.trim_tail(bytes_max=0, entries_max=0)
    assert len(log.slice(1, 4, bytes_max=100, entries_max=100)) == 4
