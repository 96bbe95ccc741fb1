"""One test for each rule of Ongaro's dissertation that we follow; the docstring cites the section.

Consensus: Bridging Theory and Practice (Stanford, 2014): membership, clients, extensions. "Raft" is
the paper, where it says the same.
"""

from __future__ import annotations

import pytest

from raftsql.raft.membership import AddMember, RemoveMember
from raftsql.raft.messages import (
    Append,
    AppendAccepted,
    Entry,
    EntryKind,
    Position,
    VoteReply,
    VoteRequest,
)
from raftsql.raft.ready import Refused, RoleName
from tests.raft.acting import answers, follower, leading, vote_request
from tests.raft.harness import Cluster
from tests.raft.wire import Pattern

# Section 6 and thesis 4: membership.


def test_a_membership_is_used_from_the_moment_it_is_in_the_log() -> None:
    """Thesis 4.1: "a server always uses the latest configuration in its log"."""
    cluster = leading(1, 2, 3)
    cluster.do(1, lambda node: node.change(RemoveMember(3)))
    assert cluster[1].membership.voters == [1, 2]
    assert cluster[1].log.committed == 2
    append = next(it.message for it in cluster.wire.flying if it.target == 2)
    answers(cluster, 1, 2, append)
    assert cluster[2].membership.voters == [1, 2]


def test_a_second_change_waits_for_the_first() -> None:
    """Thesis 4.1: single-server changes may not overlap."""
    cluster = leading(1, 2, 3)
    cluster.do(1, lambda node: node.change(AddMember(4, "n4", "d4")))
    with pytest.raises(Refused, match="not committed yet"):
        cluster.do(1, lambda node: node.change(AddMember(5, "n5", "d5")))


def test_no_change_before_the_leader_committed_an_entry_of_its_term() -> None:
    """The correction of thesis 4.1 (raft-dev, July 2015)."""
    cluster = Cluster(1, 2, 3)
    cluster.wire.hold(Pattern(kinds=frozenset({"AppendAccepted"})))
    cluster.campaign(1)
    cluster.settle()
    with pytest.raises(Refused, match="own term"):
        cluster.do(1, lambda node: node.change(RemoveMember(3)))


def test_a_new_server_catches_up_before_it_votes() -> None:
    """Thesis 4.2.1; Raft 6."""
    cluster = leading(1, 2, 3)
    cluster.start(4, log=())
    cluster.do(1, lambda node: node.change(AddMember(4, "n4:1", "d4")))
    assert cluster[1].membership.voters == [1, 2, 3]
    cluster.advance(1000, settle=True)
    assert cluster[4].membership.voters == [1, 2, 3, 4]
    assert cluster[4].log.last == cluster[1].log.last


def test_a_removed_leader_leads_until_its_removal_is_committed() -> None:
    """Thesis 4.2.2; Raft 6."""
    cluster = leading(1, 2, 3)
    cluster.do(1, lambda node: node.change(RemoveMember(1)))
    answers(cluster, 2, 1, AppendAccepted(2, match=3, probe=0))
    assert cluster[1].status().role is RoleName.LEADER, "it does not count itself"
    answers(cluster, 3, 1, AppendAccepted(2, match=3, probe=0))
    assert cluster[1].status().role is RoleName.REMOVED


def test_votes_are_ignored_while_a_leader_is_heard() -> None:
    """Thesis 4.2.3; Raft 6: a server neither updates its term nor grants its vote."""
    cluster = leading(1, 2, 3)
    assert answers(cluster, 3, 2, vote_request(9, 9, 9)) == []
    assert cluster[2].term == 2


# Section 8 and thesis 6: clients.


def test_a_new_leader_commits_an_empty_entry_first() -> None:
    """Raft 8."""
    cluster = leading(1, 2, 3)
    assert cluster.replicas[1].machine.entries[-1] == Entry(2, 2, EntryKind.NOOP, b"")


def test_a_read_waits_for_the_leaders_first_entry() -> None:
    """Thesis 6.4, step 1."""
    cluster = Cluster(1, 2, 3)
    cluster.wire.hold(Pattern(kinds=frozenset({"AppendAccepted"})))
    cluster.campaign(1)
    cluster.settle()
    cluster.read(1, 7)
    cluster.settle()
    assert cluster.replicas[1].granted == {}
    cluster.wire.release(reverse=False)
    cluster.settle()
    assert cluster.replicas[1].granted == {7: 2}


def test_a_read_is_served_from_the_commit_index_at_its_arrival_after_a_heartbeat_round() -> None:
    """Thesis 6.4, steps 2 to 4; Raft 8."""
    cluster = leading(1, 2, 3)
    cluster.read(1, 7)
    cluster.propose(1, "a")
    cluster.deliver(Pattern(kinds=frozenset({"Append", "AppendAccepted"})))
    assert cluster.replicas[1].granted == {}
    cluster.settle()
    assert cluster.replicas[1].granted == {7: 2}


def test_a_lease_read_needs_no_round() -> None:
    """Thesis 6.4.1."""
    cluster = leading(1, 2, 3)
    cluster.read(1, 7, lease=True)
    assert cluster.replicas[1].granted == {7: 2}
    assert cluster.wire.flying == []


# Thesis: extensions.


def test_leadership_is_handed_over_when_the_target_has_the_whole_log() -> None:
    """Thesis 3.10."""
    cluster = leading(1, 2, 3)
    cluster.propose(1, "a")
    held = cluster.wire.take(Pattern())
    cluster.do(1, lambda node: node.transfer(2))
    assert cluster.wire.flying == []
    cluster.wire.flying = held
    cluster.settle()
    assert cluster.leader == 2
    assert cluster.now < 1000, "no election timeout had to pass"


def test_no_new_requests_are_taken_during_a_transfer() -> None:
    """Thesis 3.10, and it ends after an election timeout at the latest."""
    cluster = leading(1, 2, 3)
    cluster.wire.hold(Pattern(kinds=frozenset({"TimeoutNow"})))
    cluster.do(1, lambda node: node.transfer(2))
    with pytest.raises(Refused, match="handed over"):
        cluster.propose(1, "a")
    cluster.advance(900, settle=True)
    cluster.propose(1, "a")
    assert cluster[1].log.last == Position(3, 2)


def test_a_pre_vote_changes_nothing_on_the_voter() -> None:
    """Thesis 9.6."""
    cluster = follower(1)
    request = VoteRequest(2, Position(1, 1), pre=True, forced=False)
    assert answers(cluster, 2, 1, request) == [VoteReply(2, True, pre=True)]
    assert (cluster[1].term, cluster[1].vote) == (1, 0)
    assert answers(cluster, 3, 1, request) == [VoteReply(2, True, pre=True)]


def test_a_candidate_without_promises_takes_no_term() -> None:
    """Thesis 9.6: a partitioned server does not increase its term."""
    cluster = leading(1, 2, 3)
    cluster.wire.cut(3, 1)
    cluster.wire.cut(3, 2)
    cluster.wire.cut(1, 3)
    cluster.wire.cut(2, 3)
    cluster.advance(20_000, settle=True)
    assert cluster[3].term == 2


def test_the_leader_writes_its_disk_while_the_entry_travels() -> None:
    """Thesis 10.2.1; it may even commit before its own write is done."""
    cluster = leading(1, 2, 3)
    cluster.hold_disk(1)
    cluster.propose(1, "a")
    cluster.settle()
    assert cluster.replicas[1].disk.last == 2
    assert cluster[1].log.committed == 3


def test_appends_do_not_wait_for_answers() -> None:
    """Thesis 10.2.2, pipelining."""
    cluster = leading(1, 2)
    cluster.propose(1, "a")
    cluster.propose(1, "b")
    prevs = [it.message.prev.index for it in cluster.wire.flying if isinstance(it.message, Append)]
    assert prevs == [2, 3]
