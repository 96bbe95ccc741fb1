"""One test for each rule of the Raft paper that we follow; the docstring cites the section.

Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (extended version).
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from raftsql.raft.config import Config
from raftsql.raft.messages import (
    ORIGIN,
    Append,
    AppendAccepted,
    AppendRejected,
    Entry,
    EntryKind,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    Message,
    Position,
    SnapshotMeta,
    TimeoutNow,
    VoteReply,
)
from raftsql.raft.ready import RoleName
from tests.raft.acting import answers, commands, follower, leading, terms, vote_request
from tests.raft.harness import Cluster
from tests.raft.wire import Pattern

# Figure 2: AppendEntries.


def test_append_entries_of_an_older_term_are_refused() -> None:
    """Raft figure 2, AppendEntries 1; 5.1."""
    cluster = follower(1, term=5)
    append = Append(4, Position(1, 1), commands((2, 4)), 1, probe=0)
    assert answers(cluster, 2, 1, append) == [HeartbeatReply(5, probe=0)]
    assert terms(cluster, 1) == [1]


@pytest.mark.parametrize("prev", [Position(3, 1), Position(2, 2), Position(9, 1)])
def test_append_entries_are_refused_where_the_logs_part(prev: Position) -> None:
    """Raft figure 2, AppendEntries 2; 5.3."""
    cluster = follower(1, 1)
    append = Append(3, prev, commands((prev.index + 1, 3)), 0, probe=4)
    (answer,) = answers(cluster, 2, 1, append)
    assert isinstance(answer, AppendRejected)
    assert (answer.term, answer.prev_index, answer.probe) == (3, prev.index, 4)
    assert terms(cluster, 1) == [1, 1]


def test_an_entry_that_conflicts_goes_with_all_that_follow_it() -> None:
    """Raft figure 2, AppendEntries 3."""
    cluster = follower(1, 2, 2, 2)
    answers(cluster, 2, 1, Append(3, Position(1, 1), commands((2, 3)), 0, probe=0))
    assert terms(cluster, 1) == [1, 3]


def test_entries_not_in_the_log_are_appended_and_others_stay() -> None:
    """Raft figure 2, AppendEntries 4."""
    cluster = follower(1, 2, 2)
    append = Append(2, Position(1, 1), commands((2, 2)), 0, probe=0)
    assert answers(cluster, 2, 1, append) == [AppendAccepted(2, match=2, probe=0)]
    assert terms(cluster, 1) == [1, 2, 2]
    answers(cluster, 2, 1, Append(2, Position(2, 2), commands((3, 2), (4, 2)), 0, probe=0))
    assert terms(cluster, 1) == [1, 2, 2, 2]


@pytest.mark.parametrize(("told", "committed"), [(1, 1), (2, 2), (3, 2), (9, 2)])
def test_the_commit_index_is_what_the_leader_says_or_the_last_new_entry(
    told: int, committed: int
) -> None:
    """Raft figure 2, AppendEntries 5: min(leaderCommit, index of last new entry)."""
    cluster = follower(1, 1, 1)
    answers(cluster, 2, 1, Append(2, Position(1, 1), commands((2, 2)), told, probe=0))
    assert cluster[1].log.committed == committed


# Figure 2: RequestVote.


def test_a_vote_of_an_older_term_is_refused() -> None:
    """Raft figure 2, RequestVote 1; 5.1."""
    cluster = follower(1, term=5)
    assert answers(cluster, 2, 1, vote_request(4, 9, 4)) == [VoteReply(5, False, pre=False)]


@pytest.mark.parametrize(("vote", "granted"), [(0, True), (2, True), (3, False)])
def test_a_vote_is_given_to_one_candidate_a_term(vote: int, granted: bool) -> None:
    """Raft figure 2, RequestVote 2; 5.2."""
    cluster = follower(1, term=5, vote=vote)
    reply = VoteReply(5, granted, pre=False)
    assert answers(cluster, 2, 1, vote_request(5, 1, 1)) == [reply]
    assert cluster[1].vote == (2 if granted else vote)


@pytest.mark.parametrize(
    ("log", "last", "granted"),
    [
        ((1,), (1, 1), True),
        ((1,), (2, 1), True),
        ((1, 1), (1, 1), False),
        ((1,), (1, 2), True),
        ((1,), (2, 2), True),
        ((1, 1), (1, 2), True),
        ((2,), (1, 1), False),
        ((2,), (2, 1), False),
        ((2, 2), (1, 1), False),
    ],
)
def test_a_vote_is_refused_to_a_log_that_is_behind(
    log: Sequence[int], last: tuple[int, int], granted: bool
) -> None:
    """Raft 5.4.1; figure 2, RequestVote 2."""
    cluster = follower(*log)
    assert answers(cluster, 2, 1, vote_request(3, *last)) == [VoteReply(3, granted, pre=False)]


# Figure 2: rules for servers.


def test_term_and_vote_are_durable_before_they_are_told() -> None:
    """Raft figure 2, persistent state, "updated on stable storage before responding to RPCs"."""
    cluster = follower(1)
    cluster.hold_disk(1)
    assert answers(cluster, 2, 1, vote_request(4, 1, 1)) == []
    cluster.sync(1)
    assert [it.message for it in cluster.wire.flying] == [VoteReply(4, True, pre=False)]
    assert cluster.replicas[1].disk.state.vote == 2


def test_entries_are_durable_before_they_are_acknowledged() -> None:
    """Raft figure 2, persistent state: log[]."""
    cluster = follower(1)
    cluster.hold_disk(1)
    append = Append(2, Position(1, 1), commands((2, 2)), 0, probe=0)
    assert answers(cluster, 2, 1, append) == []
    cluster.sync(1)
    assert [it.message for it in cluster.wire.flying] == [AppendAccepted(2, match=2, probe=0)]
    assert cluster.replicas[1].disk.last == 2


def test_committed_entries_are_applied_in_order() -> None:
    """Raft figure 2, all servers 1."""
    cluster = follower(1, 1, 1)
    answers(cluster, 2, 1, Append(2, Position(3, 1), [], 2, probe=0))
    assert [entry.index for entry in cluster.replicas[1].machine.entries] == [1, 2]
    answers(cluster, 2, 1, Append(2, Position(3, 1), [], 3, probe=0))
    assert [entry.index for entry in cluster.replicas[1].machine.entries] == [1, 2, 3]


@pytest.mark.parametrize(
    "message",
    [
        Append(7, Position(1, 1), [], 0, probe=0),
        Heartbeat(7, 0, probe=0),
        AppendAccepted(7, match=1, probe=0),
        AppendRejected(7, 1, ORIGIN, probe=0),
        HeartbeatReply(7, probe=0),
        VoteReply(7, False, pre=False),
        TimeoutNow(7),
    ],
)
def test_whoever_hears_of_a_later_term_follows(message: Message) -> None:
    """Raft figure 2, all servers 2; 5.1. Of a leader, too."""
    cluster = leading(1, 2, 3)
    answers(cluster, 2, 1, message)
    assert cluster[1].term == 7
    assert cluster[1].status().role is RoleName.FOLLOWER


def test_a_follower_that_hears_nothing_becomes_a_candidate() -> None:
    """Raft figure 2, followers 2; 5.2."""
    cluster = Cluster(1, 2, 3)
    cluster.advance(799)
    assert cluster[1].status().role is RoleName.FOLLOWER
    cluster.advance(1)
    assert cluster[1].status().role is RoleName.CANDIDATE


@pytest.mark.parametrize("heard", ["heartbeat", "vote"])
def test_a_follower_that_hears_its_leader_or_gives_a_vote_waits_again(heard: str) -> None:
    """Raft figure 2, followers 2: "without receiving AppendEntries ... or granting vote"."""
    cluster = follower(1)
    cluster.advance(400)
    message = Heartbeat(2, 0, probe=0) if heard == "heartbeat" else vote_request(2, 1, 1)
    answers(cluster, 2, 1, message)
    cluster.advance(799)
    assert cluster[1].status().role is RoleName.FOLLOWER
    cluster.advance(1)
    assert cluster[1].status().role is RoleName.CANDIDATE


def test_a_candidate_takes_a_new_term_votes_for_itself_and_asks_all_others() -> None:
    """Raft figure 2, candidates 1; 5.2."""
    cluster = Cluster(1, 2, 3)
    cluster.campaign(1)
    sent = answers(cluster, 2, 1, VoteReply(2, True, pre=True))
    assert (cluster[1].term, cluster[1].vote) == (2, 1)
    assert sent == [vote_request(2, 1, 1)] * 2


def test_a_majority_of_votes_makes_a_leader() -> None:
    """Raft figure 2, candidates 2; 5.2."""
    cluster = Cluster(1, 2, 3, 4, 5)
    cluster.campaign(1)
    for voter in (2, 3):
        answers(cluster, voter, 1, VoteReply(2, True, pre=True))
    answers(cluster, 2, 1, VoteReply(2, True, pre=False))
    assert cluster[1].status().role is RoleName.CANDIDATE
    answers(cluster, 3, 1, VoteReply(2, True, pre=False))
    assert cluster[1].status().role is RoleName.LEADER


def test_a_candidate_follows_whoever_leads_its_term() -> None:
    """Raft figure 2, candidates 3; 5.2."""
    cluster = Cluster(1, 2, 3)
    cluster.campaign(1)
    answers(cluster, 2, 1, VoteReply(2, True, pre=True))
    answers(cluster, 3, 1, Append(2, Position(1, 1), [], 0, probe=0))
    assert cluster[1].status().role is RoleName.FOLLOWER
    assert cluster[1].leader == 3


def test_a_candidate_that_wins_nothing_tries_again() -> None:
    """Raft figure 2, candidates 4; 5.2."""
    cluster = Cluster(1, 2, 3)
    cluster.campaign(1)
    cluster.wire.take(Pattern())
    cluster.advance(750)
    asked = [it.target for it in cluster.wire.flying if it.source == 1]
    assert asked == [2, 3]


def test_a_leader_says_so_at_once_and_again_while_idle() -> None:
    """Raft figure 2, leaders 1; 5.2."""
    cluster = Cluster(1, 2, 3)
    cluster.campaign(1)
    answers(cluster, 2, 1, VoteReply(2, True, pre=True))
    sent = answers(cluster, 2, 1, VoteReply(2, True, pre=False))
    assert [it for it in sent if isinstance(it, Heartbeat)] == [Heartbeat(2, 0, probe=1)] * 2
    cluster.advance(75)
    beats = [it for it in cluster.wire.flying if isinstance(it.message, Heartbeat)]
    assert [it.target for it in beats] == [2, 3]


def test_what_clients_propose_is_appended_and_sent() -> None:
    """Raft figure 2, leaders 2 and 3; 5.3."""
    cluster = leading(1, 2, 3)
    cluster.propose(1, "a")
    sent = [it.message for it in cluster.wire.take(Pattern())]
    entry = Entry(2, 3, EntryKind.COMMAND, b"a")
    assert sent == [Append(2, Position(2, 2), [entry], 2, probe=1)] * 2


def test_a_refused_append_is_tried_again_further_back() -> None:
    """Raft figure 2, leaders 3: "decrement nextIndex and retry"; 5.3."""
    cluster = Cluster()
    cluster.founding = Cluster(1, 2).founding
    cluster.start(1, log=(1, 1, 1, 1))
    cluster.start(2, log=(1,))
    cluster.elect(1)
    assert terms(cluster, 2) == [1, 1, 1, 1, 2]


def test_an_entry_of_the_own_term_on_a_majority_is_committed() -> None:
    """Raft figure 2, leaders 4; 5.3."""
    cluster = leading(1, 2, 3, 4, 5)
    cluster.propose(1, "a")
    answers(cluster, 2, 1, AppendAccepted(2, match=3, probe=0))
    assert cluster[1].log.committed == 2
    answers(cluster, 3, 1, AppendAccepted(2, match=3, probe=0))
    assert cluster[1].log.committed == 3


def test_an_entry_of_an_older_term_is_not_committed_by_counting() -> None:
    """Raft figure 2, leaders 4: "log[N].term == currentTerm"; 5.4.2, figure 8."""
    cluster = Cluster()
    cluster.founding = Cluster(1, 2, 3).founding
    cluster.start(1, log=(1, 2))
    cluster.campaign(1)
    answers(cluster, 2, 1, VoteReply(3, True, pre=True))
    answers(cluster, 2, 1, VoteReply(3, True, pre=False))
    answers(cluster, 2, 1, AppendAccepted(3, match=2, probe=0))
    answers(cluster, 3, 1, AppendAccepted(3, match=2, probe=0))
    assert cluster[1].log.committed == 0
    answers(cluster, 3, 1, AppendAccepted(3, match=3, probe=0))
    assert cluster[1].log.committed == 3


# Sections 5.2 to 5.6.


def test_election_timeouts_are_drawn() -> None:
    """Raft 5.2: "election timeouts are chosen randomly from a fixed interval"."""
    for drawn in (0, 300, 749):
        cluster = Cluster()
        cluster.founding = Cluster(1, 2, 3).founding
        cluster.chances[1] = drawn
        cluster.start(1)
        cluster.advance(749 + drawn)
        assert cluster[1].status().role is RoleName.FOLLOWER
        cluster.advance(1)
        assert cluster[1].status().role is RoleName.CANDIDATE


def test_a_leader_never_takes_back_its_own_entries() -> None:
    """Raft 5.3, leader append-only: only other leaders' messages could, and they stop it."""
    cluster = leading(1, 2, 3)
    cluster.propose(1, "a")
    cluster.message(2, 1, Append(2, Position(1, 1), commands((2, 2)), 0, probe=0))
    assert cluster.replicas[1].stopped == "one leader a term: 2 also leads term 2"
    assert cluster.replicas[1].disk.last == 3


def test_a_new_leader_has_everything_that_was_committed() -> None:
    """Raft 5.4, leader completeness."""
    cluster = leading(1, 2, 3)
    cluster.wire.cut(1, 3)
    cluster.propose(1, "a")
    cluster.settle()
    cluster.crash(1)
    cluster.wire.heal()
    cluster.campaign(3)
    cluster.settle()
    assert cluster[3].term == 2, "node 3 lacks what node 2 acknowledged"
    cluster.elect(2)
    assert cluster.replicas[2].machine.entries[2].payload == b"a"


def test_repeated_messages_do_no_harm() -> None:
    """Raft 5.5: RPCs are idempotent."""
    cluster = follower(1)
    append = Append(2, Position(1, 1), commands((2, 2), (3, 2)), 2, probe=0)
    first = answers(cluster, 2, 1, append)
    assert answers(cluster, 2, 1, append) == first
    assert terms(cluster, 1) == [1, 2, 2]


def test_a_crashed_follower_is_retried_until_it_answers() -> None:
    """Raft 5.5."""
    cluster = leading(1, 2, 3)
    cluster.crash(3)
    cluster.propose(1, "a")
    cluster.advance(3000, settle=True)
    cluster.restart(3)
    cluster.advance(100, settle=True)
    assert cluster[3].log.committed == 3


def test_heartbeats_are_much_more_frequent_than_elections() -> None:
    """Raft 5.6: broadcastTime << electionTimeout."""
    config = Config(node=1, cluster=1)
    assert config.heartbeat_ms * 5 <= config.election_ms


# Section 7: snapshots.


def test_a_snapshot_takes_the_place_of_the_log_before_it() -> None:
    """Raft 7: last included index and term stay, for the consistency check."""
    cluster = leading(1, 2, 3)
    cluster.propose(1, "a", "b")
    cluster.settle()
    cluster.compact(1, 3)
    assert cluster[1].log.base == Position(3, 2)
    assert cluster[1].log.term(2) is None
    assert cluster[1].log.term(3) == 2


def test_a_snapshot_is_sent_when_the_log_does_not_reach_back() -> None:
    """Raft 7, InstallSnapshot."""
    cluster = leading(1, 2, 3)
    cluster.wire.cut(1, 3)
    cluster.propose(1, "a", "b")
    cluster.settle()
    cluster.compact(1, 4)
    cluster.wire.heal()
    cluster.advance(150, settle=True)
    assert cluster.replicas[1].wanted == [3]
    cluster.ship(1, 3)
    cluster.settle()
    assert cluster.replicas[3].machine.entries == cluster.replicas[1].machine.entries


def test_entries_after_a_snapshot_that_the_log_holds_stay() -> None:
    """Raft figure 13, step 6."""
    cluster = follower(1, 1, 1, 1)
    snapshot = SnapshotMeta(Position(2, 1), cluster.founding.encode())
    answer = answers(cluster, 2, 1, InstallSnapshot(2, snapshot))
    assert answer == [AppendAccepted(2, match=2, probe=0)]
    assert terms(cluster, 1) == [1, 1, 1, 1]
    assert cluster[1].log.committed == 2


def test_a_snapshot_that_conflicts_with_the_log_discards_all_of_it() -> None:
    """Raft figure 13, step 7 and 8: also the membership comes from the snapshot."""
    cluster = leading(1, 2, 3)
    cluster.propose(1, "a")
    cluster.settle()
    cluster.founding = Cluster(4, 5).founding
    cluster.start(4, log=(1, 1, 1, 1, 1))
    cluster.ship(1, 4)
    cluster.deliver()
    assert cluster[4].log.base == cluster[4].log.last == Position(3, 2)
    assert cluster[4].membership.voters == [1, 2, 3]
