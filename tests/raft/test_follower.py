"""Followers, beyond what the scripts show: how long they wait, and whom they believe."""

from __future__ import annotations

import pytest

from raftsql.raft.follower import Follower
from raftsql.raft.membership import Membership
from raftsql.raft.messages import (
    ORIGIN,
    Append,
    AppendAccepted,
    AppendRejected,
    Heartbeat,
    HeartbeatReply,
    Position,
    ReadIndexReply,
    VoteReply,
)
from raftsql.raft.ready import RoleName
from tests.raft.acting import answers, commands, follower, leading, vote_request
from tests.raft.harness import Cluster, voters


def founded(members: Membership) -> Cluster:
    """Three founding nodes, all started at 0."""
    cluster = Cluster()
    cluster.founding = members
    for node in (1, 2, 3):
        cluster.start(node)
    return cluster


def deadline(cluster: Cluster, node: int) -> int:
    role = cluster[node].role
    assert isinstance(role, Follower)
    return role.deadline


def test_who_is_outranked_waits_half_an_election_longer() -> None:
    cluster = founded(voters(1, 2, 3, n2=1))
    assert [deadline(cluster, node) for node in (1, 2, 3)] == [
        750 + 50 + 375,
        750 + 100,
        750 + 150 + 375,
    ]


def test_a_learner_of_high_priority_outranks_nobody() -> None:
    cluster = founded(voters(1, 3, learners=[2], n2=9))
    assert deadline(cluster, 3) == 750 + 150


def test_when_the_leader_is_dead_the_voters_take_turns_by_priority() -> None:
    cluster = founded(voters(1, 2, 3, n1=1, n3=1))
    cluster.elect(1)
    heard = cluster[2].heard_at
    for node in (2, 3):
        now = cluster.replicas[node].now
        cluster.do(node, lambda it, now=now: it.process_ended(1, now))  # type: ignore[misc]
    assert deadline(cluster, 3) == heard + 300
    assert deadline(cluster, 2) == heard + 300 + 40


def test_a_vote_in_the_own_term_gives_the_candidate_time() -> None:
    cluster = follower(1, term=2)
    cluster.advance(400)
    answers(cluster, 2, 1, vote_request(2, 1, 1))
    assert deadline(cluster, 1) == 700 + 750 + 50


def test_the_end_of_another_process_than_the_leaders_changes_nothing() -> None:
    cluster = leading(1, 2, 3)
    before = deadline(cluster, 2)
    cluster.do(2, lambda it: it.process_ended(3, cluster.now))
    assert deadline(cluster, 2) == before


def test_a_leader_believed_dead_is_not_defended_after_its_lease() -> None:
    cluster = leading(1, 2, 3)
    cluster.crash(1)
    for node in (2, 3):
        cluster.do(node, lambda it: it.process_ended(1, cluster.now))
    cluster.advance(300, settle=True)
    assert cluster.leader == 2


@pytest.mark.parametrize("node", [2, 3])
def test_a_leader_not_known_to_be_dead_is_defended_for_an_election_timeout(node: int) -> None:
    cluster = leading(1, 2, 3)
    cluster.crash(1)
    cluster.do(node, lambda it: it.process_ended(1, cluster.now))
    cluster.advance(600, settle=True)
    assert cluster.leader == 0
    cluster.advance(900, settle=True)
    assert cluster.leader in (2, 3)


def test_a_follower_ignores_answers_to_what_it_was_before() -> None:
    cluster = follower(1)
    for message in (
        AppendAccepted(1, match=1, probe=1),
        AppendRejected(1, 1, ORIGIN, probe=1),
        HeartbeatReply(1, probe=1),
        VoteReply(1, True, pre=False),
    ):
        assert answers(cluster, 2, 1, message) == []
    assert cluster[1].status().role is RoleName.FOLLOWER


def test_a_follower_that_overslept_reads_its_mail_before_it_campaigns() -> None:
    cluster = leading(1, 2, 3)
    cluster.tick(2, 3000)
    assert cluster[2].status().role is RoleName.FOLLOWER
    cluster.advance(100, settle=True)
    assert cluster[2].leader == 1


def test_the_hint_of_a_short_log_is_its_end() -> None:
    cluster = follower(1, 1)
    (answer,) = answers(cluster, 2, 1, Append(2, Position(9, 2), [], 0, probe=0))
    assert answer == AppendRejected(2, 9, Position(2, 1), probe=0)


def test_the_hint_skips_terms_that_the_leader_can_not_have_there() -> None:
    cluster = follower(1, 2, 4, 4, 4)
    (answer,) = answers(cluster, 2, 1, Append(5, Position(5, 3), [], 0, probe=0))
    assert answer == AppendRejected(5, 5, Position(2, 2), probe=0)


def test_an_answer_to_a_read_moves_the_commit_index_no_further_than_was_verified() -> None:
    """scylla#10578: the entries after that may not be the leader's."""
    cluster = follower(1, 1, 1, 1)
    answers(cluster, 2, 1, Append(2, Position(2, 1), [], 0, probe=0))
    cluster.read(1, 7)
    round_ = cluster[1].asking.round
    answers(cluster, 2, 1, ReadIndexReply(2, round_, index=4))
    assert cluster[1].log.committed == 2
    assert cluster.replicas[1].granted == {7: 4}


def test_what_was_verified_for_one_leader_is_not_for_the_next() -> None:
    cluster = follower(1)
    answers(cluster, 2, 1, Append(2, Position(1, 1), commands((2, 2), (3, 2)), 1, probe=0))
    answers(cluster, 3, 1, Heartbeat(3, 1, probe=0))
    cluster.read(1, 7)
    answers(cluster, 3, 1, ReadIndexReply(3, cluster[1].asking.round, index=3))
    assert cluster[1].log.committed == 1
