"""One whole replica in the simulated world: core, journal, SQLite and clients' requests are real.

It is the replica's World, as the runner is in production, with every delay drawn by chance. The
journal lies on a disk in memory that loses what was not synced; the SQLite files lie in a real
folder and survive as they do when a process is killed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from raftsql.cluster.opening import found_cluster, open_node, settle
from raftsql.cluster.patience import in_full
from raftsql.cluster.replica import Replica
from raftsql.cluster.requests import Read
from raftsql.database import snapshot as snapshots
from raftsql.database.disk import Disk
from raftsql.database.installation import finish, install
from raftsql.database.machine import Machine
from raftsql.database.reader import ReadBusy, ReadCut
from raftsql.database.readers import Readers
from raftsql.raft.membership import Membership
from raftsql.raft.messages import Entry, Envelope, InstallSnapshot, NodeId, Position, SnapshotMeta
from raftsql.raft.node import Node
from raftsql.raft.ready import RoleChange, Save
from raftsql.sql.commands import Failed, Why, encode
from raftsql.storage.journal import Journal
from tests.simulator.faulty_files import Fault, MemoryFiles, PowerLoss
from tests.simulator.timeline import MS, Clock

if TYPE_CHECKING:
    from tests.simulator.replicas.world import ReplicaWorld

SWEEP_US = 100 * MS
SEGMENT_BYTES = 64 << 10


class Process:
    """A node of the cluster; `replica` is None while it is down."""

    def __init__(self, world: ReplicaWorld, node: NodeId, folder: Path, clock: Clock) -> None:
        self.id = node
        self.world = world
        self.chance = world.chance
        self.clock = clock
        self.folder = folder
        self.database = folder / "database.db"
        self.files = MemoryFiles()
        self.files.make_folder(Path("/journal"))
        self.replica: Replica | None = None
        self.node: Node | None = None
        self.incarnation = 0
        self.paused = False
        self._mail: list[Callable[[], None]] = []
        self.waiting: dict[Any, None] = {}
        """Requests of clients that hear of it when this process ends."""
        self.founding: Membership | None = None
        self.seen_snapshots = 0
        self._received: dict[SnapshotMeta, Path] = {}
        self._noted: Position | None = None
        """What a snapshot brings the database to, durable until the journal has heard of it."""

    # Its life.

    @property
    def leads(self) -> bool:
        """Whether it believes itself to be the leader."""
        return self.replica is not None and self.replica.leads

    def start(self) -> None:
        """Start, or start again, from what is on disk."""
        self.incarnation += 1
        self._jobs: deque[tuple[Callable[[], Any], Callable[[Any], None]]] = deque()
        self._working = False
        self._timer = 0
        finish(self.database, Disk())
        self.machine = Machine.open(self.database)
        self.readers = Readers(self.database)
        self.journal = Journal.open(Path("/journal"), self.files, segment_bytes=SEGMENT_BYTES)
        settle(self.journal, self.machine, installed=self._noted)
        self._noted = None
        stores: Any = SimpleNamespace(journal=self.journal, machine=self.machine)
        if self.founding is not None and self.journal.last.index == 0:
            found_cluster(stores, self.founding)
        config = self.world.config(self.id)
        self.node = open_node(config, stores, now=self.clock.now(), chance=self.chance.randrange)
        self.replica = Replica(self.node, self)
        self.world.note("start", self.id, self.machine.applied.index)
        self._later(SWEEP_US, self._sweep)
        self.pump()

    def crash(self) -> None:
        """Stop at once: the disk keeps what was synced, and any part of the rest."""
        assert self.replica is not None
        self.world.note("crash", self.id)
        self.incarnation += 1
        self.replica = self.node = None
        self.paused = False
        self._mail.clear()
        self.machine.close()
        self.readers.close()
        self.files.crash(self.chance)
        self.files.forget_faults()
        for path in self._received.values():
            path.unlink(missing_ok=True)
        self._received.clear()
        waiting, self.waiting = self.waiting, {}
        for request in waiting:
            request.lost()

    def pause(self) -> None:
        """Stand still; what arrives meanwhile waits."""
        self.paused = True

    def resume(self) -> None:
        """Go on with what waits."""
        self.paused = False
        mail, self._mail = self._mail, []
        for call in mail:
            if self.replica is not None:
                call()
        if self.replica is not None:
            self.pump()

    def post(self, incarnation: int, call: Callable[[], None]) -> None:
        """Something happens to this process, unless it has ended meanwhile."""
        if incarnation != self.incarnation or self.replica is None:
            return
        if self.paused:
            self._mail.append(call)
            return
        try:
            call()
            self.pump()
        except PowerLoss:
            self.world.crashed(self)

    def _later(self, delay_us: int, call: Callable[[], None]) -> None:
        self.world.timeline.after(delay_us, self.post, self.incarnation, call)

    def pump(self) -> None:
        """A lap, as the runner does one."""
        if self.replica is None or self.node is None:
            return
        try:
            self.node.tick(self.clock.now())
            self.replica.pump()
        except PowerLoss:
            self.world.crashed(self)
            return
        self._timer += 1
        wait_us = self.clock.wait_us(self.node.wake_at())
        self.world.timeline.after(wait_us, self._wake, self.incarnation, self._timer)

    def _wake(self, incarnation: int, timer: int) -> None:
        if timer == self._timer:
            self.post(incarnation, lambda: None)

    def _sweep(self) -> None:
        assert self.replica is not None
        self._later(SWEEP_US, self._sweep)
        self.replica.expire()
        if not self.replica.leads and self.chance.random() < 0.2:
            self.replica.reading.keep_level()
        if self.chance.random() < self.world.compacts:
            self._compact()

    def _compact(self) -> None:
        assert self.node is not None
        log = self.node.log
        upto = min(self.machine.applied.index, log.applied, log.stored) - self.chance.randrange(4)
        if upto > log.base.index and self.node.installing is None:
            position = log.position(upto)
            self.node.compact(upto)
            self.journal.compact(position)

    def receive(self, envelope: Envelope, attached: Path | None = None) -> None:
        """A message arrives, a snapshot with its file."""
        assert self.node is not None
        message = envelope.message
        if isinstance(message, InstallSnapshot) and attached is not None:
            self._received[message.snapshot] = attached
        self.node.step(envelope, self.clock.now())

    # The replica's World.

    def send(self, messages: Sequence[Envelope]) -> None:
        """Into the network."""
        for envelope in messages:
            self.world.network.send(envelope)

    def save(self, save: Save) -> None:
        """The disk takes its time, and the power may fail in the middle."""
        self._later(self.world.disk_us(), lambda: self._save(save))

    def _save(self, save: Save) -> None:
        if self.chance.random() < self.world.power_fails:
            self.files.fail_at(self.chance.randrange(1, 5), Fault.POWER)
        if save.reset is not None:
            self.journal.reset(save.reset, save.state)
            if self._noted == save.reset:
                self._noted = None
        if save.state is not None or save.entries:
            self.journal.save(save.state, save.entries)
        self.files.forget_faults()
        assert self.replica is not None
        self.replica.saved(save)

    def apply(self, entries: Sequence[Entry]) -> None:
        """In order with everything else that is done with the database."""

        def done(answers: list[bytes | None]) -> None:
            assert self.replica is not None
            self.replica.applied(entries, answers)

        self.on_database(lambda: self.machine.apply(entries), done)

    def on_database(
        self, job: Callable[[], Any], then: Callable[[Any], None], *, small: bool = True
    ) -> None:
        """At once or later, but always in order."""
        if small and not self._jobs and not self._working and self.chance.random() < 0.5:
            then(in_full(job))
            return
        self._jobs.append((job, then))
        self._start_work()

    def _start_work(self) -> None:
        if self._jobs and not self._working:
            self._working = True
            self._later(self.world.apply_us(), self._work)

    def _work(self) -> None:
        job, then = self._jobs.popleft()
        result = in_full(job)
        self._working = False
        then(result)
        self._start_work()

    def install(self, snapshot: SnapshotMeta) -> None:
        """Put the database on the received file, when what is under way there has ended."""
        self.on_database(lambda: self._install(snapshot), self._installed, small=False)

    def _install(self, meta: SnapshotMeta) -> SnapshotMeta | None:
        received = self._received.pop(meta, None)
        if received is None or self.chance.random() < 0.1:
            return None
        self.machine.close()
        self.readers.close()
        incoming = self.database.with_name("database.db-incoming")
        received.rename(incoming)
        self._noted = meta.last
        install(incoming, self.database, Disk())
        self.machine = Machine.open(self.database)
        self.readers = Readers(self.database)
        return meta

    def _installed(self, meta: SnapshotMeta | None) -> None:
        assert self.replica is not None
        if meta is None:
            self.replica.install_failed()
        else:
            self.seen_snapshots += 1
            self.world.note("installed", self.id, meta.last.index)
            self.replica.installed(meta)

    def ship(self, peer: NodeId) -> None:
        """A copy of what is applied, on its way to a peer."""
        self.world.ship(self, peer)

    def copy(self, target: Path) -> SnapshotMeta:
        """A snapshot of this moment."""
        return snapshots.take(self.database, target, Disk())

    def query(self, reads: list[Read]) -> None:
        """Now or a bit later."""
        if self.chance.random() < 0.5:
            self._run(reads)
        else:
            self._later(self.world.apply_us(), lambda: self._run(reads))

    def _run(self, reads: list[Read]) -> None:
        assert self.replica is not None
        for read in reads:
            try:
                if read.hold is not None:
                    read.moment = read.hold(self.readers.open_moment())
                where = self.readers if read.moment is None else read.moment
                page = where.read(read.sql, read.parameters)
            except ReadBusy as error:
                read.reply.refused(Why.OVERLOADED, str(error))
            except ReadCut as error:
                read.reply.refused(Why.TRANSACTION_GONE, str(error))
            else:
                if isinstance(page, Failed):
                    read.reply.result(encode(page), 0)
                else:
                    age = self.replica.reading.age_ms()
                    index = self.node.handed_out if self.node else 0
                    read.reply.page(page, index, -1 if age is None else age)

    def now_ms(self) -> int:
        """The machine's clock, which goes on while the process stands still."""
        return self.clock.now()

    def clock_ms(self) -> int:
        """Each node's wall clock goes its own way."""
        return 1_700_000_000_000 + self.clock.now() + self.chance.randrange(-50, 50)

    def seed(self) -> int:
        """64 bits of the one chance there is."""
        return self.chance.getrandbits(64)

    def role_changed(self, change: RoleChange) -> None:
        """Worth a note."""
        self.world.note("role", self.id, change.role, change.term, change.leader)
