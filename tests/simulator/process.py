"""One node as the world sees it: a core with its disk, its state machine and its clients' requests.

It runs the contract of `ready.py` the way the real replica does, except that every delay and every
crash comes from the world. A process can be paused (nothing reaches it, its clock goes on), crash
(all that is not durable is gone) and start again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from raftsql.raft.leader import Leader
from raftsql.raft.log import Log
from raftsql.raft.membership import Membership
from raftsql.raft.messages import (
    Entry,
    Envelope,
    HardState,
    InstallSnapshot,
    NodeId,
    Position,
    SnapshotMeta,
    VoteReply,
)
from raftsql.raft.node import Node
from raftsql.raft.quorum import majority
from raftsql.raft.ready import ReadGranted, Ready, Refused
from tests.simulator.disk import Disk
from tests.simulator.machine import Machine
from tests.simulator.timeline import MS, Clock

if TYPE_CHECKING:
    from tests.simulator.cluster import Cluster


class WriteWaiter(Protocol):
    """Who asked for a write, and is told what became of it."""

    def payload(self) -> bytes: ...
    def acked(self, place: int | None) -> None: ...
    def failed(self) -> None: ...
    def unknown(self) -> None: ...
    def refused(self, leader: NodeId) -> None: ...


class ReadWaiter(Protocol):
    """Who asked for a read."""

    def answered(self, machine: Machine) -> None: ...
    def refused(self, leader: NodeId) -> None: ...


@dataclass(slots=True)
class Seen:
    """What the invariants last saw of this incarnation."""

    term: int
    vote: NodeId
    committed: int
    applied: int


class Process:
    """A node of the simulated cluster; `node` is None while it is down."""

    def __init__(self, world: Cluster, node_id: NodeId, disk: Disk, clock: Clock) -> None:
        self.id = node_id
        self.world = world
        self.chance = world.chance
        self.timeline = world.timeline
        self.settings = world.settings
        self.config = world.settings.config(node_id)
        self.clock = clock
        self.disk = disk
        disk.on_loss = world.invariants.lost
        self.disk_us = world.settings.disk_us
        self.machine = Machine()
        self.checkpoint = Machine()
        """The state machine as it would be found after a crash."""
        self.node: Node | None = None
        self.incarnation = 0
        self.paused = False
        self.gone = False
        """Its disk is lost; it never comes back."""
        self.seen = Seen(0, 0, 0, 0)
        self.heard: set[NodeId] = set()
        """Who promised a vote since it last campaigned."""
        self.campaigned = 0
        self._reset_volatile()

    def _reset_volatile(self) -> None:
        self._mail: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._pumping = False
        self._timer_at: int | None = None
        self._timer = 0
        self._disk_busy = False
        self._disk_turn = 0
        self._work: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._working = False
        self._requests: list[WriteWaiter] = []
        self._waiting: dict[int, tuple[int, WriteWaiter]] = {}
        self._asked: dict[int, ReadWaiter] = {}
        self._granted: list[ReadGranted] = []
        self._reads = 0
        self._snapshots: dict[SnapshotMeta, Machine] = {}
        self._shipping_from: dict[NodeId, Process] = {}

    # Its life.

    @property
    def up(self) -> bool:
        """Whether the process runs, paused or not."""
        return self.node is not None

    @property
    def leads(self) -> bool:
        """Whether it believes itself to be the leader."""
        return self.node is not None and isinstance(self.node.role, Leader)

    def start(self) -> None:
        """Start, or start again, from what is durable."""
        assert self.node is None
        assert not self.gone
        self.incarnation += 1
        self.machine = self.checkpoint.copy()
        applied = self.machine.position
        if not self.disk.holds(applied):
            self.disk.reset(applied)  # It crashed between a snapshot and the log that follows it.
        log = Log(
            base=self.disk.base,
            runs=self.disk.runs(),
            last_index=self.disk.last.index,
            applied=applied.index,
            read=self.disk.read,
        )
        self.node = Node(
            self.config,
            state=self.disk.state,
            log=log,
            membership=self.machine.membership,
            now=self.clock.now(),
            chance=self.chance.randrange,
        )
        self.seen = Seen(self.node.term, self.node.vote, log.committed, log.applied)
        self.heard.clear()
        self.world.note("start", self.id)
        self._touch()

    def crash(self) -> None:
        """Stop at once; what is not durable may be lost."""
        assert self.node is not None
        self.world.note("crash", self.id)
        self.node = None
        self.incarnation += 1
        self.paused = False
        self.disk.crash(self.chance)
        if (
            self.chance.random() < 0.3
            and self.machine.position.index > self.checkpoint.position.index
        ):
            self.checkpoint = self.machine.copy()
        waiting = [waiter for _, waiter in self._waiting.values()]
        requests, asked, shipping = self._requests, self._asked, self._shipping_from
        self._reset_volatile()
        for waiter in waiting:
            waiter.unknown()
        for writer in requests:
            writer.refused(0)
        for reader in asked.values():
            reader.refused(0)
        for sender in shipping.values():
            sender.ship_failed(self.id)

    def pause(self) -> None:
        """Stop running; the clock goes on."""
        self.world.note("pause", self.id)
        self.paused = True

    def resume(self) -> None:
        """Run again: what came meanwhile is there, in order, before or after a tick."""
        if not self.paused:
            return
        self.world.note("resume", self.id)
        self.paused = False
        mail, self._mail = self._mail, []
        if self.chance.random() < 0.5:
            mail.insert(0, (self._tick, ()))
        for call, arguments in mail:
            call(*arguments)
            self.world.invariants.after_input(self)
        self._touch()

    # Inputs.

    def post(self, incarnation: int, call: Callable[..., None], *arguments: Any) -> None:
        """Something happens to this process, unless it has ended meanwhile."""
        if incarnation != self.incarnation or self.node is None:
            return
        if self.paused:
            self._mail.append((call, arguments))
            return
        call(*arguments)
        self.world.invariants.after_input(self)
        self._touch()

    def input(self, call: Callable[..., None], *arguments: Any) -> None:
        """Something happens to whatever incarnation runs."""
        self.post(self.incarnation, call, *arguments)

    def _later(self, delay_us: int, call: Callable[..., None], *arguments: Any) -> None:
        self.timeline.after(delay_us, self.post, self.incarnation, call, *arguments)

    def receive(self, envelope: Envelope, attached: Machine | None, sender: Process | None) -> None:
        """A message arrives, a snapshot with its state."""
        node = self.node
        assert node is not None
        message = envelope.message
        if isinstance(message, InstallSnapshot) and attached is not None:
            self._snapshots[message.snapshot] = attached
            if sender is not None:
                self._shipping_from[sender.id] = sender
        if isinstance(message, VoteReply) and message.granted:
            self.heard.add(envelope.source)
        node.step(envelope, self.clock.now())

    def write(self, waiter: WriteWaiter) -> None:
        """A client asks for a write."""
        self._requests.append(waiter)

    def read(self, waiter: ReadWaiter, *, lease: bool) -> None:
        """A client asks for a read."""
        assert self.node is not None
        self._reads += 1
        self._asked[self._reads] = waiter
        self.node.read(self._reads, self.clock.now(), lease=lease)

    def process_ended(self, peer: NodeId) -> None:
        """A peer's address refused a connection."""
        if self.node is not None:
            self.node.process_ended(peer, self.clock.now())

    def ship_failed(self, peer: NodeId) -> None:
        """The transport lost a snapshot."""
        self.input(self._ship_failed, peer)

    def _ship_failed(self, peer: NodeId) -> None:
        if self.node is not None:
            self.node.snapshot_failed(peer)

    def shipped(self, peer: NodeId) -> None:
        """The transport delivered a snapshot."""
        if self.node is not None:
            self.node.snapshot_shipped(peer)

    def unreachable(self, peer: NodeId) -> None:
        """The transport lost a connection."""
        if self.node is not None:
            self.node.unreachable(peer)

    def _tick(self) -> None:
        assert self.node is not None
        self.node.tick(self.clock.now())

    def _timer_fired(self, timer: int) -> None:
        if timer == self._timer:
            self._timer_at = None
            self._tick()

    # The pump.

    def _touch(self) -> None:
        """Run the core soon: what comes until then is handled together."""
        if not self._pumping:
            self._pumping = True
            delay = self.chance.randrange(self.settings.gather_us)
            self.timeline.after(delay, self._pump, self.incarnation)

    def _pump(self, incarnation: int) -> None:
        node = self.node
        if incarnation != self.incarnation or node is None:
            return
        self._pumping = False
        if self.paused:
            return
        if self._requests:
            self._propose(node)
        lazy = self.settings.lazy
        ready = node.ready(
            take_save=not (lazy and self._disk_busy), take_committed=not (lazy and self._working)
        )
        if ready.changed is not None:
            self.world.note("role", self.id, *ready.changed)
        self.world.invariants.after_step(self, ready.messages, ready.save)
        for envelope in ready.messages:
            self.world.send(self, envelope)
        if ready.save is not None:
            self.disk.pending.append(ready.save)
            self._start_disk()
        for peer in ready.snapshots_wanted:
            self.world.ship(self, peer)
        self._take_work(ready)
        self._take_reads(ready)
        self._set_timer(node)

    def _set_timer(self, node: Node) -> None:
        wake = node.wake_at()
        if self._timer_at is None or wake < self._timer_at:
            self._timer_at = wake
            self._timer += 1
            self._later(self.clock.wait_us(wake), self._timer_fired, self._timer)

    def _propose(self, node: Node) -> None:
        requests, self._requests = self._requests, []
        while requests:
            size = self.settings.batch_max
            batch, requests = requests[:size], requests[size:]
            try:
                proposed = node.propose([waiter.payload() for waiter in batch])
            except Refused as refused:
                for waiter in batch:
                    waiter.refused(refused.leader)
                continue
            for place, waiter in enumerate(batch):
                previous = self._waiting.pop(proposed.first + place, None)
                if previous is not None:
                    previous[1].unknown()
                self._waiting[proposed.first + place] = (proposed.term, waiter)

    # The disk.

    def set_disk_speed(self, disk_us: int) -> None:
        """From now on a write takes about so long, the one under way too."""
        self.disk_us = disk_us
        if self._disk_busy:
            self._disk_busy = False
            self._start_disk()

    def _start_disk(self) -> None:
        if not self._disk_busy and self.disk.pending:
            self._disk_busy = True
            self._disk_turn += 1
            delay = 20 + int(self.chance.expovariate(1.0) * self.disk_us)
            self.timeline.after(delay, self._disk_done, self.incarnation, self._disk_turn)

    def _disk_done(self, incarnation: int, turn: int) -> None:
        """The disk goes on while the process is paused; only the news of it waits."""
        if incarnation != self.incarnation or turn != self._disk_turn:
            return
        self._disk_busy = False
        number = self.disk.finish()
        while self.disk.pending and self.chance.random() < 0.4:
            number = self.disk.finish()  # Several saves, one sync.
        self._start_disk()
        self.post(incarnation, self._saved, number)

    def _saved(self, number: int) -> None:
        assert self.node is not None
        self.node.saved(number)

    def has_durably(self, place: Position) -> bool:
        """Whether this entry would survive a crash here, in the log or in the state."""
        return (
            self.disk.holds(place)
            or self.checkpoint.position.index >= place.index
            or (self.disk.base.index >= place.index)
        )

    # The state machine.

    def _take_work(self, ready: Ready) -> None:
        if ready.committed:
            self._work.append((self._apply, (ready.committed,)))
            self._touch()  # There may be more than fitted into one batch.
        if ready.install is not None:
            self._work.append((self._install, (ready.install,)))
        self._start_work()

    def _start_work(self) -> None:
        if self._work and not self._working:
            self._working = True
            delay = 10 + int(self.chance.expovariate(1.0) * self.settings.apply_us)
            call, arguments = self._work.popleft()
            self._later(delay, call, *arguments)

    def _apply(self, entries: list[Entry]) -> None:
        node = self.node
        assert node is not None
        self._working = False
        for entry in entries:
            self.world.invariants.applied(entry)
            answer = self.machine.apply(entry)
            waiting = self._waiting.pop(entry.index, None)
            if waiting is not None:
                term, waiter = waiting
                if term == entry.term:
                    waiter.acked(answer)
                else:
                    waiter.failed()
        node.applied(entries[-1].index)
        if self.chance.random() < self.settings.checkpoint:
            self._checkpoint(node)
        self._serve_reads()
        self._start_work()

    def _checkpoint(self, node: Node) -> None:
        """Make the state durable, and let go of most of the log that led to it."""
        self.checkpoint = self.machine.copy()
        tail = self.chance.randrange(self.settings.log_tail + 1)
        upto = min(self.checkpoint.position.index - tail, node.log.stored)
        if upto > node.log.base.index:
            node.compact(upto)
            if self.chance.random() < 0.8:
                self.disk.compact(upto)

    def _install(self, snapshot: SnapshotMeta) -> None:
        """The snapshot takes the live state's place, durably; the core hears of it a bit later."""
        state = self._snapshots.pop(snapshot)
        if self.chance.random() < self.settings.install_fails:
            self._later(100, self._install_failed)
            return
        self.machine = state.copy()
        self.checkpoint = state
        for index in [i for i in self._waiting if i <= snapshot.last.index]:
            self._waiting.pop(index)[1].unknown()
        self._later(self.chance.randrange(2 * MS), self._installed, snapshot)

    def _installed(self, snapshot: SnapshotMeta) -> None:
        assert self.node is not None
        self._working = False
        self._shipping_from.clear()
        self.node.installed(snapshot)
        self._serve_reads()
        self._start_work()

    def _install_failed(self) -> None:
        assert self.node is not None
        self._working = False
        self.node.install_failed()
        for sender in self._shipping_from.values():
            sender.ship_failed(self.id)
        self._shipping_from.clear()
        self._start_work()

    # Reads.

    def _take_reads(self, ready: Ready) -> None:
        for request in ready.reads_refused:
            leader = self.node.leader if self.node else 0
            self._asked.pop(request).refused(leader)
        if ready.reads:
            self._granted += ready.reads
            self._serve_reads()

    def _serve_reads(self) -> None:
        applied = self.machine.position.index
        waiting = []
        for granted in self._granted:
            if granted.read_index <= applied:
                self._asked.pop(granted.request).answered(self.machine)
            else:
                waiting.append(granted)
        self._granted = waiting

    # What the invariants ask.

    def holds_lease(self) -> bool:
        """Whether it would answer a lease read now, paused or not."""
        node = self.node
        if node is None or not isinstance(node.role, Leader):
            return False
        before, node.now = node.now, max(node.now, self.clock.now())
        try:
            return node.role.lease_valid()
        finally:
            node.now = before

    def check_campaign(self, term: int) -> None:
        """It takes a new term by itself only if a majority would have it (pre-vote)."""
        assert self.node is not None
        if term == self.campaigned:
            return
        voters = self.node.membership.voters
        promised = {self.id, *self.heard} & set(voters)
        assert len(promised) >= majority(len(voters)), (
            f"pre-vote: {self.id} campaigns in term {term}, promised votes by {sorted(promised)} "
            f"only, of voters {voters}"
        )
        self.campaigned = term
        self.heard.clear()

    def newest_membership(self) -> Membership:
        """The membership in force here, or that would be after a start."""
        if self.node is not None:
            return self.node.membership
        return self.machine.membership


def founding_disk(entry: Entry) -> Disk:
    """The disk of a member of a new cluster."""
    return Disk(HardState(1, 0), [entry])
