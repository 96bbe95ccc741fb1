"""A Raft node: inputs go in, a Ready comes out, and nothing else happens.

The node owns what every role shares (term, vote, log, membership, the outbox) and the changes from
one role to another; what a follower, a candidate or a leader does is in the role of that name.
Time enters with every input that needs it, as milliseconds of a monotonic clock; chance is a
function that the caller gave. See `ready.py` for what the caller must do with the output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from raftsql.raft.candidate import Candidate
from raftsql.raft.config import Config
from raftsql.raft.follower import Follower
from raftsql.raft.leader import Leader
from raftsql.raft.log import Log
from raftsql.raft.membership import Change, History, Membership, decode
from raftsql.raft.messages import (
    NOBODY,
    Append,
    AppendAccepted,
    Entry,
    Envelope,
    HardState,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    Message,
    NodeId,
    Removed,
    SnapshotMeta,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from raftsql.raft.outbox import Outbox
from raftsql.raft.reads import Asking
from raftsql.raft.ready import (
    Proposed,
    ReadGranted,
    Ready,
    Refused,
    RoleChange,
    RoleName,
    Status,
    Why,
)
from raftsql.raft.saves import Saves

Chance = Callable[[int], int]
"""chance(n) -> a whole number from 0 to n - 1."""

Role = Follower | Candidate | Leader


class Node:
    """One member of a cluster, or one that would like to be."""

    def __init__(
        self,
        config: Config,
        *,
        state: HardState,
        log: Log,
        membership: Membership,
        now: int,
        chance: Chance,
    ) -> None:
        """Start, or start again, from what is durable.

        `membership` is the one in force at `log.applied`; later ones are found in the log.
        """
        self.config = config
        self.chance = chance
        self.now = now
        self.term = state.term
        self.vote = state.vote
        self.log = log
        self.history = History(log.applied, membership)
        self._note_stored_memberships()
        self.heard_at = now
        """When a leader was last heard. After a start one is assumed to have been: a lease that
        this node confirmed before it crashed may still run."""
        self.down_leader = NOBODY
        """A leader whose process is known to have ended."""
        self.installing: SnapshotMeta | None = None
        """What takes the state's place: nothing is appended or applied meanwhile."""
        self.asking = Asking(first_round=chance(1 << 40))
        self.outbox = Outbox()
        self.saves = Saves(unsaved_first=log.last.index + 1)
        self._handed_out = log.applied
        self._reads: list[ReadGranted] = []
        self._reads_refused: list[int] = []
        self._install: SnapshotMeta | None = None
        """The same, until a Ready has said so."""
        self._announced: RoleChange | None = None
        self.removed = config.node in membership.removed
        self.role: Role = Follower(self, leader=NOBODY)
        if self._alone():
            self.role.deadline = now

    def _alone(self) -> bool:
        """Whether no other voter can lead now, not even one that has just removed itself here."""
        known = self.history.since(self.log.applied)
        return self.promotable and all(m.voters in ([], [self.id]) for m in known)

    def _note_stored_memberships(self) -> None:
        first = self.log.applied + 1
        while first <= self.log.last.index:
            chunk = self.log.slice(
                first, self.log.last.index, bytes_max=1 << 22, entries_max=1 << 14
            )
            self.history.append(chunk)
            first = chunk[-1].index + 1

    # What is asked of the node.

    @property
    def membership(self) -> Membership:
        """The membership in force, committed or not."""
        return self.history.current

    @property
    def id(self) -> NodeId:
        """This node's number."""
        return self.config.node

    @property
    def leader(self) -> NodeId:
        """The leader of this term as far as it is known here."""
        match self.role:
            case Leader():
                return self.id
            case Follower(leader=leader):
                return leader
            case Candidate():
                return NOBODY

    @property
    def rules(self) -> bool:
        """Whether it leads and has committed an entry of its term: before that it may neither be
        read from nor change the membership."""
        return isinstance(self.role, Leader) and self.role.term_committed

    @property
    def handed_out(self) -> int:
        """Everything up to here was given to be applied, and may have been."""
        return self._handed_out

    @property
    def promotable(self) -> bool:
        """Whether this node may campaign: a voter by its own log, whose state is all there.

        One that its newest entries remove or demote is needed until they commit: perhaps nobody
        else holds those entries, and then nobody else can be elected (thesis 4.2.2).
        """
        voter = any(m.is_voter(self.id) for m in self.history.since(self.log.committed))
        ready = self.installing is None and not self.disk_hangs
        return voter and ready and not self.removed

    @property
    def disk_hangs(self) -> bool:
        """Whether a save has been under way for so long that this node is of no use."""
        begun_at = self.saves.begun_at
        return begun_at is not None and self.now - begun_at > self.config.disk_ms_max

    def wake_at(self) -> int:
        """When `tick` is needed at the latest, if nothing else happens before."""
        return self.role.wake_at()

    def status(self) -> Status:
        """A picture of the node, for people and tests."""
        leading = self.role if isinstance(self.role, Leader) else None
        return Status(
            node=self.id,
            role=self._role_name(),
            term=self.term,
            vote=self.vote,
            leader=self.leader,
            base=self.log.base,
            last=self.log.last,
            stored=self.log.stored,
            committed=self.log.committed,
            applied=self.log.applied,
            membership=self.membership,
            lease_valid=leading is not None and leading.lease_valid(),
            transferring_to=leading.transferring_to if leading else NOBODY,
            peers=leading.peer_status() if leading else {},
        )

    def _role_name(self) -> RoleName:
        if self.removed:
            return RoleName.REMOVED
        match self.role:
            case Leader():
                return RoleName.LEADER
            case Candidate():
                return RoleName.CANDIDATE
            case Follower():
                voter = self.membership.is_voter(self.id)
                return RoleName.FOLLOWER if voter else RoleName.LEARNER

    # Inputs.

    def tick(self, now: int) -> None:
        """Time has come to `now`: do what is due."""
        self._advance(now)
        if self.now - self.role.wake_at() > self.config.election_ms // 2:
            self.role.excuse()  # A node that overslept must read its mail before it acts.
        self.role.tick()

    def step(self, envelope: Envelope, now: int) -> None:
        """A message has arrived."""
        self._advance(now)
        if not self._is_for_us(envelope):
            return
        source, message = envelope.source, envelope.message
        if isinstance(message, Removed):
            self._told_removed(source)
        elif isinstance(message, VoteRequest):
            self._on_vote_request(source, message)
        elif message.term < self.term:
            self._answer_the_past(source, message)
        else:
            if message.term > self.term and not self._is_future_promise(message):
                self.become_follower(message.term)
            self.role.step(source, message)

    def propose(self, payloads: Sequence[bytes]) -> Proposed:
        """Append commands to the leader's log, or raise Refused."""
        return self._leading().propose(payloads)

    def change(self, change: Change) -> Proposed:
        """Append a membership change, or raise Refused or ChangeRefused."""
        return self._leading().change(change)

    def transfer(self, target: NodeId) -> None:
        """Hand leadership to a voter; asking again for another one changes the target."""
        self._leading().transfer(target)

    def read(self, request: int, now: int, *, lease: bool = False) -> None:
        """Ask from which index on the read may be served: it comes in a Ready, or is refused."""
        self._advance(now)
        self.role.read(request, lease=lease)

    def saved(self, number: int) -> None:
        """The Save of this number is durable, and so are all before it."""
        self.log.stored = max(self.log.stored, self.saves.finish(number))
        self.outbox.release(number, self.term)
        self.role.stored()

    def applied(self, index: int) -> None:
        """The state machine has applied everything up to `index`."""
        assert index <= self._handed_out, "only what was given out can be applied"
        if index > self.log.applied:
            self.log.applied = index
            self.history.settle(index)
            self.log.trim_tail(
                bytes_max=self.config.tail_bytes_max, entries_max=self.config.tail_entries_max
            )

    def installed(self, snapshot: SnapshotMeta) -> None:
        """The state machine now stands, durably, on the snapshot of the last Ready.install."""
        assert snapshot == self.installing, "only what was given out can be installed"
        self.installing = None
        if snapshot.last.index <= self.log.committed:
            return
        self.log.reset(snapshot.last)
        self.history.reset(snapshot.last.index, decode(snapshot.membership))
        self._handed_out = snapshot.last.index
        self.saves.begin_anew(snapshot.last)
        self.outbox.drop_acknowledgements()
        self._note_committed_removal()
        if isinstance(self.role, Follower) and self.role.leader:
            self.role.verified = snapshot.last.index
            accepted = AppendAccepted(self.term, match=snapshot.last.index, probe=0)
            self.send_when_stored(self.role.leader, accepted)

    def install_failed(self) -> None:
        """The snapshot of the last Ready.install could not be used; the leader will try again."""
        self.installing = None

    def compact(self, upto: int) -> None:
        """Entries up to `upto` are durable in the applied state and may leave the log."""
        self.log.compact(upto)

    def snapshot_progressed(self, peer: NodeId, now: int) -> None:
        """A part of the snapshot for the peer has arrived there."""
        self._advance(now)
        if isinstance(self.role, Leader):
            self.role.snapshot_progressed(peer)

    def snapshot_shipped(self, peer: NodeId) -> None:
        """The snapshot is at the peer as a whole; that it is installed there may get lost."""
        if isinstance(self.role, Leader):
            self.role.snapshot_ended(peer)

    def snapshot_failed(self, peer: NodeId) -> None:
        """The snapshot for the peer could not be made or sent."""
        if isinstance(self.role, Leader):
            self.role.snapshot_ended(peer)

    def unreachable(self, peer: NodeId) -> None:
        """What was last sent to the peer may be lost."""
        if isinstance(self.role, Leader):
            self.role.unreachable(peer)

    def process_ended(self, peer: NodeId, now: int) -> None:
        """The peer's address refuses connections: its process is not there any more."""
        self._advance(now)
        if isinstance(self.role, Follower) and peer == self.role.leader:
            self.down_leader = peer
            self.role.leader_died()

    # Output.

    def ready(self, *, take_save: bool = True, take_committed: bool = True) -> Ready:
        """All there is to do since the last Ready.

        A caller whose disk or state machine is still busy leaves that part: what gathers
        meanwhile is then one batch.
        """
        ready = Ready(messages=self.take_messages())
        if take_save:
            ready.save = self.saves.take(term=self.term, vote=self.vote, log=self.log, now=self.now)
        if self.state_is_durable():  # A term is durable no later than a state that has it.
            ready.install, self._install = self._install, None
        ready.committed = self._take_committed() if take_committed else ()
        ready.reads, self._reads = self._reads, []
        ready.reads_refused, self._reads_refused = self._reads_refused, []
        if isinstance(self.role, Leader):
            ready.snapshots_wanted = self.role.take_snapshots_wanted()
        change = RoleChange(self._role_name(), self.term, self.leader)
        if change != self._announced:
            ready.changed = self._announced = change
        return ready

    def take_messages(self) -> list[Envelope]:
        """What may leave now, for a caller that has more of the last Ready to do first."""
        self.role.flush()
        return self.outbox.take()

    def _take_committed(self) -> Sequence[Entry]:
        upto = min(self.log.committed, self.log.stored)
        if self.installing is not None or upto <= self._handed_out:
            return ()
        entries = self.log.slice(
            self._handed_out + 1,
            upto,
            bytes_max=self.config.apply_bytes_max,
            entries_max=self.config.apply_entries_max,
        )
        self._handed_out = entries[-1].index
        return entries

    # Changes of role: nothing else assigns it.

    def become_follower(self, term: int, leader: NodeId = NOBODY) -> None:
        """Follow `leader`, or wait for one; a new term forgets the vote, an old one keeps it."""
        assert term >= self.term, "terms never go back"
        self.refuse_reads(self.role.open_reads())
        if term > self.term:
            self._set_state(term, NOBODY)
        self.down_leader = NOBODY
        self.role = Follower(self, leader=leader)

    def become_candidate(self, *, pre: bool, forced: bool = False) -> None:
        """Ask whether one would be elected (`pre`), or stand for election in a new term."""
        assert self.promotable, "only a voter whose state is complete may campaign"
        assert not isinstance(self.role, Leader), "a leader need not campaign"
        self.refuse_reads(self.role.open_reads())
        if not pre:
            self._set_state(self.term + 1, self.id)
        self.role = Candidate(self, pre=pre, forced=forced)
        self.role.begin()

    def become_leader(self) -> None:
        """A majority elected this node: say so, and commit what came before (Raft 5.4.2)."""
        assert isinstance(self.role, Candidate), "only a candidate can be elected"
        assert not self.role.pre, "a majority of promises is not an election"
        self.role = Leader(self)
        self.role.begin()

    # What the roles do through the node.

    def send(self, target: NodeId, message: Message) -> None:
        """A message that says nothing that isn't durable."""
        self.outbox.put(Envelope(self.config.cluster, self.id, target, message))

    def send_with_state(self, target: NodeId, message: Message) -> None:
        """A message that must wait until term and vote are durable."""
        self._send_after(self.saves.holding_state, target, message)

    def send_when_stored(self, target: NodeId, message: Message) -> None:
        """A message that must wait until everything known here is durable."""
        self._send_after(self.saves.holding_all(self.log.last.index), target, message)

    def _send_after(self, save: int, target: NodeId, message: Message) -> None:
        if save <= self.saves.done:
            self.send(target, message)
        else:
            self.outbox.hold(save, Envelope(self.config.cluster, self.id, target, message))

    def state_is_durable(self) -> bool:
        """Whether term and vote would survive a crash now."""
        return self.saves.holding_state <= self.saves.done

    def _set_state(self, term: int, vote: NodeId) -> None:
        assert (term, bool(vote)) >= (self.term, bool(self.vote)), "a vote is never taken back"
        self.term, self.vote = term, vote
        self.saves.state_changed()

    def append(self, entries: list[Entry]) -> None:
        """Put entries at the end of the log, and whatever membership they carry in force."""
        self.log.append(entries)
        self.history.append(entries)

    def truncate(self, first: int) -> None:
        """Take back entries that the leader does not have, and their memberships."""
        self.log.truncate(first)
        self.history.truncate(first)
        self.saves.truncated(first)

    def commit(self, index: int) -> None:
        """Everything up to `index` is committed."""
        if index > self.log.committed:
            assert index <= self.log.last.index, "only what is in the log can be committed"
            self.log.committed = index
            self._note_committed_removal()

    def _note_committed_removal(self) -> None:
        if not self.removed and self.id in self.membership.removed:
            self.removed = self.history.index <= self.log.committed

    def start_install(self, snapshot: SnapshotMeta) -> None:
        """Ask the caller to put the state machine on a received snapshot."""
        self.installing = self._install = snapshot

    def grant_reads(self, requests: list[int], read_index: int) -> None:
        """These reads may be served from `read_index` on."""
        self._reads.extend(ReadGranted(request, read_index) for request in requests)

    def refuse_reads(self, requests: list[int]) -> None:
        """Nobody can vouch for these reads now."""
        self._reads_refused.extend(requests)

    def heard_leader(self) -> None:
        """A leader of this term spoke: defend it for a while."""
        self.heard_at = self.now
        self.down_leader = NOBODY

    # Dispatch.

    def _advance(self, now: int) -> None:
        self.now = max(self.now, now)

    def _leading(self) -> Leader:
        if not isinstance(self.role, Leader):
            raise Refused(Why.NOT_LEADER, self.leader)
        return self.role

    def _is_for_us(self, envelope: Envelope) -> bool:
        """Refuse another cluster's, another's, nobody's and one's own messages, and an ex-member's.

        A node that is in no membership is heard all the same: whom the others have taken in since,
        and whom they follow, this node may not know yet (thesis 4.2.2). Only who is a voter counts.
        """
        if envelope.cluster != self.config.cluster or envelope.target != self.id:
            return False
        if envelope.source in (NOBODY, self.id):
            return False
        settled = self.history.at(self.log.committed)
        if envelope.source in settled.removed:
            self.send(envelope.source, Removed(self.term))
            return False
        return True

    def _told_removed(self, source: NodeId) -> None:
        if source in self.membership.members:
            self.removed = True
            if not isinstance(self.role, Follower):
                self.become_follower(self.term)

    def _is_future_promise(self, message: Message) -> bool:
        return isinstance(message, VoteReply) and message.pre and message.granted

    def _answer_the_past(self, source: NodeId, message: Message) -> None:
        """A leader of an older term must learn that it is over, or it blocks a stuck candidate."""
        if isinstance(message, Append | Heartbeat | InstallSnapshot | TimeoutNow):
            self.send_with_state(source, HeartbeatReply(self.term, probe=0))

    def _on_vote_request(self, source: NodeId, request: VoteRequest) -> None:
        if request.term > self.term:
            if self._defends_a_leader() and not request.forced:
                return
            if not request.pre:
                self.become_follower(request.term)
        granted = self._would_vote(source, request)
        if granted and not request.pre:
            if self.vote != source:
                self._set_state(self.term, source)
            assert not isinstance(self.role, Leader), "a leader has voted for itself"
            self.role.voted()
        # A refusal carries this node's term, so that a candidate of an older one moves on. A
        # promise binds nobody, so it need not wait for the disk.
        if request.pre:
            term = request.term if granted else self.term
            self.send(source, VoteReply(term, granted, pre=True))
        else:
            self.send_with_state(source, VoteReply(self.term, granted, pre=False))

    def _defends_a_leader(self) -> bool:
        """Whether a vote now could end a leader that lives (thesis 6.2.3, 4.2.3)."""
        if isinstance(self.role, Leader):
            return True
        since = self.now - self.heard_at
        if since < self.config.lease_ms:
            return True
        follows = isinstance(self.role, Follower) and self.role.leader != NOBODY
        return follows and self.down_leader == NOBODY and since < self.config.election_ms

    def _would_vote(self, source: NodeId, request: VoteRequest) -> bool:
        if not self.log.up_to_date(request.last):
            return False
        if request.pre:
            return request.term > self.term
        return request.term == self.term and self.vote in (NOBODY, source)
