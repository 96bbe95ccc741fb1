"""Clients: each does one thing at a time, anywhere, and tells the oracle what it was told.

A write may be asked for many times under one sequence number: after a refusal, and, because it is
deduplicated, after an unknown outcome too. It has certainly failed only when every asking was
answered and none can still happen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raftsql.raft.messages import NodeId
from tests.simulator.machine import Machine, Write
from tests.simulator.timeline import MS

if TYPE_CHECKING:
    from tests.simulator.cluster import Cluster
    from tests.simulator.process import Process

PATIENCE_MS = 1500
"""After so long a client takes the outcome as unknown."""


class Client:
    """One client of the cluster."""

    def __init__(self, world: Cluster, number: int) -> None:
        self.world = world
        self.number = number
        self.sequence = 0
        self.favourite: NodeId = 0
        """Where the leader was last heard to be."""

    def begin(self) -> None:
        """Think, then do the next thing."""
        tired = 1 + self.world.values // 100  # So that no world drowns in work.
        delay = self.world.chance.expovariate(1.0) * self.world.settings.think_ms * tired * MS
        self.world.timeline.after(int(delay) + 1, self._act)

    def _act(self) -> None:
        world = self.world
        if not world.busy:
            return
        if world.timeline.now < world.quiet_until:
            self.begin()
        elif world.chance.random() < world.settings.reads:
            self._read()
        else:
            self.sequence += 1
            WriteOperation(self, self._write(self.number, self.sequence)).begin()

    def _write(self, session: int, sequence: int) -> Write:
        self.world.values += 1
        key = self.world.chance.randrange(self.world.settings.keys)
        return Write(session, sequence, key, self.world.values)

    def write_beside(self, target: Process | None) -> None:
        """One more write, in a session of its own, that this client does not wait for."""
        self.world.sessions += 1
        operation = WriteOperation(self, self._write(self.world.sessions, 1))
        operation.beside = True
        operation.begin_at(target)

    def _read(self) -> None:
        target = self.target()
        if target is None:
            self.begin()
            return
        world = self.world
        lease = world.chance.random() < world.settings.lease_reads
        key = world.chance.randrange(world.settings.keys)
        target.input(ask_read, target, ReadOperation(self, key), lease)

    def target(self) -> Process | None:
        """A node to talk to: often the leader, if one is known."""
        world = self.world
        if self.favourite and world.chance.random() < 0.7:
            process = world.processes.get(self.favourite)
        else:
            process = world.chance.choice(world.alive())
        if process is None or not process.up:
            self.favourite = 0
            return None
        return process


def ask_read(process: Process, operation: ReadOperation, lease: bool) -> None:
    """The node takes the request: from now on it must answer with what is known now."""
    operation.floor = operation.client.world.oracle.begin_read(operation.key)
    process.read(operation, lease=lease)


class ReadOperation:
    """A linearizable read of one key."""

    __slots__ = ("beside", "client", "floor", "key", "over", "refusals")

    def __init__(self, client: Client, key: int) -> None:
        self.client = client
        self.key = key
        self.floor = 0
        self.over = False
        self.refusals = 0
        self.beside = False
        """Its client does not wait for it."""
        client.world.timeline.after(PATIENCE_MS * MS, self._give_up)

    def answered(self, machine: Machine) -> None:
        """The node answers; what it says must be right even if the client is gone."""
        oracle = self.client.world.oracle
        oracle.end_read(self.key, self.floor, machine.lists.get(self.key, ()))
        self._end()

    def refused(self, leader: NodeId) -> None:
        """No leader could vouch for it."""
        self.client.favourite = leader
        self.refusals += 1
        self._end()

    def _give_up(self) -> None:
        if not self.over:
            self.client.favourite = 0
            self._end()

    def _end(self) -> None:
        if not self.over:
            self.over = True
            if not self.beside:
                self.client.begin()


class WriteOperation:
    """One write, until its client knows the outcome or gives up."""

    __slots__ = ("beside", "client", "over", "pending", "tries", "uncertain", "write")

    def __init__(self, client: Client, write: Write) -> None:
        self.client = client
        self.write = write
        self.pending = 0
        """Askings of which nothing was heard yet."""
        self.uncertain = False
        """An asking may still happen although nobody waits for it."""
        self.over = False
        self.tries = 0
        self.beside = False
        """Its client does other things meanwhile."""
        chance = client.world.chance
        write.padding = chance.choice([0, 0, 10, 100])

    def begin(self) -> None:
        """Ask for the first time."""
        self.begin_at(None)

    def begin_at(self, target: Process | None) -> None:
        """Ask this node, or any, for the first time."""
        self.client.world.oracle.invoked(self.write.key, self.write.value)
        self._ask(target)

    def _ask(self, target: Process | None = None) -> None:
        world = self.client.world
        target = target or self.client.target()
        self.tries += 1
        if target is None:
            self._retry()
            return
        self.pending += 1
        asking = Asking(self)
        target.input(target.write, asking)
        world.timeline.after(PATIENCE_MS * MS, asking.give_up)

    def _retry(self) -> None:
        """Ask again a bit later, or leave it."""
        world = self.client.world
        if self.over:
            return
        if self.tries < 8 and world.busy:
            world.timeline.after(world.chance.randrange(1, 60) * MS, self._ask_again)
        else:
            self._settle()

    def _ask_again(self) -> None:
        if not self.over:
            self._ask()

    def _settle(self) -> None:
        """No asking is to follow: if none can happen any more, it has failed."""
        self._end()
        if self.pending == 0 and not self.uncertain:
            self.client.world.oracle.certainly_failed(self.write.key, self.write.value)

    def _end(self) -> None:
        if not self.over:
            self.over = True
            if not self.beside:
                self.client.begin()

    def heard(self, outcome: str, leader: NodeId, place: int | None) -> None:
        """One asking was answered."""
        self.pending -= 1
        if outcome == "acked" and place is not None:
            self.client.world.oracle.acked(self.write.key, self.write.value, place)
            self.uncertain = True  # It has happened: whatever else comes, it did not fail.
            self._end()
            return
        if outcome == "refused":
            self.client.favourite = leader
        if outcome in ("unknown", "acked"):
            self.uncertain = True
            if self.client.world.chance.random() < 0.5:
                self._end()
                return
        self._retry()


class Asking:
    """One asking of a write at one node; its end is told once."""

    __slots__ = ("operation", "told")

    def __init__(self, operation: WriteOperation) -> None:
        self.operation = operation
        self.told = False

    def payload(self) -> bytes:
        """What the log will hold."""
        return self.operation.write.encode()

    def acked(self, place: int | None) -> None:
        """Applied, at this place; None when a later request of this client already was."""
        if self.told and place is not None:
            write = self.operation.write
            self.operation.client.world.oracle.acked(write.key, write.value, place)
        self._tell("acked", 0, place)

    def failed(self) -> None:
        """Another entry was committed in its place."""
        self._tell("failed", 0, None)

    def unknown(self) -> None:
        """Nobody here will ever know."""
        self._tell("unknown", 0, None)

    def refused(self, leader: NodeId) -> None:
        """It was not taken."""
        self._tell("refused", leader, None)

    def give_up(self) -> None:
        """Nothing was heard for too long."""
        self._tell("unknown", 0, None)

    def _tell(self, outcome: str, leader: NodeId, place: int | None) -> None:
        if not self.told:
            self.told = True
            self.operation.heard(outcome, leader, place)
