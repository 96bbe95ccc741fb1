"""The whole cluster in one thread: everything that happens follows from one seed.

First everything goes wrong for a while (safety), then everything is repaired and the cluster must
work again within a bound (liveness). A broken rule is an AssertionError wherever it shows.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from random import Random

from raftsql.raft.membership import Member, Membership, RemoveMember, first_membership_entry
from raftsql.raft.messages import (
    Envelope,
    HardState,
    InstallSnapshot,
    NodeId,
    SnapshotMeta,
    VoteReply,
)
from tests.simulator.clients import Client
from tests.simulator.disk import Disk
from tests.simulator.invariants import Invariants
from tests.simulator.machine import Machine
from tests.simulator.network import Network
from tests.simulator.oracle import Oracle
from tests.simulator.process import Process
from tests.simulator.settings import CLUSTER, Settings, drawn
from tests.simulator.timeline import MS, Clock, Timeline

STEPS_MAX = 150_000
"""No world is so busy; one that is has a storm of messages."""


class Cluster:
    """A world, from its seed to its end."""

    def __init__(self, seed: int, *, settings: Settings | None = None, trace: bool = False) -> None:
        self.seed = seed
        self.chance = Random(seed)
        self.settings = settings or drawn(self.chance)
        self.timeline = Timeline()
        self.network = Network(self.timeline, self.chance, self._arrive)
        self.network.weather = self.settings.weather
        self.oracle = Oracle()
        self.processes: dict[NodeId, Process] = {}
        self.values = 0
        self.sessions = 1000
        """The last session that is not a client's main one."""
        self.busy = True
        """Clients go on."""
        self.quiet_until = 0
        """Clients rest until then, so that nodes which are cut off don't fall behind."""
        self.digest = 0
        """Of all that happened, in order: two runs of one seed have the same."""
        self.trace = trace
        self.on_vote: Callable[[Process], None] = lambda voter: None
        """Told when a node gives its vote: a good moment to fail."""
        self.last_id = 0
        self.wiped: NodeId | None = None
        """A member whose disk is lost and that is not removed yet."""
        founders = range(1, self.settings.founders + 1)
        members = {node: Member(f"n{node}", f"d{node}") for node in founders}
        entry = first_membership_entry(Membership(members))
        self.invariants = Invariants(entry)
        for _ in founders:
            self.add_process(Disk(HardState(1, 0), [entry])).start()
        self.clients = [Client(self, number) for number in range(1, self.settings.clients + 1)]
        for client in self.clients:
            client.begin()

    def note(self, *what: object) -> None:
        """Something happened."""
        line = f"{self.timeline.now} {what}"
        self.digest = zlib.crc32(line.encode(), self.digest)
        if self.trace:
            print(f"{self.timeline.now / MS:10.2f}  {' '.join(map(str, what))}")

    # Processes.

    def add_process(self, disk: Disk) -> Process:
        """A new node with an id that was never used."""
        self.last_id += 1
        skew = 1 + self.chance.choice([-1, 1, self.chance.uniform(-1, 1)]) * self.settings.drift
        clock = Clock(self.timeline, self.chance.randrange(1_000_000), skew)
        process = Process(self, self.last_id, disk, clock)
        self.processes[process.id] = process
        self.invariants.processes.append(process)
        return process

    def wiped_change(self, leader: Process) -> RemoveMember | None:
        """What an administrator does first of all about a lost disk."""
        assert leader.node is not None
        if self.wiped is None:
            return None
        settled = leader.node.history.at(leader.node.log.committed)
        if self.wiped in settled.removed:
            self.wiped = None
            return None
        return RemoveMember(self.wiped)

    def extra_write(self, client: Client, target: Process | None = None) -> None:
        """A write beside those that clients wait for."""
        if self.busy:
            client.write_beside(target)

    def alive(self) -> list[Process]:
        """All whose disks are still there."""
        return [process for process in self.processes.values() if not process.gone]

    def leader(self) -> Process | None:
        """Who leads the highest term."""
        leaders = [p for p in self.processes.values() if p.leads]
        return max(leaders, key=lambda p: p.node.term if p.node else 0, default=None)

    # Messages.

    def send(self, sender: Process, envelope: Envelope) -> None:
        """A node sends a message; its transport may notice that it was lost."""
        message = envelope.message
        if isinstance(message, VoteReply) and message.granted and not message.pre:
            self.on_vote(sender)
        if not self.network.send(envelope) and self.chance.random() < 0.1:
            self.timeline.after(
                self.chance.randrange(300 * MS), sender.input, sender.unreachable, envelope.target
            )

    def _arrive(self, envelope: Envelope) -> None:
        target = self.processes.get(envelope.target)
        if target is None or not target.up:
            return
        message = envelope.message
        self.note(envelope.source, envelope.target, type(message).__name__, message.term)
        target.input(target.receive, envelope, None, None)

    def ship(self, sender: Process, peer: NodeId) -> None:
        """Make a snapshot of the sender's state and send it, if all goes well."""
        assert sender.node is not None
        state = sender.machine.copy()
        meta = SnapshotMeta(state.position, state.membership.encode())
        message = InstallSnapshot(sender.node.term, meta)
        envelope = Envelope(CLUSTER, sender.id, peer, message)
        delay = self.chance.randrange(1, 120) * MS
        self.timeline.after(delay, self._shipped, sender, sender.incarnation, envelope, state)

    def _shipped(
        self, sender: Process, incarnation: int, envelope: Envelope, state: Machine
    ) -> None:
        peer, chance = envelope.target, self.chance
        if sender.incarnation != incarnation:
            return
        target = self.processes[peer]
        lost = not target.up or not self.network.reaches(sender.id, peer)
        if lost or chance.random() < self.settings.ship_fails:
            if chance.random() < 0.9:  # The rest is lost without a word.
                sender.ship_failed(peer)
            return
        if chance.random() < 0.3:
            sender.input(self._progressed, sender, peer)
        copies = 2 if chance.random() < self.settings.weather.repeat else 1
        for _ in range(copies):
            delay = chance.randrange(1, 30) * MS if copies == 1 else chance.randrange(600 * MS)
            self.timeline.after(delay, self._deliver_snapshot, sender, envelope, state)
        if chance.random() < 0.9:
            # The transport's own "done" may come before or after the follower's answer.
            self.timeline.after(chance.randrange(60 * MS), sender.input, sender.shipped, peer)

    def _deliver_snapshot(self, sender: Process, envelope: Envelope, state: Machine) -> None:
        target = self.processes[envelope.target]
        if not target.up:
            sender.ship_failed(target.id)
            return
        self.note(sender.id, target.id, "InstallSnapshot", envelope.message.term)
        target.input(target.receive, envelope, state, sender)

    def _progressed(self, sender: Process, peer: NodeId) -> None:
        if sender.node is not None:
            sender.node.snapshot_progressed(peer, sender.clock.now())

    def run(self, duration_ms: int) -> None:
        """Let time pass."""
        self.timeline.run(self.timeline.now + duration_ms * MS, steps_max=STEPS_MAX)
