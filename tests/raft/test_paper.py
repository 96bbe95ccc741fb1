"""One test for each rule of the Raft paper and thesis that we follow; the docstring cites it.

"Raft" is Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (extended
version); "thesis" is Ongaro's dissertation.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from raftsql.raft.config import Config
from raftsql.raft.membership import AddMember, RemoveMember
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
    VoteRequest,
)
from raftsql.raft.ready import Refused, RoleName
from tests.raft.harness import Cluster
from tests.raft.wire import Pattern


def command(index: int, term: int) -> Entry:
    return Entry(term, index, EntryKind.COMMAND, f"{index}@{term}".encode())


def commands(*places: tuple[int, int]) -> list[Entry]:
    return [command(index, term) for index, term in places]


def terms(cluster: Cluster, node: int) -> list[int | None]:
    log = cluster[node].log
    return [log.term(index) for index in range(1, log.last.index + 1)]


def answers(cluster: Cluster, source: int, target: int, message: Message) -> list[Message]:
    """What a node sends when this message arrives."""
    cluster.wire.take(Pattern())
    cluster.message(source, target, message)
    return [envelope.message for envelope in cluster.wire.take(Pattern())]


def follower(*log: int, term: int | None = None, vote: int = 0) -> Cluster:
    """Node 1 of three, the others played by the test; no lease it might know of runs any more."""
    cluster = Cluster()
    cluster.founding = Cluster(1, 2, 3).founding
    cluster.start(1, log=log, term=term, vote=vote)
    cluster.advance(300)
    return cluster


def leading(*nodes: int) -> Cluster:
    cluster = Cluster(*nodes)
    cluster.elect(nodes[0])
    return cluster


def vote_request(term: int, index: int, last_term: int) -> VoteRequest:
    return VoteRequest(term, Position(index, last_term), pre=False, forced=False)


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
