"""Leaders, beyond what the scripts show: bounds, who is told what, and whom they prefer."""

from __future__ import annotations

import pytest

from raftsql.raft.leader import Leader
from raftsql.raft.membership import AddMember, DemoteMember, UpdateMember
from raftsql.raft.messages import (
    Append,
    AppendAccepted,
    AppendRejected,
    Heartbeat,
    HeartbeatReply,
    Position,
    ReadIndexReply,
    ReadIndexRequest,
    VoteReply,
)
from raftsql.raft.ready import Proposed, Refused, RoleName, Why
from tests.raft.acting import answers, leading
from tests.raft.harness import Cluster, voters
from tests.raft.wire import Pattern


def role(cluster: Cluster, node: int) -> Leader:
    it = cluster[node].role
    assert isinstance(it, Leader)
    return it


def test_a_proposal_says_where_it_was_put() -> None:
    """If an entry of another term commits there, it did not happen."""
    cluster = leading(1, 2, 3)
    assert cluster[1].propose([b"a", b"b"]) == Proposed(first=3, term=2)
    assert cluster[1].propose([b"c"]) == Proposed(first=5, term=2)


def test_a_change_says_where_it_was_put() -> None:
    cluster = leading(1, 2, 3)
    assert cluster[1].change(AddMember(4, "n4:1", "d4")) == Proposed(first=3, term=2)


def test_proposals_between_two_readies_travel_together() -> None:
    cluster = leading(1, 2)
    cluster[1].propose([b"a"])
    cluster[1].propose([b"b"])
    cluster.propose(1, "c")
    (append,) = [it.message for it in cluster.wire.flying]
    assert isinstance(append, Append)
    assert [entry.payload for entry in append.entries] == [b"a", b"b", b"c"]


def test_a_refusal_names_the_leader_and_the_reason() -> None:
    cluster = leading(1, 2, 3)
    with pytest.raises(Refused) as refused:
        cluster.propose(2, "a")
    assert (refused.value.why, refused.value.leader) == (Why.NOT_LEADER, 1)


def test_what_is_committed_frees_room_for_proposals() -> None:
    cluster = Cluster(1, 2, uncommitted_bytes_max=10)
    cluster.elect(1)
    for _ in range(5):
        cluster.propose(1, "x" * 10)
        with pytest.raises(Refused, match="too much is waiting"):
            cluster.propose(1, "x")
        cluster.settle()
    assert role(cluster, 1).uncommitted_bytes == 0


def test_only_who_was_not_told_hears_of_a_commit() -> None:
    cluster = leading(1, 2, 3)
    cluster.propose(1, "a")
    cluster.settle()
    cluster.propose(1, "b")
    cluster.deliver(Pattern(targets=frozenset({2})))
    cluster.wire.take(Pattern())
    cluster.advance(2)
    assert [(it.target, it.message) for it in cluster.wire.flying] == []
    answers(cluster, 2, 1, AppendAccepted(2, match=4, probe=0))
    cluster.advance(2)
    assert [(it.target, it.message) for it in cluster.wire.flying] == [
        (2, Heartbeat(2, 4, probe=1))
    ]


def test_who_lags_behind_the_commit_is_not_told_the_same_again() -> None:
    cluster = leading(1, 2, 3)
    cluster.wire.cut(1, 3)
    for text in "ab":
        cluster.propose(1, text)
        cluster.settle()
        cluster.wire.heal()
        cluster.advance(2)
        beats = cluster.wire.take(Pattern())
        assert [it.target for it in beats] == [2]
        cluster.message(1, 2, beats[0].message)
        cluster.wire.take(Pattern())
        cluster.wire.cut(1, 3)


def test_a_peer_is_told_no_commit_beyond_what_it_has() -> None:
    cluster = leading(1, 2, 3)
    cluster.wire.cut(1, 3)
    cluster.propose(1, "a")
    cluster.settle()
    cluster.wire.heal()
    cluster.advance(75)
    beats = {it.target: it.message for it in cluster.wire.flying}
    assert beats == {2: Heartbeat(2, 3, probe=2), 3: Heartbeat(2, 2, probe=2)}


def test_a_snapshot_is_asked_for_once() -> None:
    cluster = leading(1, 2, 3)
    cluster.wire.cut(1, 3)
    cluster.propose(1, "a", "b")
    cluster.settle()
    cluster.compact(1, 4)
    cluster.wire.heal()
    cluster.advance(1000, settle=True)
    assert cluster.replicas[1].wanted == [3]


def test_word_of_a_snapshot_that_nobody_ships_is_ignored() -> None:
    cluster = leading(1, 2, 3)
    before = role(cluster, 1).peer_status()
    for node in (2, 9):
        cluster.do(1, lambda it, node=node: it.snapshot_progressed(node, cluster.now))  # type: ignore[misc]
        cluster.do(1, lambda it, node=node: it.snapshot_shipped(node))  # type: ignore[misc]
        cluster.do(1, lambda it, node=node: it.snapshot_failed(node))  # type: ignore[misc]
        cluster.do(2, lambda it, node=node: it.snapshot_failed(node))  # type: ignore[misc]
    assert role(cluster, 1).peer_status() == before


def test_a_rejection_while_a_snapshot_travels_changes_nothing() -> None:
    cluster = leading(1, 2, 3)
    cluster.wire.cut(1, 3)
    cluster.propose(1, "a", "b")
    cluster.settle()
    cluster.compact(1, 4)
    cluster.wire.heal()
    cluster.advance(75, settle=True)
    assert cluster.replicas[1].wanted == [3]
    answers(cluster, 3, 1, AppendRejected(2, 4, Position(2, 2), probe=0))
    assert cluster.replicas[1].wanted == [3]


def prefers(priority: int) -> Cluster:
    """Node 1 leads, and node 3 should rather."""
    cluster = Cluster()
    cluster.founding = voters(1, 2, 3, n3=priority)
    for node in (1, 2, 3):
        cluster.start(node)
    cluster.wire.cut(1, 3)
    cluster.wire.cut(3, 1)
    cluster.elect(1)
    return cluster


def test_a_leader_does_not_hand_over_to_who_lacks_something() -> None:
    cluster = prefers(5)
    cluster.advance(5000, settle=True)
    assert cluster.leader == 1
    cluster.wire.heal()
    cluster.advance(5000, settle=True)
    assert cluster.leader == 3


@pytest.mark.parametrize("priority", [0, -1])
def test_a_leader_does_not_hand_over_to_an_equal(priority: int) -> None:
    cluster = prefers(priority)
    cluster.wire.heal()
    cluster.advance(5000, settle=True)
    assert cluster.leader == 1


def test_a_handover_by_priority_that_fails_is_not_repeated_at_once() -> None:
    cluster = prefers(5)
    cluster.wire.heal()
    cluster.wire.hold(Pattern(kinds=frozenset({"TimeoutNow"})))
    cluster.advance(1600, settle=True)
    assert len(cluster.wire.held) == 1
    cluster.advance(3000, settle=True)
    assert len(cluster.wire.held) == 1
    cluster.advance(1600, settle=True)
    assert len(cluster.wire.held) == 2


def test_a_priority_set_later_moves_the_leader() -> None:
    cluster = leading(1, 2, 3)
    cluster.advance(2000, settle=True)
    cluster.do(1, lambda it: it.change(UpdateMember(2, "n2:1", priority=3)))
    cluster.advance(1000, settle=True)
    assert cluster.leader == 2


def test_a_leader_that_overslept_asks_before_it_steps_down() -> None:
    cluster = leading(1, 2, 3)
    cluster.wire.cut(1, 2)
    cluster.wire.cut(1, 3)
    cluster.tick(1, 10_000)
    assert cluster[1].status().role is RoleName.LEADER
    assert not cluster[1].status().lease_valid
    cluster.advance(900)
    assert cluster[1].status().role is RoleName.FOLLOWER


def test_a_leader_ignores_answers_to_what_it_was_before() -> None:
    cluster = leading(1, 2, 3)
    assert answers(cluster, 2, 1, VoteReply(2, True, pre=False)) == []
    assert answers(cluster, 2, 1, ReadIndexReply(2, 9, index=9)) == []


def test_a_leader_vouches_for_a_followers_reads_after_a_round() -> None:
    cluster = leading(1, 2, 3)
    cluster.wire.take(Pattern())
    cluster.message(2, 1, ReadIndexRequest(2, 5, lease=False))
    (probe,) = {it.message.probe for it in cluster.wire.flying if isinstance(it.message, Heartbeat)}
    assert answers(cluster, 3, 1, HeartbeatReply(2, probe)) == [ReadIndexReply(2, 5, index=2)]


def test_peers_are_those_of_the_membership_in_force() -> None:
    cluster = leading(1, 2, 3)
    assert sorted(role(cluster, 1).peer_status()) == [2, 3]
    cluster.do(1, lambda it: it.change(AddMember(4, "n4:1", "d4")))
    assert sorted(role(cluster, 1).peer_status()) == [2, 3, 4]


def test_an_answer_to_a_probe_that_was_never_sent_stops_the_leader() -> None:
    cluster = leading(1, 2, 3)
    cluster.message(2, 1, HeartbeatReply(2, probe=99))
    cluster.message(3, 1, HeartbeatReply(2, probe=99))
    assert cluster.replicas[1].stopped == "nobody can answer a probe that was not sent"


def test_a_leader_that_demotes_itself_looks_after_others_until_that_is_committed() -> None:
    """Among the learners then, but no peer of its own, and none that is to be promoted."""
    cluster = leading(1, 2, 3)
    cluster.do(1, lambda node: node.change(DemoteMember(1)))
    cluster.advance(2 * cluster[1].config.heartbeat_ms)
    assert cluster[1].status().role is RoleName.LEADER
    cluster.settle()
    assert cluster[1].status().role is RoleName.LEARNER


def test_steady_reads_keep_no_learner_from_its_vote() -> None:
    """Each round of reads is a heartbeat, and puts off the next one that the clock would send."""
    cluster = leading(1, 2)
    cluster.start(3, log=())
    cluster.do(1, lambda node: node.change(AddMember(3, "n3:1", "d3")))
    cluster.settle()
    half = cluster[1].config.heartbeat_ms // 2
    for request in range(1, 20):
        cluster.read(1, request)
        cluster.settle()
        cluster.advance(half, settle=True)
    assert cluster[1].membership.voters == [1, 2, 3]


def test_a_round_beside_an_append_costs_no_message_of_its_own() -> None:
    """The append takes the probe along, and its acknowledgement is the answer."""
    cluster = leading(1, 2, 3)
    cluster[1].read(1, cluster.now)
    cluster.propose(1, "a")
    assert {type(it.message) for it in cluster.wire.flying} == {Append}
    cluster.deliver(Pattern(targets=frozenset({2})))
    cluster.deliver(Pattern(sources=frozenset({2})))
    assert "n1 read 1 granted from 2 on" in cluster.events
