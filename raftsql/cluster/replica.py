"""The replica: one node's consensus, disk and database, joined by one short loop.

A write passes here twice: once when it is said (gathered, proposed, saved, sent), once when it is
heard back (committed, applied, answered). Both laps run `_lap`, in that order. The replica decides
and does no I/O: what touches a disk, a thread, the network or a clock is asked of the `World`,
which the runner is in production and the simulator in tests. While the disk or the database is busy
nothing waits: what arrives meanwhile gathers, and is the next batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from raftsql.cluster.proposals import Proposals
from raftsql.cluster.reading import Reading
from raftsql.cluster.requests import Read, Write, not_leader
from raftsql.cluster.writer import Writer
from raftsql.database.machine import Machine
from raftsql.raft.membership import Change, ChangeRefused
from raftsql.raft.messages import NOBODY, Entry, EntryKind, Envelope, NodeId, SnapshotMeta
from raftsql.raft.node import Node
from raftsql.raft.ready import Proposed, Refused, RoleChange, Save
from raftsql.raft.ready import Why as CoreWhy
from raftsql.sql.commands import Why, is_seen, seal

T = TypeVar("T")

BATCH_ENTRIES_MAX = 8192
BATCH_BYTES_MAX = 8 << 20
"""What is proposed in one go, so that one lap never takes long."""


class World(Protocol):
    """What a replica asks of its surroundings. Nothing here may call back into the replica before
    it returns, except where it says so."""

    def send(self, messages: Sequence[Envelope]) -> None:
        """Put messages on their way; they may be lost."""

    def save(self, save: Save) -> None:
        """Make it durable, then call `saved` (before returning, if that is quick)."""

    def apply(self, entries: Sequence[Entry]) -> None:
        """Apply entries, then call `applied` (before returning, if that is quick)."""

    def install(self, snapshot: SnapshotMeta) -> None:
        """Put the database on a received snapshot, then call `installed` or `install_failed`."""

    def ship(self, peer: NodeId) -> None:
        """Send a snapshot to the peer."""

    @property
    def machine(self) -> Machine:
        """The database's writing side; touched through `on_database` only."""

    def on_database(
        self, job: Callable[[], T], then: Callable[[T], None], *, small: bool = True
    ) -> None:
        """Do a job where the database is written, in order with `apply` and the others, and hand
        its result on (before returning, if it is small)."""

    def query(self, reads: list[Read]) -> None:
        """Run reads on what is applied now, or later, and reply."""

    def now_ms(self) -> int:
        """The monotonic clock that the core lives by."""

    def clock_ms(self) -> int:
        """Wall-clock time, for commands."""

    def seed(self) -> int:
        """64 random bits, for commands."""

    def role_changed(self, change: RoleChange) -> None:
        """For the log, and for whoever follows the leader."""


class Replica:
    """One node of the cluster, as its clients and peers meet it."""

    def __init__(self, node: Node, world: World) -> None:
        """Join a core and its surroundings; nothing happens before `lap`."""
        self.node = node
        self.world = world
        self.proposals = Proposals()
        self.reading = Reading(node, world.query, world.now_ms)
        self.writer = Writer(self)
        self._saving = False
        self._applying = False
        self._changes: list[tuple[int, int, Callable[[str | None], None]]] = []
        """Membership changes in the log: index, term, and whom to tell."""
        self._clock_ms = 0
        self.last_seen = 0
        """Index of the last applied entry whose changes a statement could see."""
        self.known_leader = NOBODY
        self.leads_term = 0
        """The term in which `known_leader` leads."""
        self.stopped = False

    @property
    def leads(self) -> bool:
        """Whether this node is the leader, as far as it knows."""
        return self.known_leader == self.node.id

    @property
    def rules(self) -> bool:
        """Whether this node leads, and has committed an entry as the leader: the membership may not
        be changed before."""
        return self.leads and self.node.rules

    # Requests.

    def write(self, write: Write) -> None:
        """Let a command into the log, if this node leads."""
        if self.stopped:
            write.reply.refused(Why.SHUTTING_DOWN, "the node stops")
        elif not self.leads:
            write.reply.refused(Why.NOT_LEADER, not_leader(self.known_leader))
        else:
            self.proposals.gather(write)

    def read(self, read: Read) -> None:
        """Run a query when its level's promise can be kept."""
        if self.stopped:
            read.reply.refused(Why.SHUTTING_DOWN, "the node stops")
        elif self.node.removed:
            read.reply.refused(Why.NOT_LEADER, "this node was removed from the cluster")
        else:
            self.reading.take(read)

    def change(self, change: Change, tell: Callable[[str | None], None]) -> None:
        """Change the membership; `tell` hears None when it is committed, else why it is not."""
        if self.stopped:
            tell("the node stops")
            return
        try:
            place = self.node.change(change)
        except (Refused, ChangeRefused) as refused:
            tell(str(refused))
            return
        self._changes.append((place.first, place.term, tell))

    # The loop.

    def pump(self) -> None:
        """Do what there is to do, until nothing is left that can be done now."""
        while self._lap():
            pass

    def _lap(self) -> bool:
        """Send, save, apply, answer. What is sent waits for no save that is still to come: the core
        has held back what does, and the leader's appends leave while its own disk works."""
        self._propose()
        self.reading.ask()
        ready = self.node.ready(take_save=not self._saving, take_committed=not self._applying)
        self.world.send(ready.messages)
        if self.proposals.watched:
            self.proposals.committed(self.node.log.committed)
        if ready.save is not None:
            self._saving = True
            self.world.save(ready.save)
            if not self._saving:
                # What waited for the disk leaves before anything is applied.
                self.world.send(self.node.take_messages())
        if ready.install is not None:
            self.world.install(ready.install)
        for peer in ready.snapshots_wanted:
            self.world.ship(peer)
        if ready.committed:
            self._applying = True
            self.writer.apply(ready.committed)
        self.reading.run_ready()
        self.reading.granted(ready.reads)
        self.reading.refused(ready.reads_refused)
        if ready.changed is not None:
            self._role_changed(ready.changed)
        disk_is_done = ready.save is not None and not self._saving
        database_is_done = bool(ready.committed) and not self._applying
        return disk_is_done or database_is_done or ready.changed is not None

    def _propose(self) -> None:
        """What arrives while the own disk works is the next batch, not a batch each: requests that
        come one by one would cost the peers a message each."""
        gathered = self.proposals.gathered
        if not gathered or self._saving or not self.writer.admits_singles():
            return
        batch = self.proposals.take(entries_max=BATCH_ENTRIES_MAX, bytes_max=BATCH_BYTES_MAX)
        clock_ms, seed = self.next_clock(), self.world.seed
        payloads = [
            seal(
                write.kind,
                write.body,
                clock_ms=clock_ms,
                seed=seed(),
                settings=write.settings,
                fuel=write.fuel,
                session=write.session,
                sequence=write.sequence,
                floor=write.floor,
            )
            for write in batch
        ]
        place = self.propose_sealed(payloads)
        if isinstance(place, Refused):
            self.proposals.refuse(batch, *explained(place))
        else:
            self.proposals.proposed(batch, place)

    def propose_sealed(self, payloads: list[bytes]) -> Proposed | Refused:
        """Put sealed commands into the log."""
        try:
            return self.node.propose(payloads)
        except Refused as refused:
            return refused

    def next_clock(self) -> int:
        """The clock that the next commands carry: the wall's, but never going back."""
        self._clock_ms = max(self._clock_ms, self.world.clock_ms())
        return self._clock_ms

    # What the world calls back.

    def saved(self, save: Save) -> None:
        """The save is durable."""
        self._saving = False
        self.node.saved(save.number)

    def applied(self, entries: Sequence[Entry], answers: Sequence[bytes | None]) -> None:
        """The entries are applied, with these answers (None where there is none to give)."""
        self._applying = False
        self.applied_part(entries, answers)

    def applied_part(self, entries: Sequence[Entry], answers: Sequence[bytes | None]) -> None:
        """The first of what was handed out is applied; the rest will take a while."""
        if not entries:
            return
        self.node.applied(entries[-1].index)
        for entry in reversed(entries):
            if entry.kind is EntryKind.COMMAND and is_seen(entry.payload):
                self.last_seen = entry.index
                break
        self.proposals.answer(entries, answers)
        if self._changes:
            self._tell_changes(entries)
        self.reading.applied()
        self.writer.applied()

    def installed(self, snapshot: SnapshotMeta) -> None:
        """The database stands on the snapshot."""
        self.node.installed(snapshot)
        self.last_seen = snapshot.last.index
        self.proposals.skipped(snapshot.last.index)
        self._give_up_changes(behind=snapshot.last.index)
        self.reading.applied()

    def install_failed(self) -> None:
        """The snapshot was not there any more, or damaged: the leader sends another one."""
        self.node.install_failed()

    def _tell_changes(self, entries: Sequence[Entry]) -> None:
        terms = {entry.index: entry.term for entry in entries}
        for change in [change for change in self._changes if change[0] in terms]:
            index, term, tell = change
            self._changes.remove(change)
            tell(None if terms[index] == term else "the node lost the lead; see `members`")

    def _role_changed(self, change: RoleChange) -> None:
        led = self.leads
        again = self.leads_term != change.term
        self.known_leader, self.leads_term = change.leader, change.term
        if led and (again or not self.leads):
            self.writer.lead_lost()
            self.proposals.lead_lost(change.leader)
            self._give_up_changes()
        self.world.role_changed(change)

    def _give_up_changes(self, behind: int = 0) -> None:
        """What is committed is told when it is applied: a leader that removes itself loses the lead
        by it. What a snapshot has taken the place of is not applied any more."""
        committed = self.node.log.committed
        for change in [c for c in self._changes if c[0] > committed or c[0] <= behind]:
            self._changes.remove(change)
            change[2]("the node lost the lead while the change was under way; see `members`")

    def expire(self) -> None:
        """Answer requests whose clients have stopped waiting. Called every now and then."""
        now = self.node.now
        self.proposals.expire(now)
        self.reading.expire(now)
        self.writer.expire(now)

    def stop(self) -> None:
        """Answer everybody, and whoever asks from now on: this node stops."""
        self.stopped = True
        self.writer.stop()
        self.proposals.stop()
        self.reading.stop()
        for _, _, tell in self._changes:
            tell("the node stops while the change is under way; see `members`")
        self._changes.clear()


def explained(refused: Refused) -> tuple[Why, str]:
    """The core's refusal, as clients are told it."""
    match refused.why:
        case CoreWhy.NOT_LEADER | CoreWhy.NO_LEADER:
            return Why.NOT_LEADER, not_leader(refused.leader)
        case CoreWhy.TRANSFERRING:
            return Why.NOT_LEADER, "leadership is being handed over"
        case _:
            return Why.OVERLOADED, refused.why.value
