"""A cluster in one thread, in which nothing happens that a script or a test did not ask for.

Messages wait on the wire, clocks stand still, and every node's disk writes at once unless it is
held. After every step the invariants of Raft are checked for all nodes together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from raftsql.raft.config import Config
from raftsql.raft.membership import Member, Membership
from raftsql.raft.messages import (
    Entry,
    EntryKind,
    Envelope,
    HardState,
    InstallSnapshot,
    Message,
    NodeId,
    Position,
)
from raftsql.raft.node import Node
from raftsql.raft.ready import RoleName
from tests.raft.disk import Disk
from tests.raft.invariants import Invariants
from tests.raft.machine import Machine
from tests.raft.replica import Replica
from tests.raft.wire import Pattern, Wire

CLUSTER = 7
ROUNDS_MAX = 2000
"""More deliveries than this in one go mean that the nodes will never come to rest."""


def voters(*nodes: NodeId, learners: Iterable[NodeId] = (), **priority: int) -> Membership:
    """A membership of these nodes; `n2=5` gives node 2 the priority 5."""
    members = {
        node: Member(f"n{node}:1", f"d{node}", node in nodes, False, priority.get(f"n{node}", 0))
        for node in sorted({*nodes, *learners})
    }
    return Membership(members)


def entries(terms: Sequence[int], founding: Membership) -> list[Entry]:
    """A log with an entry of each of these terms; the first one founds the cluster."""
    made = [
        Entry(term, index, EntryKind.COMMAND, f"{index}@{term}".encode())
        for index, term in enumerate(terms, 1)
    ]
    if made:
        made[0] = Entry(terms[0], 1, EntryKind.MEMBERSHIP, founding.encode())
    return made


class Cluster:
    """Nodes, the wire between them, and one clock for each."""

    def __init__(self, *nodes: NodeId, log: Sequence[int] = (1,), **settings: int) -> None:
        """Start these nodes as founding members, all with this log."""
        self.replicas: dict[NodeId, Replica] = {}
        self.wire = Wire()
        self.events: list[str] = []
        self.settings = settings
        self.founding = voters(*nodes)
        self.images: dict[Position, Machine] = {}
        self.chances: dict[NodeId, int] = {}
        self.now = 0
        self.invariants = Invariants()
        for node in nodes:
            self.start(node, log=log)

    def __getitem__(self, node: NodeId) -> Node:
        """The running node of this number."""
        return self.replicas[node].running

    def start(
        self,
        node: NodeId,
        *,
        log: Sequence[int] = (1,),
        term: int | None = None,
        vote: NodeId = 0,
        base: int = 0,
        applied: int | None = None,
    ) -> Replica:
        """A node whose log holds entries of these terms, of which those after `base` are left."""
        made = entries(log, self.founding)
        state = HardState(max(log, default=0) if term is None else term, vote)
        machine = Machine(made[: base if applied is None else applied])
        at = Position(base, made[base - 1].term if base else 0)
        self.replicas[node] = Replica(
            Config(node=node, cluster=CLUSTER, **self.settings),
            Disk(state, made[base:], at),
            machine,
            now=self.now,
            chance=lambda below: self.chances.get(node, 50 * node) % below,
            send=self._send,
            images=self.images,
            say=self.events.append,
        )
        return self.replicas[node]

    def _send(self, envelopes: list[Envelope]) -> None:
        for envelope in envelopes:
            self.invariants.sent(envelope)
        self.wire.send(envelopes)

    def do(self, node: NodeId, act: Callable[[Node], object]) -> None:
        """Give one node an input, and check the whole cluster."""
        replica = self.replicas[node]
        before = replica.node.log.committed if replica.node else 0
        replica.do(act)
        if replica.node and replica.node.log.committed > before:
            self.events.append(f"n{node} commits {replica.node.log.committed}")
        self.invariants.check(self.replicas)

    @property
    def live(self) -> list[Replica]:
        """The nodes that run, by number."""
        return [replica for _, replica in sorted(self.replicas.items()) if replica.node]

    # Messages.

    def message(self, source: NodeId, target: NodeId, message: Message, cluster: int = 7) -> None:
        """A message made by hand arrives."""
        envelope = Envelope(cluster, source, target, message)
        self.do(target, lambda node: node.step(envelope, self.replicas[target].now))

    def deliver(self, pattern: Pattern = Pattern(), count: int | None = None) -> list[Envelope]:  # noqa: B008
        """What is under way and matches arrives, in order: not what is sent in answer."""
        taken = self.wire.take(pattern, count)
        for envelope in taken:
            if envelope.target in self.replicas:
                replica = self.replicas[envelope.target]
                self.do(envelope.target, lambda node, e=envelope, r=replica: node.step(e, r.now))  # type: ignore[misc]
        return taken

    def settle(self) -> None:
        """Deliver until nothing is under way any more."""
        for _ in range(ROUNDS_MAX):
            if not self.wire.flying:
                return
            self.deliver()
        raise AssertionError("the nodes never come to rest")

    # Time.

    def tick(self, node: NodeId, ms: int) -> None:
        """One node's clock goes on, and the node looks at it."""
        replica = self.replicas[node]
        replica.now += ms
        self.do(node, lambda it: it.tick(replica.now))

    def advance(self, ms: int, *, settle: bool = False, asleep: Iterable[NodeId] = ()) -> None:
        """All clocks go on. Each node is woken when it asked to be, and not otherwise.

        With `settle` messages arrive at once, without it they stay on the wire.
        """
        end = self.now + ms
        while True:
            if settle:
                self.settle()
            awake = [replica for replica in self.live if replica.id not in asleep]
            due = min((max(r.running.wake_at() - r.now, 1) for r in awake), default=ms + 1)
            step = min(due, end - self.now)
            if step <= 0:
                return
            self.now += step
            for replica in self.replicas.values():
                replica.now += step
            for replica in awake:
                if replica.node and replica.now >= replica.node.wake_at():
                    self.do(replica.id, lambda it, r=replica: it.tick(r.now))  # type: ignore[misc]

    def campaign(self, node: NodeId) -> None:
        """Time passes until this node campaigns; the others do not look at their clocks."""
        for _ in range(ROUNDS_MAX):
            if self[node].role.__class__.__name__ != "Follower":
                return
            self.now += 25
            for replica in self.replicas.values():
                replica.now += 25
            self.do(node, lambda it: it.tick(self.replicas[node].now))
        raise AssertionError(f"node {node} never campaigns")

    def elect(self, node: NodeId) -> None:
        """Make this node the leader, and let everybody know, also what is committed by that."""
        self.campaign(node)
        self.settle()
        assert self.leader == node, f"node {node} was not elected"
        self.advance(self[node].config.commit_notice_ms, settle=True)

    @property
    def leader(self) -> NodeId:
        """The leader of the highest term, or 0."""
        leading = [r.status for r in self.live if r.status.role is RoleName.LEADER]
        return max(leading, key=lambda status: status.term).node if leading else 0

    # Calls.

    def propose(self, node: NodeId, *texts: str) -> None:
        """Commands for the log."""
        self.do(node, lambda it: it.propose([text.encode() for text in texts]))

    def read(self, node: NodeId, request: int, *, lease: bool = False) -> None:
        """A client's read."""
        now = self.replicas[node].now
        self.invariants.asked(node, request)
        self.do(node, lambda it: it.read(request, now, lease=lease))

    def compact(self, node: NodeId, upto: int) -> None:
        """Drop the log up to there, in memory and on disk."""
        self.do(node, lambda it: it.compact(upto))
        self.replicas[node].disk.compact(upto)

    def ship(self, source: NodeId, target: NodeId) -> None:
        """A copy of one node's state machine has arrived whole at another node."""
        replica = self.replicas[source]
        assert replica.status.role is RoleName.LEADER, "only a leader ships, in its own term"
        snapshot = replica.machine.snapshot()
        self.images[snapshot.last] = replica.machine.copy()
        install = InstallSnapshot(replica.running.term, snapshot)
        self.wire.send([Envelope(CLUSTER, source, target, install)])

    # Disks and crashes.

    def hold_disk(self, node: NodeId) -> None:
        """Writes are taken, and do not become durable."""
        self.replicas[node].disk_held = True

    def free_disk(self, node: NodeId) -> None:
        """Writes become durable again, also those that wait."""
        replica = self.replicas[node]
        replica.disk_held = False
        self.do(node, replica.sync_all)

    def sync(self, node: NodeId) -> None:
        """One write becomes durable."""
        replica = self.replicas[node]
        assert replica.disk.writing, f"node {node} writes nothing"
        self.do(node, replica.sync)

    def crash(self, node: NodeId) -> None:
        """The process ends, and what was not durable is lost."""
        self.replicas[node].crash()

    def restart(self, node: NodeId, *, applied: int | None = None) -> None:
        """The process starts from what is durable; `applied` lets the state machine lag."""
        replica = self.replicas[node]
        assert replica.node is None, f"node {node} runs"
        if applied is not None:
            assert applied >= replica.disk.base.index, "what was compacted is durably applied"
            replica.machine.forget_after(applied)
        replica.disk_held = replica.applying_held = replica.installing_held = False
        replica.now = max(replica.now, self.now)
        replica.start()
        self.invariants.restarted(replica)
        self.invariants.check(self.replicas)
