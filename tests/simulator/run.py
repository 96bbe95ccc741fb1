"""One seed from beginning to end: a time of faults, then the proof that the cluster recovers."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from raftsql.raft.membership import RemoveMember
from tests.simulator.clients import Client, ReadOperation, WriteOperation, ask_read
from tests.simulator.cluster import Cluster
from tests.simulator.machine import Write
from tests.simulator.process import Process
from tests.simulator.schedule import Schedule

RECOVERY_MS_MAX = 15_000
"""After everything is repaired the cluster must be whole within this: some elections, and one
snapshot whose loss nobody noticed."""


@dataclass(slots=True)
class Outcome:
    """What became of a seed."""

    seed: int
    failure: str | None
    digest: int
    steps: int
    commits: int
    reads: int
    elections: int
    details: str = ""

    @property
    def check(self) -> str:
        """Which rule was broken."""
        return (self.failure or "").split(":")[0]


def simulate(seed: int, *, trace: bool = False) -> Outcome:
    """Run one seed."""
    world = Cluster(seed, trace=trace)
    failure, details = None, ""
    try:
        schedule = Schedule(world)
        schedule.begin()
        world.run(world.settings.safety_ms)
        schedule.mend()
        Recovery(world, schedule).run()
    except AssertionError as error:
        failure, details = str(error) or "an assertion without words", traceback.format_exc()
    except Exception as error:
        failure, details = f"crash: {type(error).__name__}: {error}", traceback.format_exc()
    return Outcome(
        seed=seed, failure=failure, digest=world.digest, steps=world.timeline.steps,
        commits=len(world.invariants.committed), reads=world.oracle.reads,
        elections=len(world.invariants.leaders), details=details,
    )  # fmt: skip


class Recovery:
    """The liveness phase."""

    def __init__(self, world: Cluster, schedule: Schedule) -> None:
        self.world = world
        self.schedule = schedule
        self.left_ms = RECOVERY_MS_MAX

    def run(self) -> None:
        """One leader, everybody in step, a new write, and reads from everywhere."""
        self._wait(self._one_leader, "one leader that all follow")
        self._remove_the_wiped()
        self.world.busy = False
        self._wait(self._level, "equal logs")
        self._write()
        self._wait(self._level, "equal logs after a new write")
        self._read_everywhere()
        # Leadership may have been handed over by priority meanwhile, which adds an entry.
        self._wait(self._level, "equal logs at the end")
        self._check_end()

    def _wait(self, done: object, what: str) -> None:
        assert callable(done)
        while not done():
            assert self.left_ms > 0, f"liveness: no {what} after {RECOVERY_MS_MAX} ms"
            self.left_ms -= 50
            self.world.run(50)

    def _leader(self) -> Process:
        leader = self.world.leader()
        assert leader is not None, "liveness: the leader was lost while nothing went wrong"
        return leader

    def _members(self, leader: Process) -> list[Process]:
        assert leader.node is not None
        return [self.world.processes[node] for node in leader.node.membership.members]

    def _one_leader(self) -> bool:
        leader = self.world.leader()
        if leader is None or leader.node is None:
            return False
        return all(
            p.gone or (p.node is not None and p.node.leader == leader.id)
            for p in self._members(leader)
        )

    def _remove_the_wiped(self) -> None:
        def removed() -> bool:
            leader = self.world.leader()
            if leader is None:
                return False
            change = self.world.wiped_change(leader)
            if change is None:
                return True
            leader.input(self._propose_removal, leader, change)
            return False

        self._wait(removed, "removal of the lost member")

    def _propose_removal(self, leader: Process, change: RemoveMember) -> None:
        if leader.leads:
            self.schedule.propose(leader, change)

    def _level(self) -> bool:
        """Everybody follows one leader and has applied all of its log; nothing is under way."""
        if not self._one_leader():
            return False
        leader = self._leader()
        assert leader.node is not None
        last = leader.node.log.last
        status = leader.node.status()
        if status.transferring_to or status.committed != last.index:
            return False
        if any(
            peer.match != last.index or peer.flow != "replicating" for peer in status.peers.values()
        ):
            return False
        learners = [m for m in status.membership.learners if status.membership.members[m].promote]
        return not learners and all(
            p.node is not None and p.node.log.last == last and p.node.log.applied == last.index
            for p in self._members(leader)
        )

    def _write(self) -> None:
        """A write through the leader is acknowledged."""
        client = Client(self.world, 999)
        done: list[int] = []

        def acknowledged() -> bool:
            if done and done[-1] in self.world.oracle.acknowledged:
                return True
            leader = self.world.leader()
            if leader is not None:
                self.world.values += 1
                value = self.world.values
                done.append(value)
                self.world.sessions += 1
                operation = WriteOperation(client, Write(self.world.sessions, 1, 0, value))
                operation.beside = True
                operation.tries = 8  # No second asking: the next one is another write.
                operation.begin_at(leader)
            return False

        self._wait(acknowledged, "new write")

    def _read_everywhere(self) -> None:
        """Every member answers a linearizable read, and a lease read."""
        for process in self._members(self._leader()):
            for lease in (False, True):
                self._read_at(process, lease=lease)

    def _read_at(self, process: Process, *, lease: bool) -> None:
        client = Client(self.world, 999)
        before = self.world.oracle.reads
        operations: list[ReadOperation] = []

        def answered() -> bool:
            if self.world.oracle.reads > before:
                return True
            if not operations or operations[-1].refusals:
                operation = ReadOperation(client, 0)
                operation.beside = True
                operations.append(operation)
                process.input(ask_read, process, operation, lease)
            return False

        self._wait(answered, f"read answered by {process.id}")

    def _check_end(self) -> None:
        members = self._members(self._leader())
        for process in members:
            self.world.oracle.end(process.machine.lists)
        first = members[0].machine
        for process in members[1:]:
            assert process.machine == first, "applied: two nodes have different states"
