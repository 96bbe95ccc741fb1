"""Writes that wait: in order, bounded, each answered once, and never told a guess."""

from __future__ import annotations

import pytest

from raftsql.cluster import proposals, requests
from raftsql.cluster.proposals import Proposals
from raftsql.cluster.requests import Write
from raftsql.raft.messages import Entry, EntryKind
from raftsql.raft.ready import Proposed
from raftsql.sql.commands import CommandKind, Done, Why, encode
from tests.cluster.stage import Heard, Stage, command, noop

DONE = encode(Done(1, 0))


def a_write(body: bytes = b"x", *, session: int = 0, deadline_ms: int = 0) -> Write:
    return Write(CommandKind.EXECUTE, body, Heard(), session=session, deadline_ms=deadline_ms)


def heard(write: Write) -> Heard:
    assert isinstance(write.reply, Heard)
    return write.reply


def entry(index: int, term: int) -> Entry:
    return Entry(term, index, EntryKind.COMMAND, b"")


def in_the_log(waiting: Proposals, *writes: Write, first: int = 5, term: int = 2) -> None:
    for write in writes:
        waiting.gather(write)
    batch = waiting.take(entries_max=100, bytes_max=1 << 20)
    waiting.proposed(batch, Proposed(first, term))


def test_writes_are_taken_in_order_of_arrival() -> None:
    waiting = Proposals()
    writes = [a_write() for _ in range(5)]
    for write in writes:
        waiting.gather(write)
    assert waiting.take(entries_max=3, bytes_max=100) == writes[:3]
    assert waiting.take(entries_max=3, bytes_max=100) == writes[3:]


def test_a_batch_is_bounded_in_bytes_but_takes_one_write_however_large() -> None:
    waiting = Proposals()
    for size in (100, 4, 4, 4):
        waiting.gather(a_write(b"x" * size))
    sizes = []
    while waiting.gathered:
        batch = waiting.take(entries_max=100, bytes_max=8)
        sizes.append([len(w.body) for w in batch])
    assert sizes == [[100], [4, 4], [4]]


def test_one_write_too_many_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "GATHERED_MAX", 2)
    waiting = Proposals()
    writes = [a_write() for _ in range(3)]
    for write in writes:
        waiting.gather(write)
    assert [heard(w).whys for w in writes] == [[], [], [Why.OVERLOADED]]


def test_bytes_that_wait_are_bounded_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "GATHERED_BYTES_MAX", 10)
    waiting = Proposals()
    waiting.gather(a_write(b"x" * 8))
    late = a_write(b"x" * 8)
    waiting.gather(late)
    assert heard(late).why is Why.OVERLOADED
    waiting.take(entries_max=9, bytes_max=99)
    again = a_write(b"x" * 8)
    waiting.gather(again)
    assert heard(again).times == 0


def test_a_write_larger_than_the_bound_passes_when_nobody_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(proposals, "GATHERED_BYTES_MAX", 10)
    waiting = Proposals()
    waiting.gather(a_write(b"x" * 100))
    assert len(waiting.gathered) == 1


def test_an_applied_entry_answers_its_write() -> None:
    waiting, write = Proposals(), a_write()
    in_the_log(waiting, write)
    waiting.answer([entry(4, 2), entry(5, 2)], [None, DONE])
    assert heard(write).done == Done(1, 0)
    assert heard(write).indexes == [5]
    assert len(waiting) == 0


def test_another_terms_entry_in_its_place_says_that_it_never_happened() -> None:
    waiting, write = Proposals(), a_write()
    in_the_log(waiting, write)
    waiting.answer([entry(5, 3)], [DONE])
    assert heard(write).why is Why.NOT_LEADER


def test_an_entry_that_was_passed_by_is_not_said_never_to_have_happened() -> None:
    """Another node's snapshot took the database past it: it is committed, and its answer there."""
    waiting, write = Proposals(), a_write()
    in_the_log(waiting, write)
    waiting.answer([entry(5, 2)], [None])
    assert heard(write).why is Why.UNKNOWN


def test_a_lost_lead_refuses_what_gathered_and_does_not_guess_about_the_rest() -> None:
    waiting = Proposals()
    proposed = a_write(session=8)
    in_the_log(waiting, proposed)
    gathered = a_write(session=8)
    waiting.gather(gathered)
    waiting.lead_lost(3)
    assert heard(gathered).why is Why.NOT_LEADER
    assert heard(proposed).why is Why.UNKNOWN


def test_a_write_that_can_not_be_asked_about_again_waits_for_its_fate() -> None:
    waiting, write = Proposals(), a_write()
    in_the_log(waiting, write)
    waiting.lead_lost(3)
    assert heard(write).times == 0
    waiting.answer([entry(5, 2)], [DONE])
    assert heard(write).done == Done(1, 0)


def test_a_write_whose_place_is_proposed_anew_is_answered_too() -> None:
    """The node lost the lead, its log was cut, it leads again: the old entry is nowhere here,
    but it may still be in another node's log."""
    waiting, old, new = Proposals(), a_write(), a_write()
    in_the_log(waiting, old, first=5, term=2)
    waiting.lead_lost(0)
    in_the_log(waiting, new, first=5, term=4)
    assert heard(old).why is Why.UNKNOWN
    waiting.answer([entry(5, 4)], [DONE])
    assert heard(new).done == Done(1, 0)


def test_a_snapshot_over_a_writes_place_leaves_it_unknown() -> None:
    waiting, below, above = Proposals(), a_write(), a_write()
    in_the_log(waiting, below, above)
    waiting.skipped(5)
    assert heard(below).why is Why.UNKNOWN
    assert heard(above).times == 0


def test_time_is_up_before_and_after_it_was_proposed() -> None:
    waiting = Proposals()
    proposed = a_write(deadline_ms=100)
    in_the_log(waiting, proposed)
    gathered, patient = a_write(deadline_ms=100), a_write()
    waiting.gather(gathered)
    waiting.gather(patient)
    waiting.expire(99)
    assert heard(gathered).times == heard(proposed).times == 0
    waiting.expire(100)
    assert heard(gathered).why is Why.TIMEOUT
    assert heard(proposed).why is Why.UNKNOWN
    assert list(waiting.gathered) == [patient]


def test_a_stopping_node_answers_everybody_once() -> None:
    waiting = Proposals()
    proposed = a_write(session=1)
    in_the_log(waiting, proposed)
    gathered = a_write()
    waiting.gather(gathered)
    waiting.stop()
    waiting.stop()
    assert heard(gathered).why is Why.SHUTTING_DOWN
    assert heard(proposed).why is Why.UNKNOWN


def test_a_deposed_leaders_write_comes_through_the_new_leaders_log(leader: Stage) -> None:
    write = leader.write("INSERT INTO t (y) VALUES ('mine')")
    leader.pump()
    place = leader.node.log.last
    kept = leader.node.log.slice(place.index, place.index, bytes_max=1 << 20, entries_max=1)
    leader.lose_lead()
    assert write.times == 0
    leader.replicate(noop(place.index + 1, leader.node.term))
    assert write.done.changes == 1
    assert leader.rows("SELECT y FROM t") == [["mine"]]
    assert kept[0].term < leader.node.term


def test_a_write_that_the_new_leader_does_not_have_never_happened(leader: Stage) -> None:
    write = leader.write("INSERT INTO t (y) VALUES ('mine')")
    leader.pump()
    index = leader.node.log.last.index
    leader.lose_lead()
    leader.replicate(
        noop(index, leader.node.term),
        command(index + 1, leader.node.term, "INSERT INTO t (y) VALUES ('theirs')"),
    )
    assert write.why is Why.NOT_LEADER
    assert leader.rows("SELECT y FROM t") == [["theirs"]]


class Noted:
    """A watcher that remembers how far its write came."""

    def __init__(self) -> None:
        self.stages: list[tuple[requests.Stage, int]] = []

    def reached(self, stage: requests.Stage, index: int = 0) -> None:
        self.stages.append((stage, index))


def test_who_watches_a_write_hears_of_each_stage_once() -> None:
    waiting, first, second = Proposals(), a_write(), a_write()
    first.watcher, second.watcher = Noted(), Noted()
    in_the_log(waiting, first, second, first=5)
    for upto in (4, 5, 5, 9):
        waiting.committed(upto)
    assert first.watcher.stages == [(requests.Stage.PROPOSED, 5), (requests.Stage.COMMITTED, 0)]
    assert second.watcher.stages == [(requests.Stage.PROPOSED, 6), (requests.Stage.COMMITTED, 0)]
    assert waiting.watched == []


def test_a_lead_that_was_lost_vouches_for_no_commit() -> None:
    waiting, write = Proposals(), a_write(session=1)
    write.watcher = Noted()
    in_the_log(waiting, write, first=5)
    waiting.lead_lost(2)
    waiting.committed(5)
    assert write.watcher.stages == [(requests.Stage.PROPOSED, 5)]
