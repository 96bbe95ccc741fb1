"""The world of whole replicas: three real databases, one thread, one seed.

    python -m tests.simulator.replicas --seeds 50

First everything goes wrong, then all is repaired; then every count must be what clients were told,
no money may be missing, and the databases must be equal by their checksums.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import traceback
import zlib
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from raftsql.database.checksum import Checksum, Summing, compare
from raftsql.database.readers import Page
from raftsql.raft.config import Config
from raftsql.raft.membership import Member, Membership
from raftsql.raft.messages import Envelope, InstallSnapshot, NodeId
from raftsql.raft.ready import Refused
from raftsql.sql.commands import CommandKind, Statement, encode
from raftsql_proto.frames import decode_rows
from tests.simulator.network import Network, Weather, one_way, two_way
from tests.simulator.replicas.clients import ACCOUNTS, MONEY, Client
from tests.simulator.replicas.process import Process
from tests.simulator.timeline import MS, Clock, Timeline

CLUSTER = 9
NODES = 3
FAULTS_MS = 6_000
RECOVERY_MS = 20_000
STEPS_MAX = 400_000


@dataclass
class Oracle:
    """What clients were told."""

    begun: dict[int, int] = field(default_factory=lambda: {0: 0, 1: 0})
    certain: dict[int, int] = field(default_factory=lambda: {0: 0, 1: 0})
    marks: int = 0
    made: set[int] = field(default_factory=set)
    """Writes without a session of which clients were told that they happened ..."""
    unmade: set[int] = field(default_factory=set)
    """... and of which, that they certainly did not."""
    _times: dict[int, list[int]] = field(default_factory=lambda: {0: [], 1: []})

    def counted(self, key: int, now_us: int) -> None:
        """A client was told that its count happened."""
        self.certain[key] += 1
        self._times[key].append(now_us)

    def certain_at(self, key: int, now_us: int) -> int:
        """How many were told so by then."""
        return bisect_right(self._times[key], now_us)


@dataclass
class Outcome:
    """What became of a seed."""

    seed: int
    failure: str | None
    digest: int
    counts: int
    transactions: int
    reads: int
    snapshots: int
    crashes: int
    details: str = ""


class ReplicaWorld:
    """A world, from its seed to its end."""

    def __init__(self, seed: int, folder: Path, *, trace: bool = False) -> None:
        self.chance = Random(seed)
        self.trace = trace
        self.digest = 0
        self.timeline = Timeline()
        pick = self.chance.choice
        self.network = Network(self.timeline, self.chance, self._arrive)
        self.network.weather = Weather(
            drop=pick([0.0, 0.0, 0.02, 0.1]), repeat=pick([0.0, 0.05]),
            delay_us=pick([100, 500, 3000]), stray=pick([0.0, 0.05]), ordered=pick([True, False]),
        )  # fmt: skip
        self._disk_us = pick([100, 1000, 5000])
        self._apply_us = pick([50, 500, 3000])
        self.think_us = pick([5, 20, 60]) * MS
        self.compacts = pick([0.0, 0.2, 0.6])
        self.power_fails = pick([0.0, 0.002, 0.01])
        self._fault_every_ms = pick([150, 300, 600])
        self._limits = {
            "append_entries_max": pick([1, 8, 1000]),
            "apply_entries_max": pick([1, 3, 1000]),
            "tail_entries_max": pick([0, 5, 1000]),
        }
        self.oracle = Oracle()
        self.busy = True
        self.reads = self.transactions = self.crashes = 0
        self.processes: dict[NodeId, Process] = {}
        self._shipped = 0
        self.folder = folder
        ids = range(1, NODES + 1)
        members = Membership({node: Member(f"n{node}", f"d{node}") for node in ids})
        for node in ids:
            place = folder / f"node{node}"
            place.mkdir()
            clock = Clock(self.timeline, self.chance.randrange(1000), 1 + self._drift())
            process = self.processes[node] = Process(self, node, place, clock)
            process.founding = members
            process.start()
        self.clients = [Client(self, number) for number in range(pick([2, 4, 6]))]
        self.living = set(self.clients)

    def _drift(self) -> float:
        return self.chance.uniform(-0.02, 0.02)

    def config(self, node: NodeId) -> Config:
        """The core's settings."""
        return Config(node=node, cluster=CLUSTER, ship_ms_max=2000, **self._limits)

    def note(self, *what: object) -> None:
        """Something happened."""
        line = f"{self.timeline.now} {what}"
        self.digest = zlib.crc32(line.encode(), self.digest)
        if self.trace:
            print(f"{self.timeline.now / MS:10.2f}  {' '.join(map(str, what))}")

    def disk_us(self) -> int:
        """How long a save takes."""
        return 20 + int(self.chance.expovariate(1.0) * self._disk_us)

    def apply_us(self) -> int:
        """How long a job of the database takes."""
        return 10 + int(self.chance.expovariate(1.0) * self._apply_us)

    def network_us(self) -> int:
        """How long a client's message takes."""
        return 50 + int(self.chance.expovariate(1.0) * 500)

    def leader(self) -> Process | None:
        """Who leads the highest term."""
        leaders = [p for p in self.processes.values() if p.leads]
        return max(leaders, key=lambda p: p.node.term if p.node else 0, default=None)

    def _arrive(self, envelope: Envelope) -> None:
        process = self.processes[envelope.target]
        process.post(process.incarnation, lambda: process.receive(envelope))

    # Snapshots.

    def ship(self, sender: Process, peer: NodeId) -> None:
        """A copy of the sender's database, if all goes well."""
        self._shipped += 1
        target = self.folder / f"shipped{self._shipped}.db"
        meta = sender.copy(target)
        assert sender.node is not None
        envelope = Envelope(CLUSTER, sender.id, peer, InstallSnapshot(sender.node.term, meta))
        delay = self.chance.randrange(1, 100) * MS
        self.timeline.after(delay, self._shipped_to, sender, sender.incarnation, envelope, target)

    def _shipped_to(
        self, sender: Process, incarnation: int, envelope: Envelope, copy: Path
    ) -> None:
        receiver = self.processes[envelope.target]
        lost = receiver.replica is None or not self.network.reaches(sender.id, receiver.id)
        if lost or self.chance.random() < 0.1:
            copy.unlink()
            sender.post(incarnation, lambda: _failed(sender, receiver.id))
            return
        receiver.post(receiver.incarnation, lambda: receiver.receive(envelope, copy))
        sender.post(incarnation, lambda: _shipped(sender, receiver.id))

    # Faults.

    def crashed(self, process: Process) -> None:
        """The power failed in the middle of a save."""
        self.crashes += 1
        process.crash()
        self.timeline.after(self.chance.randrange(1, 1500) * MS, self._restart, process)

    def _restart(self, process: Process) -> None:
        if process.replica is None:
            process.start()

    def _strike(self) -> None:
        if not self.busy:
            return
        delay = int(self.chance.expovariate(1.0) * self._fault_every_ms * MS)
        self.timeline.after(delay + MS, self._strike)
        fault = self.chance.choice(["crash", "crash", "leader", "cut", "pause", "transfer", "heal"])
        up = [p for p in self.processes.values() if p.replica is not None]
        leader = self.leader()
        self.note("fault", fault)
        if fault == "heal":
            self.network.heal()
        elif fault == "cut":
            self._cut()
        elif fault == "leader" and leader is not None:
            self.crashed(leader)
        elif fault == "crash" and up:
            self.crashed(self.chance.choice(up))
        elif fault == "pause" and up:
            victim = self.chance.choice(up)
            victim.pause()
            self.timeline.after(self.chance.randrange(5, 1500) * MS, victim.resume)
        elif fault == "transfer" and leader is not None:
            target = self.chance.choice(list(self.processes))
            leader.post(leader.incarnation, lambda: _transfer(leader, target))

    def _cut(self) -> None:
        nodes = list(self.processes)
        self.chance.shuffle(nodes)
        some, others = nodes[:1], nodes[1:]
        shape = two_way if self.chance.random() < 0.6 else one_way
        if self.chance.random() < 0.5:
            some, others = others, some
        self.network.block(shape(some, others))
        self.timeline.after(self.chance.randrange(50, 1500) * MS, self.network.heal)

    # From beginning to end.

    def run(self) -> None:
        """Everything."""
        self._wait(lambda: self.leader() is not None, "a first leader")
        self._prepare()
        for client in self.clients:
            client.begin()
        self.timeline.after(MS, self._strike)
        self._pass(FAULTS_MS)
        self.busy = False
        self.power_fails = 0.0
        self.network.heal()
        self.network.weather = Weather.fair()
        for process in self.processes.values():
            process.resume()
            self._restart(process)
        self._wait(lambda: not self.living, "certainty for every client")
        self._wait(self._level, "equal logs")
        self._check()

    def _pass(self, ms: int) -> None:
        self.timeline.run(self.timeline.now + ms * MS, steps_max=STEPS_MAX)

    def _wait(self, done: object, what: str) -> None:
        assert callable(done)
        left = RECOVERY_MS
        while not done():
            assert left > 0, f"liveness: no {what} after {RECOVERY_MS} ms"
            left -= 50
            self._pass(50)

    def _prepare(self) -> None:
        money = ", ".join(f"({k}, {MONEY})" for k in range(ACCOUNTS))
        script = [
            Statement("CREATE TABLE counts (k INTEGER PRIMARY KEY, v)"),
            Statement("INSERT INTO counts VALUES (0, 0), (1, 0)"),
            Statement("CREATE TABLE marks (id INTEGER PRIMARY KEY)"),
            Statement("CREATE TABLE accounts (k INTEGER PRIMARY KEY, money)"),
            Statement(f"INSERT INTO accounts VALUES {money}"),
        ]
        first = Client(self, 999)

        def life():  # type: ignore[no-untyped-def]
            yield from first._open_session()
            yield from first._write(CommandKind.SCRIPT, encode(script))

        self.living.add(first)
        first._life = life()
        first.resume(None)
        self._wait(lambda: first not in self.living, "tables")

    def _level(self) -> bool:
        leader = self.leader()
        if leader is None or leader.node is None:
            return False
        last = leader.node.log.last
        return all(
            p.node is not None and p.node.log.applied == last.index and p.machine.applied == last
            for p in self.processes.values()
        )

    def _check(self) -> None:
        sums: list[Checksum] = []
        for process in self.processes.values():
            page = process.readers.read("SELECT k, v FROM counts ORDER BY k")
            assert isinstance(page, Page)
            counts = dict(decode_rows(page.rows))
            assert counts == self.oracle.certain, (
                f"sessions: {process.id} counts {counts}, clients were told {self.oracle.certain}"
            )
            page = process.readers.read("SELECT json_group_array(id) FROM marks")
            assert isinstance(page, Page)
            marks = set(json.loads(decode_rows(page.rows)[0][0]))
            assert self.oracle.made <= marks, "writes: one that happened is not there"
            assert not self.oracle.unmade & marks, "writes: one that did not happen is there"
            assert process.replica is not None
            assert process.replica.writer.open_count == 0, "transactions: one is left open"
            assert process.readers.holds == 0, "reads: a moment is left held"
            assert len(process.replica.proposals) == 0, "proposals: one was never answered"
            sums.append(_sum(process.database))
        for other in sums[1:]:
            difference = compare(sums[0], other)
            assert not difference, f"replicas: they differ: {difference}"


def _sum(path: Path) -> Checksum:
    summing = Summing(path, cluster=True)
    while (found := summing.step()) is None:
        pass
    return found


def _failed(sender: Process, peer: NodeId) -> None:
    assert sender.node is not None
    sender.node.snapshot_failed(peer)


def _shipped(sender: Process, peer: NodeId) -> None:
    assert sender.node is not None
    sender.node.snapshot_shipped(peer)


def _transfer(leader: Process, target: NodeId) -> None:
    assert leader.node is not None
    with suppress(Refused):
        leader.node.transfer(target)


def simulate(seed: int, *, trace: bool = False) -> Outcome:
    """Run one seed."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="raftsql-", dir=memory if memory.is_dir() else None))
    failure, details, world = None, "", None
    try:
        world = ReplicaWorld(seed, folder, trace=trace)
        world.run()
    except AssertionError as error:
        failure, details = str(error) or "an assertion without words", traceback.format_exc()
    except Exception as error:
        failure, details = f"crash: {type(error).__name__}: {error}", traceback.format_exc()
    finally:
        for process in world.processes.values() if world is not None else ():
            if process.replica is not None:
                process.machine.close()
                process.readers.close()
        shutil.rmtree(folder, ignore_errors=True)
    if world is None:
        return Outcome(seed, failure, 0, 0, 0, 0, 0, 0, details)
    return Outcome(
        seed, failure, world.digest, sum(world.oracle.certain.values()), world.transactions,
        world.reads, sum(p.seen_snapshots for p in world.processes.values()), world.crashes,
        details,
    )  # fmt: skip
