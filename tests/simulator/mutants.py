"""Planted bugs: each is one that Raft implementations have really had, and each must be caught.

A mutant changes the core from outside, for as long as its `with` lasts; the product has no switch
for it. `hunt` runs seeds under a mutant until a rule breaks: a simulator that misses one is not
worth its green light.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from raftsql.raft import quorum
from raftsql.raft.follower import Follower
from raftsql.raft.leader import Leader
from raftsql.raft.log import Log
from raftsql.raft.membership import History
from raftsql.raft.messages import NOBODY, Append, HardState, Heartbeat, NodeId
from raftsql.raft.node import Node
from raftsql.raft.progress import Probing, Shipping
from raftsql.raft.quorum import agreed
from raftsql.raft.reads import Asking
from tests.simulator.run import simulate

Patch = tuple[Any, str, Any]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A bug to plant."""

    name: str
    story: str
    plant: Callable[[], AbstractContextManager[None]]


MUTANTS: dict[str, Mutant] = {}


@contextmanager
def patched(*patches: Patch) -> Iterator[None]:
    """These attributes have these values meanwhile."""
    before = [(owner, name, vars(owner)[name]) for owner, name, _ in patches]
    for owner, name, value in patches:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def mutant(story: str) -> Callable[[Callable[[], list[Patch]]], Callable[[], list[Patch]]]:
    """Register a mutant: the function's name is its name, and it returns what to patch."""

    def register(patches: Callable[[], list[Patch]]) -> Callable[[], list[Patch]]:
        name = patches.__name__
        MUTANTS[name] = Mutant(name, story, lambda: patched(*patches()))
        return patches

    return register


@dataclass(slots=True)
class Catch:
    """Which seed caught a mutant, if any."""

    mutant: str
    seed: int | None
    failure: str
    tried: int


def hunt(name: str, *, start: int, bound: int) -> Catch:
    """Run seeds under the mutant until one fails."""
    with MUTANTS[name].plant():
        for tried, seed in enumerate(range(start, start + bound), 1):
            failure = simulate(seed).failure
            if failure is not None:
                return Catch(name, seed, failure, tried)
    return Catch(name, None, "", bound)


def matches(leader: Leader, own: int, *, voters: list[NodeId] | None = None) -> list[int]:
    """What the voters have stored, this node's own disk being at `own`."""
    node = leader.node
    return [
        own if voter == node.id else leader.progress[voter].match
        for voter in voters or node.membership.voters
    ]


def commits_at(choose: Callable[[Leader], int], *, any_term: bool = False) -> list[Patch]:
    """A leader that commits what `choose` says before it looks at what is right."""
    right = Leader._advance_commit

    def advance(self: Leader) -> None:
        index, log = choose(self), self.node.log
        if index > log.committed and (any_term or log.term(index) == self.node.term):
            self.node.commit(index)
            while self.uncommitted and self.uncommitted[0][0] <= index:
                self.uncommitted_bytes -= self.uncommitted.popleft()[1]
            self._say_farewell()
        else:
            right(self)

    return [(Leader, "_advance_commit", advance)]


# Committing.


@mutant("commit entries of an older term by counting them (Raft 5.4.2, Figure 8)")
def commits_old_terms_by_counting() -> list[Patch]:
    return commits_at(lambda leader: agreed(matches(leader, leader.node.log.stored)), any_term=True)


@mutant(
    "a follower commits up to the end of its log, not up to what this append verified (and the "
    "leader goes back further than it must, without which nothing comes of it)"
)
def commits_beyond_the_verified() -> list[Patch]:
    right = Follower._on_append

    def on_append(self: Follower, source: NodeId, append: Append) -> None:
        right(self, source, append)
        log = self.node.log
        if self.node.installing is None and log.holds(append.prev):
            self.node.commit(min(append.commit, log.last.index))

    return [(Follower, "_on_append", on_append), *goes_back_too_far()]


def goes_back_too_far() -> list[Patch]:
    """No bug: a leader that asks for more of the follower's log than it must."""
    right = Leader._on_rejected

    def on_rejected(self: Leader, source: NodeId, progress: Any, message: Any) -> None:
        right(self, source, progress, message)
        if isinstance(progress.flow, Probing):
            lowest = max(progress.match, self.node.log.base.index) + 1
            progress.next_index = max(lowest, progress.next_index - 4)

    return [(Leader, "_on_rejected", on_rejected)]


@mutant("a follower commits what a read's answer says, verified or not")
def commits_beyond_the_verified_on_a_read() -> list[Patch]:
    right = Follower._on_read_index

    def on_read_index(self: Follower, reply: Any) -> None:
        if self.node.installing is None:
            self.node.commit(min(reply.index, self.node.log.last.index))
        right(self, reply)

    return [(Follower, "_on_read_index", on_read_index)]


@mutant("a heartbeat's commit index is not capped at what the follower has")
def heartbeats_tell_the_whole_commit() -> list[Patch]:
    def send_heartbeat(self: Leader, peer: NodeId) -> None:
        node, progress = self.node, self.progress[peer]
        progress.commit_told = node.log.committed
        node.send(peer, Heartbeat(node.term, node.log.committed, self.probes.newest))

    def on_heartbeat(self: Follower, source: NodeId, heartbeat: Heartbeat) -> None:
        self.node.commit(min(heartbeat.commit, self.node.log.last.index))
        right(self, source, Heartbeat(heartbeat.term, 0, heartbeat.probe))

    right = Follower._on_heartbeat
    return [(Leader, "_send_heartbeat", send_heartbeat), (Follower, "_on_heartbeat", on_heartbeat)]


@mutant("a majority is one too few")
def majority_is_one_too_few() -> list[Patch]:
    return [(quorum, "majority", lambda voters: max(1, voters // 2))]


@mutant("half of the voters are taken for a majority")
def half_is_a_majority() -> list[Patch]:
    return [(quorum, "majority", lambda voters: (voters + 1) // 2)]


@mutant("learners count when entries are committed")
def learners_count() -> list[Patch]:
    def choose(leader: Leader) -> int:
        membership = leader.node.membership
        everybody = membership.voters + membership.learners
        return agreed(matches(leader, leader.node.log.stored, voters=everybody))

    return commits_at(choose)


@mutant("a leader that is removing itself still counts itself")
def a_leaving_leader_counts_itself() -> list[Patch]:
    def choose(leader: Leader) -> int:
        node = leader.node
        voters = sorted({*node.membership.voters, node.id})
        return agreed(matches(leader, node.log.stored, voters=voters))

    return commits_at(choose)


# Durability.


@mutant("a vote is forgotten by a restart")
def a_restart_forgets_the_vote() -> list[Patch]:
    right = Node.__init__

    def init(self: Node, config: Any, *, state: HardState, **others: Any) -> None:
        right(self, config, state=HardState(state.term, NOBODY), **others)

    return [(Node, "__init__", init)]


@mutant("entries are acknowledged before they are on disk")
def acknowledges_before_the_disk() -> list[Patch]:
    return [(Node, "send_when_stored", Node.send)]


@mutant("votes leave before they are on disk")
def votes_before_the_disk() -> list[Patch]:
    return [(Node, "send_with_state", Node.send)]


@mutant("the leader counts its own disk before the sync")
def counts_its_own_disk_early() -> list[Patch]:
    return commits_at(lambda leader: agreed(matches(leader, leader.node.log.last.index)))


@mutant("a write's completion counts for entries that have replaced those written (ABA)")
def an_old_write_vouches_for_new_entries() -> list[Patch]:
    def saved(self: Node, number: int) -> None:
        right_ends = list(self.saves.ends)
        right(self, number)
        done = [last for saved_number, last in right_ends if saved_number <= number]
        if done:
            self.log.stored = max(self.log.stored, min(done[-1], self.log.last.index))

    def truncate(self: Node, first: int) -> None:
        ends = self.saves.ends.copy()
        right_truncate(self, first)
        self.saves.ends = ends

    right, right_truncate = Node.saved, Node.truncate
    return [(Node, "saved", saved), (Node, "truncate", truncate)]


# Elections.


@mutant("a node votes for everybody who asks in a term")
def votes_twice_in_a_term() -> list[Patch]:
    right = Node._would_vote

    def would_vote(self: Node, source: NodeId, request: Any) -> bool:
        before, self.vote = self.vote, NOBODY
        try:
            return right(self, source, request)
        finally:
            self.vote = before

    return [(Node, "_would_vote", would_vote)]


@mutant("a vote is given without comparing the logs")
def votes_for_any_log() -> list[Patch]:
    return [(Log, "up_to_date", lambda self, other: True)]


@mutant("no entry of its own term from a new leader")
def no_entry_on_election() -> list[Patch]:
    def begin(self: Leader) -> None:
        self._track(self.node.membership)
        self._heartbeat()

    return [(Leader, "begin", begin)]


@mutant("a node campaigns without asking first whether it could win")
def no_pre_vote() -> list[Patch]:
    right = Node.become_candidate

    def become_candidate(self: Node, *, pre: bool, forced: bool = False) -> None:
        right(self, pre=False, forced=forced)

    return [(Node, "become_candidate", become_candidate)]


@mutant("one whose own newest entry removes it never campaigns again")
def the_removed_never_campaign() -> list[Patch]:
    def promotable(self: Node) -> bool:
        return self.membership.is_voter(self.id) and self.installing is None and not self.removed

    return [(Node, "promotable", property(promotable))]


# Replication.


@mutant("a follower truncates its log wherever an append ends before it")
def truncates_without_a_conflict() -> list[Patch]:
    def merge(self: Follower, append: Append) -> None:
        if append.prev != self.node.log.last:
            self.node.truncate(append.prev.index + 1)
        self.node.append(list(append.entries))

    return [(Follower, "_merge", merge)]


@mutant("after lost appends a leader with a full window waits for ever")
def a_full_window_stalls() -> list[Patch]:
    def on_heartbeat_reply(self: Leader, source: NodeId, progress: Any) -> None:
        if isinstance(progress.flow, Probing):
            progress.flow.asked = False

    return [(Leader, "_on_heartbeat_reply", on_heartbeat_reply)]


@mutant("after a lost probe a leader never probes again")
def a_lost_probe_stalls() -> list[Patch]:
    right = Leader._on_heartbeat_reply

    def on_heartbeat_reply(self: Leader, source: NodeId, progress: Any) -> None:
        if not isinstance(progress.flow, Probing):
            right(self, source, progress)

    return [(Leader, "_on_heartbeat_reply", on_heartbeat_reply)]


@mutant("a rejected leader asks at the same place again")
def no_backtracking() -> list[Patch]:
    def on_rejected(self: Leader, source: NodeId, progress: Any, message: Any) -> None:
        if not isinstance(progress.flow, Shipping):
            progress.probe_from(message.prev_index + 1)

    return [(Leader, "_on_rejected", on_rejected)]


@mutant("a snapshot that got lost is waited for for ever")
def shipping_gets_stuck() -> list[Patch]:
    def look_after_peers(self: Leader) -> None:
        self._promote_learners()
        self._prefer_priority()

    return [
        (Leader, "_look_after_peers", look_after_peers),
        (Leader, "snapshot_ended", lambda self, peer: None),
    ]


@mutant(
    "a snapshot replaces a log that goes further and agrees with it (and the leader ships one "
    "where entries would do, which is no bug)"
)
def a_snapshot_replaces_a_newer_log() -> list[Patch]:
    right = Follower._on_snapshot

    def on_snapshot(self: Follower, source: NodeId, message: Any) -> None:
        node = self.node
        if node.installing is None and message.snapshot.last.index > node.log.committed:
            node.start_install(message.snapshot)
        else:
            right(self, source, message)

    right_rejected = Leader._on_rejected

    def on_rejected(self: Leader, source: NodeId, progress: Any, message: Any) -> None:
        right_rejected(self, source, progress, message)
        if isinstance(progress.flow, Probing):
            progress.ship(self.node.now)
            self._wanted.append(source)

    return [(Follower, "_on_snapshot", on_snapshot), (Leader, "_on_rejected", on_rejected)]


# Reads and leases.


@mutant("a leader answers reads without asking anybody")
def reads_without_a_quorum() -> list[Patch]:
    right = Leader.read

    def read(self: Leader, request: int, *, lease: bool) -> None:
        if self.term_committed:
            self.node.grant_reads([request], self.node.log.committed)
        else:
            right(self, request, lease=lease)

    return [(Leader, "read", read)]


@mutant("a leader answers reads before it has committed anything in its term")
def reads_before_the_first_commit() -> list[Patch]:
    right = Leader._open_round

    def open_round(self: Leader) -> None:
        before, self.first_index = self.first_index, 0
        try:
            right(self)
        finally:
            self.first_index = before

    return [(Leader, "_open_round", open_round)]


@mutant("any answer confirms the newest probe, however old the one it answers")
def any_answer_confirms() -> list[Patch]:
    right = Leader._hear

    def hear(self: Leader, progress: Any, probe: int) -> None:
        right(self, progress, self.probes.newest)

    return [(Leader, "_hear", hear)]


@mutant("any answer of the leader's fits a follower's newest asking")
def any_reply_fits_the_asking() -> list[Patch]:
    right = Asking.answered
    return [(Asking, "answered", lambda self, round_: right(self, self.round))]


@mutant("one answer too few confirms a read")
def one_answer_too_few_confirms() -> list[Patch]:
    right = Leader._confirm

    def confirm(self: Leader) -> None:
        voters = self.node.membership.voters
        answered = sorted(
            self.probes.newest if v == self.node.id else self.progress[v].probe for v in voters
        )
        probe = answered[min(len(answered) - 1, (len(answered) + 1) // 2)]
        for round_ in self.reads.confirmed(probe):
            self._serve(round_.readers, round_.read_index)
        right(self)

    return [(Leader, "_confirm", confirm)]


@mutant("a lease runs from when the answer came, not from when the question left")
def lease_from_the_answer() -> list[Patch]:
    right = Leader._confirm

    def confirm(self: Leader) -> None:
        before = self.probes.confirmed
        right(self)
        if self.probes.confirmed != before:
            self.probes.confirmed_at = self.node.now

    return [(Leader, "_confirm", confirm)]


def lease_without(*, drift: bool = False, transfer: bool = False) -> list[Patch]:
    """A lease that forgets something."""

    def lease_valid(self: Leader) -> bool:
        config = self.node.config
        handed = self.lease_void or self.transfer_under_way is not None
        length = config.lease_ms if drift else config.lease_ms - config.drift_ms
        return (
            self.term_committed
            and (transfer or not handed)
            and self.probes.lease_valid(self.node.now, length)
        )

    return [(Leader, "lease_valid", lease_valid)]


@mutant("a lease makes no allowance for clocks that run at different rates")
def lease_without_drift() -> list[Patch]:
    return lease_without(drift=True)


@mutant("a lease outlives the handing over of leadership")
def lease_outlives_a_transfer() -> list[Patch]:
    return lease_without(transfer=True)


@mutant("voters do not defend a leader they hear")
def voters_defend_nobody() -> list[Patch]:
    return [(Node, "_defends_a_leader", lambda self: False)]


@mutant("a voter that starts again may vote at once, while an old lease still runs")
def a_restart_forgets_the_lease() -> list[Patch]:
    right = Node.__init__

    def init(self: Node, *arguments: Any, **named: Any) -> None:
        right(self, *arguments, **named)
        self.heard_at = -(1 << 40)

    return [(Node, "__init__", init)]


@mutant(
    "the last voter campaigns at once after a start, though another has only just left it alone"
)
def the_last_voter_does_not_wait() -> list[Patch]:
    return [(Node, "_alone", lambda self: self.membership.voters == [self.id])]


# Membership.


@mutant("a membership comes into force when it is committed, not when it is appended")
def membership_on_commit() -> list[Patch]:
    def append(self: Node, entries: Any) -> None:
        self.log.append(entries)

    def commit(self: Node, index: int) -> None:
        first = self.log.committed + 1
        right(self, index)
        while first <= self.log.committed:
            found = self.log.slice(
                first, self.log.committed, bytes_max=1 << 62, entries_max=1 << 62
            )
            self.history.append(found)
            first = found[-1].index + 1
            if isinstance(self.role, Leader):
                self.role._track(self.membership)

    right = Node.commit
    return [
        (Node, "append", append),
        (Node, "commit", commit),
    ]


@mutant("a membership that was truncated stays in force")
def membership_survives_truncation() -> list[Patch]:
    def truncate(self: History, first: int) -> None:
        pass

    return [(History, "truncate", truncate)]


@mutant("a leader changes the membership before it has committed anything in its term")
def change_before_an_own_commit() -> list[Patch]:
    right = Leader.change

    def change(self: Leader, change: Any) -> Any:
        before, self.first_index = self.first_index, 0
        try:
            return right(self, change)
        finally:
            self.first_index = before

    return [(Leader, "change", change)]


@mutant("a second membership change starts before the first is committed")
def two_changes_in_flight() -> list[Patch]:
    right = Leader.change

    def change(self: Leader, change: Any) -> Any:
        with patched((History, "index", property(lambda history: 0))):
            return right(self, change)

    return [(Leader, "change", change)]
