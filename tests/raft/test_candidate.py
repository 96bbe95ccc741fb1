"""Candidates, beyond what the scripts show: whom they ask, and when they stop asking."""

from __future__ import annotations

import pytest

from raftsql.raft.candidate import Candidate
from raftsql.raft.messages import (
    ORIGIN,
    AppendAccepted,
    AppendRejected,
    HeartbeatReply,
    ReadIndexReply,
    ReadIndexRequest,
    TimeoutNow,
    VoteReply,
)
from raftsql.raft.ready import RoleName
from tests.raft.acting import answers
from tests.raft.harness import Cluster, voters
from tests.raft.wire import Pattern


def candidate(*nodes: int) -> Cluster:
    """A cluster whose first node asks whether it would be elected; nothing has arrived yet."""
    cluster = Cluster(*nodes)
    cluster.campaign(nodes[0])
    return cluster


def test_only_voters_are_asked() -> None:
    cluster = Cluster()
    cluster.founding = voters(1, 2, learners=[3])
    for node in (1, 2, 3):
        cluster.start(node)
    cluster.campaign(1)
    assert [envelope.target for envelope in cluster.wire.flying] == [2]


@pytest.mark.parametrize(
    ("others", "role"),
    [
        ((True, True, None, None), RoleName.CANDIDATE),
        ((True, None, None, None), RoleName.CANDIDATE),
        ((False, False, None, None), RoleName.CANDIDATE),
        ((False, False, False, None), RoleName.FOLLOWER),
        ((True, False, False, None), RoleName.CANDIDATE),
        ((True, False, False, False), RoleName.FOLLOWER),
    ],
)
def test_an_election_ends_when_it_is_decided(
    others: tuple[bool | None, ...], role: RoleName
) -> None:
    cluster = candidate(1, 2, 3, 4, 5)
    for voter in (2, 3):
        answers(cluster, voter, 1, VoteReply(2, True, pre=True))
    assert cluster[1].term == 2
    for voter, vote in enumerate(others, 2):
        if vote is not None:
            answers(cluster, voter, 1, VoteReply(2, vote, pre=False))
    won = sum(vote is True for vote in others) >= 2
    assert cluster[1].status().role is (RoleName.LEADER if won else role)


def test_a_vote_that_comes_twice_counts_once() -> None:
    cluster = candidate(1, 2, 3, 4, 5)
    for _ in range(3):
        answers(cluster, 2, 1, VoteReply(2, True, pre=True))
    assert cluster[1].term == 1


def test_a_candidate_ignores_answers_to_what_it_was_before() -> None:
    cluster = candidate(1, 2, 3)
    for message in (
        AppendAccepted(1, match=1, probe=1),
        AppendRejected(1, 1, ORIGIN, probe=1),
        HeartbeatReply(1, probe=1),
        ReadIndexReply(1, 3, index=9),
        TimeoutNow(1),
    ):
        assert answers(cluster, 2, 1, message) == []
    assert isinstance(cluster[1].role, Candidate)


def test_a_candidate_vouches_for_no_reads() -> None:
    cluster = candidate(1, 2, 3)
    assert answers(cluster, 2, 1, ReadIndexRequest(1, 5, lease=False)) == [
        ReadIndexReply(1, 5, index=0)
    ]
    cluster.read(1, 9)
    assert cluster.replicas[1].refused == [9]


def test_a_candidate_that_overslept_reads_its_mail_before_it_asks_again() -> None:
    cluster = candidate(1, 2, 3)
    cluster.wire.take(Pattern())
    cluster.tick(1, 5000)
    assert cluster.wire.flying == []
    cluster.advance(150)
    assert [envelope.target for envelope in cluster.wire.flying if envelope.source == 1] == [2, 3]


def test_a_candidate_gives_its_vote_to_another_while_it_only_asks_for_promises() -> None:
    cluster = candidate(1, 2, 3)
    cluster.campaign(2)
    cluster.wire.take(Pattern(sources=frozenset({1})))
    cluster.settle()
    assert cluster.leader == 2
    assert cluster[1].vote == 2
