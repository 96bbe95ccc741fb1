"""A leader: replicates its log, commits what a majority stores, and proves that it still leads.

The leader's own disk is one more follower: what it has stored counts like any acknowledgement, and
appends leave while it writes (thesis 10.2.1). Appends to each peer leave in `flush`, once for all
inputs since the last Ready, so that what came together travels together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from raftsql.raft.membership import (
    Change,
    Membership,
    PromoteMember,
    changed,
)
from raftsql.raft.messages import (
    NOBODY,
    Append,
    AppendAccepted,
    AppendRejected,
    Entry,
    EntryKind,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    Message,
    NodeId,
    ReadIndexReply,
    ReadIndexRequest,
    Removed,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from raftsql.raft.probes import Probes
from raftsql.raft.progress import Probing, Progress, Replicating, Shipping
from raftsql.raft.quorum import agreed, majority
from raftsql.raft.reads import LocalRead, Reader, ReadQueue, RemoteRead
from raftsql.raft.ready import PeerStatus, Proposed, Refused, Why

if TYPE_CHECKING:
    from raftsql.raft.node import Node


@dataclass(slots=True)
class Transfer:
    """Leadership is being handed to `target`; given up at `deadline`."""

    target: NodeId
    deadline: int
    told: bool = False


class Leader:
    """Fields of a leader, and what it does with each input."""

    __slots__ = (
        "node", "progress", "probes", "reads", "first_index", "heartbeat_at", "look_at",
        "notice_at", "proved_at", "transfer_under_way", "lease_void", "priority_at", "uncommitted",
        "uncommitted_bytes", "leaving", "ask_all_at", "_opened", "_wanted",
    )  # fmt: skip

    def __init__(self, node: Node) -> None:
        """Elected, but nothing said yet: see `begin`."""
        self.node = node
        self.progress: dict[NodeId, Progress] = {}
        self.probes = Probes()
        self.reads = ReadQueue()
        self.first_index = node.log.last.index + 1
        """The first entry of this term; nothing may be read or changed before it commits."""
        self.heartbeat_at = node.now
        """When everybody is to be probed again."""
        self.look_at = node.now + node.config.heartbeat_ms
        """When peers are next looked after. Not with heartbeats: reads send those too, and put off
        the next one each time."""
        self.notice_at: int | None = None
        """When idle followers are to be told of a new commit index."""
        self.proved_at = node.now
        """Since when silence of the quorum counts against this leader."""
        self.transfer_under_way: Transfer | None = None
        self.lease_void = False
        """TimeoutNow has left in this term, and may arrive at any time: no lease any more."""
        self.priority_at = node.now + 2 * node.config.election_ms
        """From when on a voter of higher priority may be given the lead: not at once, nor soon
        after it did not take it."""
        self.uncommitted: deque[tuple[int, int]] = deque()
        """The last index and the bytes of each proposal that is not committed yet."""
        self.uncommitted_bytes = 0
        self.leaving: dict[NodeId, int] = {}
        """Nodes removed by entries not yet committed; they are told when those commit."""
        self.ask_all_at: int | None = None
        """When a round takes so long that everybody is asked, of whom only a quorum was."""
        self._opened = False
        """Whether a round was opened whose probe has not left yet."""
        self._wanted: list[NodeId] = []
        """Peers that need a snapshot, of which no Ready has told yet."""

    def begin(self) -> None:
        """Append an entry of this term, so that all before it may commit, and tell everyone."""
        self._track(self.node.membership)
        self._append([(EntryKind.NOOP, b"")])
        self._heartbeat()

    def _track(self, membership: Membership) -> None:
        """Follow the peers of this membership, and no others."""
        node = self.node
        for peer in membership.members:
            if peer != node.id and peer not in self.progress:
                self.progress[peer] = Progress(
                    next_index=node.log.last.index + 1, heard_at=node.now
                )
        for peer in [p for p in self.progress if p not in membership.members]:
            del self.progress[peer]

    # Proposals.

    def propose(self, payloads: Sequence[bytes]) -> Proposed:
        """Append commands, unless too much waits already."""
        config = self.node.config
        if self.transfer_under_way is not None:
            raise Refused(Why.TRANSFERRING, self.node.id)
        size = sum(map(len, payloads))
        waiting = self.node.log.last.index - self.node.log.committed
        if self.uncommitted and (
            self.uncommitted_bytes + size > config.uncommitted_bytes_max
            or waiting + len(payloads) > config.uncommitted_entries_max
        ):
            raise Refused(Why.OVERLOADED, self.node.id)
        return self._append([(EntryKind.COMMAND, payload) for payload in payloads], size)

    def change(self, change: Change) -> Proposed:
        """Append a membership change: one at a time, and none before an own entry committed."""
        node = self.node
        if self.transfer_under_way is not None:
            raise Refused(Why.TRANSFERRING, node.id)
        if not self.term_committed:
            raise Refused(Why.TERM_NOT_COMMITTED, node.id)
        if node.history.index > node.log.committed:
            raise Refused(Why.CHANGE_PENDING, node.id)
        before = node.membership
        after = changed(before, change)
        proposed = self._append([(EntryKind.MEMBERSHIP, after.encode())])
        for gone in before.members.keys() - after.members.keys():
            self.leaving[gone] = proposed.first
        self._track(after)
        self._advance_commit()
        self._confirm()
        return proposed

    def _append(self, items: list[tuple[EntryKind, bytes]], size: int = 0) -> Proposed:
        node = self.node
        first, term = node.log.last.index + 1, node.term
        node.append(
            [Entry(term, index, kind, data) for index, (kind, data) in enumerate(items, first)]
        )
        self.uncommitted.append((node.log.last.index, size))
        self.uncommitted_bytes += size
        return Proposed(first, term)

    @property
    def term_committed(self) -> bool:
        """Whether an entry of this term is committed, and so everything before it known to be."""
        return self.node.log.committed >= self.first_index

    # Committing.

    def stored(self) -> None:
        """This node's own disk has something more."""
        self._advance_commit()

    def _advance_commit(self) -> None:
        """Commit what a majority of voters has stored, if it is of this term (Raft 5.4.2)."""
        node, log = self.node, self.node.log
        matches = [
            log.stored if voter == node.id else self.progress[voter].match
            for voter in node.membership.voters
        ]
        index = agreed(matches)
        if index <= log.committed or log.term(index) != node.term:
            return
        node.commit(index)
        while self.uncommitted and self.uncommitted[0][0] <= index:
            self.uncommitted_bytes -= self.uncommitted.popleft()[1]
        if self.notice_at is None:
            self.notice_at = node.now + node.config.commit_notice_ms
        self._say_farewell()

    def _say_farewell(self) -> None:
        node = self.node
        for gone in [n for n, index in self.leaving.items() if index <= node.log.committed]:
            del self.leaving[gone]
            if gone != node.id:
                node.send(gone, Removed(node.term))
        settled = node.history.at(node.log.committed)
        if node.history.index <= node.log.committed and not settled.is_voter(node.id):
            self._resign()

    def _resign(self) -> None:
        """This leader is no voter any more: the best of the others should campaign at once."""
        node = self.node
        voters = [(self.progress[v].match, v) for v in node.membership.voters]
        if voters:
            # Not told of the commit first: it would refuse the word of a removed node.
            node.send(max(voters)[1], TimeoutNow(node.term))
        node.become_follower(node.term)

    # Time.

    def tick(self) -> None:
        """Do what is due: prove leadership or give it up, tell followers, look after peers."""
        node = self.node
        if node.now - self._proved() > node.config.election_ms or node.disk_hangs:
            node.become_follower(node.term)
            return
        transfer = self.transfer_under_way
        if transfer is not None and node.now >= transfer.deadline:
            self.transfer_under_way = None
            self.priority_at = node.now + 4 * node.config.election_ms
        if self.ask_all_at is not None and node.now >= self.ask_all_at:
            self.heartbeat_at, self.ask_all_at = node.now, None
        if node.now >= self.heartbeat_at:
            self._heartbeat()
        elif self.notice_at is not None and node.now >= self.notice_at:
            self._tell_commits()
        if node.now >= self.look_at:
            self.look_at = node.now + node.config.heartbeat_ms
            self._look_after_peers()

    def wake_at(self) -> int:
        """The next time something is due."""
        due = min(self.heartbeat_at, self.look_at)
        if self.notice_at is not None:
            due = min(due, self.notice_at)
        return due if self.ask_all_at is None else min(due, self.ask_all_at)

    def excuse(self) -> None:
        """This node did not run for a while: the quorum's silence was not the quorum's."""
        self.proved_at = self.node.now

    def _proved(self) -> int:
        confirmed_at = self.probes.confirmed_at
        return self.proved_at if confirmed_at is None else max(self.proved_at, confirmed_at)

    def _heartbeat(self) -> None:
        """A new probe to everybody."""
        node = self.node
        self.heartbeat_at = node.now + node.config.heartbeat_ms
        self.probes.send(node.now)
        for peer in self.progress:
            self._send_heartbeat(peer)
        self.notice_at = None
        self._confirm()

    def _tell_commits(self) -> None:
        self.notice_at = None
        for peer, progress in self.progress.items():
            if progress.commit_told < min(self.node.log.committed, progress.match):
                self._send_heartbeat(peer)

    def _send_heartbeat(self, peer: NodeId) -> None:
        """A heartbeat; its commit index never exceeds what this peer has stored (etcd's rule)."""
        node, progress = self.node, self.progress[peer]
        commit = min(node.log.committed, progress.match)
        progress.commit_told = max(progress.commit_told, commit)
        node.send(peer, Heartbeat(node.term, commit, self.probes.newest))

    def _look_after_peers(self) -> None:
        config, now = self.node.config, self.node.now
        for progress in self.progress.values():
            flow = progress.flow
            if isinstance(flow, Shipping) and now - flow.heard_at > config.ship_ms_max:
                progress.probe_from(self.node.log.base.index + 1)
        self._promote_learners()
        self._prefer_priority()

    def _promote_learners(self) -> None:
        node, last = self.node, self.node.log.last.index
        for learner in node.membership.learners:
            wanted = node.membership.members[learner].promote  # Never the leader itself, demoted.
            if wanted and self.progress[learner].keeps_up(last, node.now, node.config):
                # Refused while another change is under way: the next look tries again.
                with suppress(Refused):
                    self.change(PromoteMember(learner))
                return

    def _prefer_priority(self) -> None:
        """Hand over to a voter that should rather lead and has everything."""
        node = self.node
        mine = node.membership.members.get(node.id)
        if mine is None or node.now < self.priority_at or self.transfer_under_way is not None:
            return
        better = [
            (node.membership.members[v].priority, v)
            for v in node.membership.voters
            if v != node.id
            and node.membership.members[v].priority > mine.priority
            and self.progress[v].match == node.log.last.index
            and node.now - self.progress[v].heard_at < 3 * node.config.heartbeat_ms
        ]
        if better and self.term_committed:
            self.transfer(max(better)[1])

    # Leadership transfer.

    @property
    def transferring_to(self) -> NodeId:
        """The node that leadership is being handed to."""
        return NOBODY if self.transfer_under_way is None else self.transfer_under_way.target

    def transfer(self, target: NodeId) -> None:
        """Stop taking proposals, let the target catch up, and tell it to campaign."""
        node = self.node
        if target == node.id:
            self.transfer_under_way = None
            return
        if not node.membership.is_voter(target):
            raise Refused(Why.NOT_A_VOTER, node.id)
        deadline = node.now + node.config.election_ms
        self.transfer_under_way = Transfer(target, deadline)
        self._hand_over_if_level(target)

    def _hand_over_if_level(self, peer: NodeId) -> None:
        transfer, node = self.transfer_under_way, self.node
        if transfer is None or transfer.target != peer or transfer.told:
            return
        if self.progress[peer].match == node.log.last.index:
            transfer.told = True
            self.lease_void = True
            node.send(peer, TimeoutNow(node.term))

    # Reads.

    def read(self, request: int, *, lease: bool) -> None:
        """From the lease when asked for and valid, else with the next round."""
        if lease and self.lease_valid():
            self.node.grant_reads([request], self.node.log.committed)
        elif len(self.reads.waiting) >= self.node.config.reads_waiting_max:
            self.node.refuse_reads([request])
        else:
            self.reads.waiting.append(LocalRead(request))

    def open_reads(self) -> list[int]:
        """Reads that this leader did not get to confirm."""
        return self.reads.local()

    def lease_valid(self) -> bool:
        """Whether no other leader can exist now, as far as clocks may be trusted."""
        config = self.node.config
        return (
            self.term_committed
            and not self.lease_void
            and self.transfer_under_way is None
            and self.probes.lease_valid(self.node.now, config.lease_ms - config.drift_ms)
        )

    def _open_round(self) -> None:
        """One probe for all reads that wait. Not before this term's first commit: until then
        this leader may not know what its predecessor committed (Raft 8)."""
        under_way, config = len(self.reads.rounds), self.node.config
        late = self.ask_all_at is None and under_way < config.read_rounds_max
        if not self.term_committed or (under_way and not late):
            return
        self.reads.begin(probe=self.probes.newest + 1, read_index=self.node.log.committed)
        if under_way:
            self._heartbeat()
        else:
            self._opened, self.ask_all_at = True, self.node.now + config.read_patience_ms
            self.probes.send(self.node.now)

    def _ask_quorum(self) -> None:
        """Let the round's probe leave for as many voters as are needed: those to whom an append has
        taken it already, and those heard last."""
        node = self.node
        voters = node.membership.voters
        others = [voter for voter in voters if voter != node.id]
        others.sort(key=lambda v: self.progress[v].readiness(self.probes.newest), reverse=True)
        for peer in others[: majority(len(voters)) - (node.id in voters)]:
            if self.progress[peer].appended_probe < self.probes.newest:
                self._send_heartbeat(peer)
        self._confirm()

    def _confirm(self) -> None:
        """See which probe a quorum has answered, and serve the reads that waited for it."""
        node = self.node
        answered = [
            self.probes.newest if voter == node.id else self.progress[voter].probe
            for voter in node.membership.voters
        ]
        if not self.probes.confirm(agreed(answered)):
            return
        for round_ in self.reads.confirmed(self.probes.confirmed):
            self._serve(round_.readers, round_.read_index)
        if not self.reads.rounds:
            self.ask_all_at = None

    def _serve(self, readers: list[Reader], read_index: int) -> None:
        node = self.node
        node.grant_reads([r.request for r in readers if isinstance(r, LocalRead)], read_index)
        for reader in readers:
            if isinstance(reader, RemoteRead):
                node.send(reader.node, ReadIndexReply(node.term, reader.round, read_index))

    # Sending.

    def flush(self) -> None:
        """Open a read round, and send every peer what it may have. An append takes the round's
        probe along, so that reads beside writes cost no messages of their own."""
        if self.reads.waiting:
            self._open_round()
        last = self.node.log.last.index
        for peer, progress in self.progress.items():
            level = progress.next_index > last and isinstance(progress.flow, Replicating)
            if not level:
                self._replicate(peer, progress)
        if self._opened:
            self._opened = False
            self._ask_quorum()

    def _replicate(self, peer: NodeId, progress: Progress) -> None:
        log, config = self.node.log, self.node.config
        if progress.next_index <= log.base.index and not isinstance(progress.flow, Shipping):
            # Perhaps it has more than was acknowledged: ask at the base before shipping.
            progress.probe_from(log.base.index + 1)
        while progress.may_send(config):
            probing = isinstance(progress.flow, Probing)
            if progress.next_index > log.last.index and not probing:
                return
            if probing and progress.match == log.last.index:
                progress.replicate()
                return
            self._send_append(peer, progress)

    def _send_append(self, peer: NodeId, progress: Progress, *, empty: bool = False) -> None:
        node, log, config = self.node, self.node.log, self.node.config
        prev = log.position(progress.next_index - 1)
        entries: Sequence[Entry] = ()
        if not empty and progress.next_index <= log.last.index:
            entries = log.slice(
                progress.next_index,
                log.last.index,
                bytes_max=config.append_bytes_max,
                entries_max=config.append_entries_max,
            )
        last = prev.index + len(entries)
        node.send(peer, Append(node.term, prev, entries, log.committed, self.probes.newest))
        progress.appended_probe = self.probes.newest
        progress.commit_told = max(progress.commit_told, min(log.committed, last))
        if isinstance(progress.flow, Replicating) and not progress.flow.inflight:
            progress.moved_at = node.now
        progress.sent(last, sum(len(entry.payload) for entry in entries))

    def take_snapshots_wanted(self) -> list[NodeId]:
        """Peers whose place the log no longer reaches, since the last call."""
        wanted, self._wanted = self._wanted, []
        return wanted

    def snapshot_progressed(self, peer: NodeId) -> None:
        """A part of the snapshot arrived there."""
        progress = self.progress.get(peer)
        if progress is not None and isinstance(progress.flow, Shipping):
            progress.flow.heard_at = self.node.now

    def snapshot_ended(self, peer: NodeId) -> None:
        """Well or not, only the peer knows: ask it where it is, but not before it is heard of."""
        progress = self.progress.get(peer)
        if progress is not None and isinstance(progress.flow, Shipping):
            progress.probe_from(self.node.log.base.index + 1)
            progress.flow = Probing(asked=True)

    def unreachable(self, peer: NodeId) -> None:
        """What is under way may be lost: find out where the peer is."""
        progress = self.progress.get(peer)
        if progress is not None and isinstance(progress.flow, Replicating):
            progress.probe_from(progress.match + 1)

    # Messages.

    def step(self, source: NodeId, message: Message) -> None:
        """A message of this term."""
        progress = self.progress.get(source)
        match message:
            case AppendAccepted():
                if progress is not None:
                    self._hear(progress, message.probe)
                    self._on_accepted(source, progress, message)
            case HeartbeatReply():
                if progress is not None:
                    self._hear(progress, message.probe)
                    self._on_heartbeat_reply(source, progress)
            case ReadIndexRequest():
                self._on_read_index_request(source, message)
            case AppendRejected():
                if progress is not None:
                    self._hear(progress, message.probe)
                    self._on_rejected(source, progress, message)
            case Append() | Heartbeat() | InstallSnapshot() | TimeoutNow():
                raise AssertionError(
                    f"one leader a term: {source} also leads term {self.node.term}"
                )
            case ReadIndexReply() | VoteReply():
                pass  # Answers to what this node asked in another role.
            case VoteRequest() | Removed():
                raise AssertionError("the node answers these whatever its role")
            case _:
                assert_never(message)

    def _hear(self, progress: Progress, probe: int) -> None:
        progress.heard_at = self.node.now
        if probe > progress.probe:
            progress.probe = probe
            self._confirm()

    def _on_accepted(self, source: NodeId, progress: Progress, message: AppendAccepted) -> None:
        assert message.match <= self.node.log.last.index, (
            f"node {source} claims entries up to {message.match} that this leader never had"
        )
        if progress.accepted(message.match):
            progress.moved_at = self.node.now
            self._hand_over_if_level(source)
            self._advance_commit()

    def _on_heartbeat_reply(self, source: NodeId, progress: Progress) -> None:
        """A sign of life; where an append or its answer may be lost, ask again."""
        match progress.flow:
            case Probing():
                progress.flow.asked = False
            case Replicating(inflight):
                # Under load something is always under way; only what stands still may be lost.
                still = 2 * (self.node.now - progress.moved_at) >= self.node.config.heartbeat_ms
                if inflight and still and progress.next_index > self.node.log.base.index:
                    progress.moved_at = self.node.now
                    self._send_append(source, progress, empty=True)
            case Shipping():
                pass

    def _on_rejected(self, source: NodeId, progress: Progress, message: AppendRejected) -> None:
        """The logs part before `prev_index`: go back by whole terms, or ship a snapshot."""
        log = self.node.log
        match progress.flow:
            case Shipping():
                return
            case Probing() if message.prev_index != progress.next_index - 1:
                return  # An old answer.
            case _:
                if message.prev_index <= progress.match:
                    return  # An old answer: it has acknowledged that entry since.
        hint = message.hint
        shared = log.newest_at_most(hint) if hint.index >= log.base.index else hint
        next_index = min(shared.index, message.prev_index - 1) + 1
        if max(next_index, progress.match + 1) <= log.base.index:
            progress.ship(self.node.now)
            self._wanted.append(source)
        else:
            progress.probe_from(next_index)

    def _on_read_index_request(self, source: NodeId, message: ReadIndexRequest) -> None:
        node = self.node
        if message.lease and self.lease_valid():
            node.send(source, ReadIndexReply(node.term, message.round, node.log.committed))
        elif len(self.reads.waiting) >= node.config.reads_waiting_max:
            node.send(source, ReadIndexReply(node.term, message.round, index=0))
        else:
            self.reads.waiting.append(RemoteRead(source, message.round))

    def peer_status(self) -> dict[NodeId, PeerStatus]:
        """How far each peer is."""
        now = self.node.now
        return {
            peer: PeerStatus(p.match, p.next_index, type(p.flow).__name__.lower(), now - p.heard_at)
            for peer, p in self.progress.items()
        }
