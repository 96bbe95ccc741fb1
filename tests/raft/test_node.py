"""The node and its caller: what a Ready holds, what waits for the disk, when to wake."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from raftsql.raft.config import Config
from raftsql.raft.log import Log
from raftsql.raft.membership import Membership, RemoveMember, first_membership_entry
from raftsql.raft.messages import (
    Append,
    AppendAccepted,
    Entry,
    EntryKind,
    Envelope,
    HardState,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    Message,
    Position,
    SnapshotMeta,
    VoteReply,
    VoteRequest,
)
from raftsql.raft.node import Node
from raftsql.raft.ready import Ready, RoleName, Save
from tests.raft.acting import commands
from tests.raft.harness import entries, voters

THREE = voters(1, 2, 3)


def node(*terms: int, members: Membership = THREE, applied: int = 0, **settings: int) -> Node:
    """Node 1, started from a disk that holds a log of these terms."""
    disk = entries(terms, members)
    runs: list[Position] = []
    for entry in disk:
        if not runs or runs[-1].term != entry.term:
            runs.append(Position(entry.index, entry.term))

    def read(first: int, last: int, bytes_max: int) -> Sequence[Entry]:
        return disk[first - 1 : last]

    made = Node(
        Config(node=1, cluster=7, **settings),
        state=HardState(max(terms, default=0), 0),
        log=Log(runs=runs, last_index=len(disk), applied=applied, read=read),
        membership=members if applied else Membership(),
        now=0,
        chance=lambda below: 50 % below,
    )
    made.ready()
    return made


def hear(it: Node, message: Message, *, source: int = 2, now: int = 300) -> Ready:
    it.step(Envelope(7, source, 1, message), now)
    return it.ready()


def messages(ready: Ready) -> list[Message]:
    return [envelope.message for envelope in ready.messages]


def single() -> Node:
    """Node 1 alone, leading, with everything durable and applied."""
    it = node(1, members=voters(1))
    it.tick(1)
    while work(it):
        pass
    assert it.status().role is RoleName.LEADER
    return it


def work(it: Node) -> bool:
    ready = it.ready()
    if ready.save:
        it.saved(ready.save.number)
    if ready.committed:
        it.applied(ready.committed[-1].index)
    return bool(ready.save or ready.committed)


def test_nothing_is_asked_for_twice() -> None:
    it = node(1)
    first = hear(it, Append(2, Position(1, 1), commands((2, 2)), 1, probe=0))
    assert first.save == Save(1, HardState(2, 0), commands((2, 2)), None)
    assert it.ready() == Ready()


def test_saves_are_numbered_and_hold_only_what_is_new() -> None:
    it = node(1)
    hear(it, Append(2, Position(1, 1), commands((2, 2)), 1, probe=0))
    second = hear(it, Append(2, Position(2, 2), commands((3, 2)), 1, probe=0))
    assert second.save == Save(2, None, commands((3, 2)), None)


def test_a_save_after_a_truncation_starts_where_the_log_changed() -> None:
    it = node(1)
    hear(it, Append(2, Position(1, 1), commands((2, 2), (3, 2)), 1, probe=0))
    third = hear(it, Append(3, Position(1, 1), commands((2, 3)), 1, probe=0), source=3)
    assert third.save == Save(2, HardState(3, 0), commands((2, 3)), None)


def test_what_was_not_given_out_is_not_saved_or_applied() -> None:
    it = node(1)
    with pytest.raises(AssertionError, match="only what was given out can be saved"):
        it.saved(1)
    with pytest.raises(AssertionError, match="only what was given out can be applied"):
        it.applied(1)


def test_what_was_not_given_out_is_not_installed() -> None:
    with pytest.raises(AssertionError, match="only what was given out can be installed"):
        node(1).installed(SnapshotMeta(Position(9, 1), THREE.encode()))


def test_the_newest_of_acknowledgements_that_wait_for_one_write_says_it_all() -> None:
    it = node(1)
    it.step(Envelope(7, 2, 1, Append(2, Position(1, 1), commands((2, 2)), 1, probe=3)), 300)
    it.step(Envelope(7, 2, 1, Append(2, Position(2, 2), commands((3, 2)), 1, probe=4)), 300)
    ready = it.ready()
    assert messages(ready) == []
    assert ready.save
    it.saved(ready.save.number)
    assert messages(it.ready()) == [AppendAccepted(2, match=3, probe=4)]


def test_acknowledgements_leave_in_the_order_of_their_writes() -> None:
    it = node(1)
    first = hear(it, Append(2, Position(1, 1), commands((2, 2)), 1, probe=0))
    second = hear(it, Append(2, Position(2, 2), commands((3, 2)), 1, probe=0))
    assert first.save
    assert second.save
    it.saved(first.save.number)
    assert messages(it.ready()) == [AppendAccepted(2, match=2, probe=0)]
    it.saved(second.save.number)
    assert messages(it.ready()) == [AppendAccepted(2, match=3, probe=0)]


def test_an_answer_to_a_heartbeat_waits_for_the_term_alone() -> None:
    """Not for entries: a slow disk must not cost the leader its quorum."""
    it = node(1)
    ready = hear(it, Append(2, Position(1, 1), commands((2, 2)), 1, probe=0))
    assert ready.save
    it.saved(ready.save.number)
    hear(it, Append(2, Position(2, 2), commands((3, 2)), 1, probe=0))
    assert HeartbeatReply(2, probe=9) in messages(hear(it, Heartbeat(2, 2, probe=9)))


def test_an_answer_to_a_heartbeat_of_a_new_term_waits_for_that_term() -> None:
    it = node(1)
    ready = hear(it, Heartbeat(2, 0, probe=9))
    assert messages(ready) == []
    assert ready.save
    it.saved(ready.save.number)
    assert messages(it.ready()) == [HeartbeatReply(2, probe=9)]


def test_a_promise_of_a_vote_waits_for_nothing() -> None:
    it = node(1)
    ready = hear(it, VoteRequest(2, Position(1, 1), pre=True, forced=False))
    assert messages(ready) == [VoteReply(2, True, pre=True)]
    assert ready.save is None


def test_entries_are_given_out_to_be_applied_once_and_in_bounded_batches() -> None:
    it = node(1, 1, 1, 1, 1, apply_entries_max=2)
    ready = hear(it, Append(1, Position(5, 1), [], 5, probe=0))
    batches = [[entry.index for entry in ready.committed]]
    while committed := it.ready().committed:
        batches.append([entry.index for entry in committed])
    assert batches == [[1, 2], [3, 4], [5]]


def test_a_busy_disk_gathers_one_batch() -> None:
    it = node(1)
    it.step(Envelope(7, 2, 1, Append(2, Position(1, 1), commands((2, 2)), 1, probe=0)), 300)
    assert it.ready(take_save=False).save is None
    ready = hear(it, Append(2, Position(2, 2), commands((3, 2)), 1, probe=0))
    assert ready.save == Save(1, HardState(2, 0), commands((2, 2), (3, 2)), None)


def test_a_busy_state_machine_gathers_one_batch() -> None:
    it = node(1, 1, 1)
    it.step(Envelope(7, 2, 1, Append(1, Position(3, 1), [], 1, probe=0)), 300)
    assert it.ready(take_committed=False).committed == ()
    ready = hear(it, Append(1, Position(3, 1), [], 3, probe=0))
    assert [entry.index for entry in ready.committed] == [1, 2, 3]


def test_memberships_after_the_applied_index_are_found_in_the_log() -> None:
    """Also those that are not committed: they are in force since they were appended."""
    smaller = Membership({2: THREE.members[2]}, (1,))
    disk = [*entries((1, 2), THREE), Entry(2, 3, EntryKind.MEMBERSHIP, smaller.encode())]

    def read(first: int, last: int, bytes_max: int) -> Sequence[Entry]:
        return disk[first - 1 : last][:1]

    again = Node(
        Config(node=1, cluster=7),
        state=HardState(2, 1),
        log=Log(runs=[Position(1, 1), Position(2, 2)], last_index=3, applied=1, read=read),
        membership=THREE,
        now=0,
        chance=lambda below: 0,
    )
    assert again.membership == smaller
    assert not again.removed, "its removal is not committed"


@pytest.mark.parametrize(
    "envelope",
    [
        Envelope(8, 2, 1, Heartbeat(9, 0, probe=0)),
        Envelope(7, 2, 3, Heartbeat(9, 0, probe=0)),
    ],
    ids=["another cluster", "another target"],
)
def test_what_is_meant_for_others_is_ignored(envelope: Envelope) -> None:
    it = node(1)
    it.step(envelope, 300)
    assert it.ready() == Ready()
    assert it.term == 1


def test_a_clock_that_goes_back_is_not_followed() -> None:
    it = node(1)
    it.tick(700)
    it.tick(100)
    assert it.now == 700


def test_nothing_happens_before_the_time_to_wake() -> None:
    for it in (node(1), single(), node(1, members=voters(2, 3))):
        while it.now < 4000:
            due = it.wake_at()
            assert due > it.now
            it.tick(due - 1)
            assert it.ready() == Ready()
            it.tick(due)
            while work(it):
                pass


def test_a_node_may_campaign_as_a_voter_of_its_own_log_only() -> None:
    assert node(1).promotable
    assert not node(1, members=voters(2, 3)).promotable
    assert not node(1, members=voters(2, 3, learners=[1])).promotable


def test_the_role_is_told_when_it_changes() -> None:
    it = node(1)
    ready = hear(it, Heartbeat(2, 0, probe=0), source=3)
    assert ready.changed == (RoleName.FOLLOWER, 2, 3)
    assert hear(it, Heartbeat(2, 0, probe=0), source=3).changed is None


def test_a_status_is_a_picture_of_the_node() -> None:
    it = single()
    status = it.status()
    assert (status.node, status.role, status.term, status.vote, status.leader) == (
        1, RoleName.LEADER, 2, 1, 1,
    )  # fmt: skip
    assert (status.last, status.stored, status.committed, status.applied) == (
        Position(2, 2), 2, 2, 2,
    )  # fmt: skip
    assert status.lease_valid
    assert status.peers == {}


def test_a_snapshot_resets_log_and_journal() -> None:
    it = node(1, 1)
    meta = SnapshotMeta(Position(9, 1), voters(1, 4).encode())
    assert hear(it, InstallSnapshot(1, meta)).install == meta
    it.installed(meta)
    ready = it.ready()
    assert ready.save == Save(1, None, (), Position(9, 1))
    assert messages(ready) == [], "the answer waits for the journal"
    it.saved(1)
    assert messages(it.ready()) == [AppendAccepted(1, match=9, probe=0)]
    assert it.membership.voters == [1, 4]


def test_an_install_that_failed_leaves_the_node_as_it_was() -> None:
    it = node(1, 1)
    hear(it, InstallSnapshot(1, SnapshotMeta(Position(9, 1), THREE.encode())))
    it.install_failed()
    assert it.log.last == Position(2, 1)
    assert it.promotable
    append = Append(1, Position(2, 1), commands((3, 1)), 0, probe=0)
    assert hear(it, append).save == Save(1, None, commands((3, 1)), None)


def test_the_last_voter_can_not_leave() -> None:
    it = single()
    with pytest.raises(Exception, match="last voter"):
        it.change(RemoveMember(1))


def test_a_cluster_is_founded_by_an_entry_that_names_its_members() -> None:
    entry = first_membership_entry(THREE)
    assert (entry.term, entry.index, entry.kind) == (1, 1, EntryKind.MEMBERSHIP)
    assert entry.payload == THREE.encode()
