"""What the disk is given: numbered, only what is new, and never a proof of what was taken back."""

from __future__ import annotations

import pytest

from raftsql.raft.log import Log
from raftsql.raft.messages import Entry, EntryKind, HardState, Position
from raftsql.raft.ready import Save
from raftsql.raft.saves import Saves


class Bench:
    """Saves beside the log that they are of."""

    def __init__(self) -> None:
        self.log = Log()
        self.saves = Saves(unsaved_first=1)

    def append(self, term: int, *indexes: int) -> None:
        self.log.append([Entry(term, index, EntryKind.COMMAND, b"x") for index in indexes])

    def take(self, *, term: int = 1, now: int = 0) -> Save | None:
        return self.saves.take(term=term, vote=0, log=self.log, now=now)

    def taken(self, *, term: int = 1, now: int = 0) -> Save:
        save = self.take(term=term, now=now)
        assert save is not None, "there is something to save"
        return save

    @property
    def holding_all(self) -> int:
        return self.saves.holding_all(self.log.last.index)


def test_nothing_new_is_nothing_to_save() -> None:
    bench = Bench()
    assert bench.take() is None
    assert bench.holding_all == bench.saves.done


def test_term_and_vote_are_saved_when_they_changed_and_only_then() -> None:
    bench = Bench()
    bench.saves.state_changed()
    assert bench.saves.holding_state == 1
    assert bench.taken(term=5).state == HardState(5, 0)
    bench.append(5, 1)
    assert bench.taken(term=5).state is None
    assert bench.saves.holding_state == 1, "the first save holds them still"


def test_what_is_said_of_all_waits_for_the_save_that_is_still_to_come() -> None:
    bench = Bench()
    bench.append(1, 1, 2)
    assert bench.holding_all == 1
    assert [entry.index for entry in bench.taken().entries] == [1, 2]
    assert bench.holding_all == 1
    bench.append(1, 3)
    assert bench.holding_all == 2
    assert [entry.index for entry in bench.taken().entries] == [3]


def test_a_finished_save_says_up_to_where_the_log_is_stored() -> None:
    bench = Bench()
    for index in (1, 2, 3):
        bench.append(1, index)
        bench.taken()
    assert bench.saves.finish(2) == 2
    assert bench.saves.done == 2
    assert bench.saves.finish(1) == 0, "it is no news"
    assert bench.saves.done == 2
    assert bench.saves.finish(3) == 3


def test_a_save_of_entries_that_were_taken_back_proves_nothing() -> None:
    """Not even if the same index is filled again, by another leader's entry."""
    bench = Bench()
    bench.append(1, 1, 2)
    bench.taken()
    bench.log.truncate(2)
    bench.saves.truncated(2)
    bench.append(2, 2)
    assert bench.saves.finish(1) == 0
    assert [(e.term, e.index) for e in bench.taken(term=2).entries] == [(2, 2)]
    assert bench.saves.finish(2) == 2


def test_after_a_snapshot_the_journal_begins_anew_with_the_next_save() -> None:
    bench = Bench()
    bench.append(1, 1, 2)
    bench.taken()
    bench.log.reset(Position(9, 3))
    bench.saves.begin_anew(Position(9, 3))
    bench.append(3, 10)
    assert bench.saves.finish(1) == 0
    save = bench.taken(term=3)
    assert (save.reset, [entry.index for entry in save.entries]) == (Position(9, 3), [10])
    bench.append(3, 11)
    assert bench.taken(term=3).reset is None


def test_the_oldest_save_under_way_tells_since_when_the_disk_works() -> None:
    bench = Bench()
    assert bench.saves.begun_at is None
    for now, index in ((100, 1), (200, 2)):
        bench.append(1, index)
        bench.taken(now=now)
    assert bench.saves.begun_at == 100
    bench.saves.finish(1)
    assert bench.saves.begun_at == 200
    bench.saves.finish(2)
    assert bench.saves.begun_at is None


def test_only_what_was_given_out_can_be_done() -> None:
    bench = Bench()
    with pytest.raises(AssertionError, match="given out"):
        bench.saves.finish(1)
