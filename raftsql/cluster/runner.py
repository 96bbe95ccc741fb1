"""The runner: where a replica meets an event loop, threads and a clock, here and in what it owns.

It is the replica's World. Journal and database have a lane each; reads run in place when they are
short and in a pool when they are not. Whatever arrives (a client's frame, a peer's message, a
finished job) only marks the runner as awake; one callback later the replica does a lap for all.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from raftsql.cluster.housekeeping import Housekeeping, LogBounds
from raftsql.cluster.lane import Lane
from raftsql.cluster.marking import Marking, Substitute
from raftsql.cluster.meters import Meters
from raftsql.cluster.opening import Stores, open_node
from raftsql.cluster.patience import PATIENCE_UNITS, Longer
from raftsql.cluster.querying import Querying
from raftsql.cluster.replica import Replica
from raftsql.cluster.requests import Read, Stage
from raftsql.database.errors import TakesLonger
from raftsql.database.installation import beside
from raftsql.database.machine import Machine
from raftsql.database.readers import Readers
from raftsql.raft.config import Config
from raftsql.raft.messages import Entry, Envelope, NodeId, SnapshotMeta
from raftsql.raft.ready import RoleChange, Save
from raftsql.sql.commands import CommandKind, Restore
from raftsql.storage.errors import CorruptSnapshot, UnknownSnapshot

T = TypeVar("T")

log = logging.getLogger("raftsql.cluster")

SMALL_ENTRIES = 64
"""A save or an apply of so few entries is done in place: see decisions 0070 and 0097."""
SMALL_BYTES = 64 << 10
"""And of so few bytes. What an apply burns is bounded apart: no size tells it."""
SWITCH_SECONDS = 0.0005
"""How long a Python thread may keep the others waiting; the default of 5 ms ruins latency."""
READ_THREADS = 4
"""Reads that turned out long and run at a time; the others wait for a thread."""
SWEEP_SECONDS = 0.1
"""How often requests are looked through for clients that stopped waiting."""


class Transport(Protocol):
    """How messages and snapshots reach the other nodes."""

    def send(self, messages: Sequence[Envelope]) -> None:
        """Put messages on their way."""

    def ship(self, peer: NodeId) -> None:
        """Send a snapshot to the peer."""

    def role_changed(self, change: RoleChange) -> None:
        """Another leader, term or role."""

    def applied(self) -> None:
        """Something was applied; the membership may be another."""

    async def fetch_restore(self, restore: Restore, index: int) -> Substitute | None:
        """Get the file of the restore at `index` from another node into `uploads`, or what stands
        in for it; FileMissing if nobody has either."""


class Runner:
    """Runs one replica in an asyncio loop."""

    def __init__(
        self,
        config: Config,
        stores: Stores,
        bounds: LogBounds | None = None,
        meters: Meters | None = None,
    ) -> None:
        """Make the node; `start` brings it to life."""
        self.meters = meters or Meters()
        self.loop = asyncio.get_running_loop()
        self.stores = stores
        self.config = config
        self._random = random.SystemRandom()
        self._seeds = random.Random(self._random.getrandbits(64))
        self.node = open_node(config, stores, now=self.now_ms(), chance=self._seeds.randrange)
        self._journal = Lane(self.loop, "journal", self.fail)
        self._database = Lane(self.loop, "database", self.fail)
        self._pool = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="read")
        self.transport: Transport | None = None
        self.querying = Querying(self, self._pool)
        self.replica = Replica(self.node, self)
        self.housekeeping = Housekeeping(self, bounds or LogBounds())
        self.marking = Marking(self)
        self.versions: dict[NodeId, str] = {}
        """The release that each of the others runs, as it said when it called last."""
        self.failure: BaseException | None = None
        self.stopped = asyncio.Event()
        self._awake = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0
        self._sweeper: asyncio.TimerHandle | None = None

    def start(self, transport: Transport) -> None:
        """Begin to run."""
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.collect()
        gc.freeze()
        self.transport = transport
        self._sweep()
        self.housekeeping.start()
        self.wake()

    def now_ms(self) -> int:
        """The monotonic clock that the core lives by."""
        return int(self.loop.time() * 1000)

    def wake(self) -> None:
        """Something arrived: do a lap soon, for this and whatever comes with it."""
        if not self._awake:
            self._awake = True
            self.loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._awake = False
        if self.failure is not None:
            return
        try:
            self.node.tick(self.now_ms())
            self.replica.pump()
            self.meters.committed(self.node.log.committed)
        except Exception as error:
            self.fail(error)
            return
        self._set_timer()

    def _set_timer(self) -> None:
        """A timer that is early only costs a lap; most are put off before they are due."""
        at = self.node.wake_at()
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer, self._timer_at = self.loop.call_at(at / 1000, self._due), at

    def _due(self) -> None:
        self._timer = None
        self.wake()

    def _sweep(self) -> None:
        self.replica.expire()
        self.wake()
        self._sweeper = self.loop.call_later(SWEEP_SECONDS, self._sweep)

    def receive(self, envelopes: Sequence[Envelope]) -> None:
        """Messages of a peer."""
        if self.failure is not None:
            return
        now = self.now_ms()
        try:
            for envelope in envelopes:
                self.node.step(envelope, now)
        except Exception as error:
            self.fail(error)
            return
        self.wake()

    # The replica's World.

    @property
    def machine(self) -> Machine:
        """The database's writing side."""
        return self.stores.machine

    @property
    def readers(self) -> Readers:
        """The database's reading side."""
        return self.stores.readers

    def send(self, messages: Sequence[Envelope]) -> None:
        """Hand messages to the transport."""
        if messages and self.transport is not None:
            self.transport.send(messages)

    def save(self, save: Save) -> None:
        """Write to the journal: in place when little, but not while appends wait to leave."""
        alone = len(self.node.membership.members) <= 1
        small = _is_small(save.entries) and (alone or not self.replica.leads)
        if save.entries and self.replica.leads:
            self.meters.proposed(save.entries[-1].index)
        self._journal.do(partial(self._write, save), self._saved, small=small)

    def _write(self, save: Save) -> Save:
        journal, began = self.stores.journal, time.perf_counter()
        if save.reset is not None:
            journal.reset(save.reset, save.state)
            self.stores.datadir.forget_install(save.reset)
        if save.state is not None or save.entries:
            journal.save(save.state, save.entries)
        self.meters.save.since(began)
        return save

    def _saved(self, save: Save) -> None:
        self.replica.saved(save)
        self.wake()

    def on_journal(self, job: Callable[[], T], then: Callable[[T], None]) -> None:
        """Do a job where the journal is written, in order with saves."""
        self._journal.do(job, then, small=False)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Apply in place when there is little to apply, and it is as quick as it looks."""
        small = _is_small(entries)
        job = self._apply_briefly if small else self._apply
        self._database.do(partial(job, entries), partial(self._applied, entries), small=small)

    def _apply_briefly(self, entries: Sequence[Entry]) -> list[bytes | None]:
        """Apply, but leave to the lane's thread what would keep heartbeats waiting."""
        machine, began = self.stores.machine, time.perf_counter()
        try:
            answers = machine.apply(entries, patience=PATIENCE_UNITS)
            self.meters.apply.since(began)
        except TakesLonger as news:
            raise Longer(partial(self._apply_rest, entries, news.answers)) from None
        if machine.marker is not None and machine.marker.kind is CommandKind.VERIFY:
            raise Longer(partial(self._apply_marked, entries, answers))
        return answers

    def _apply_rest(
        self, entries: Sequence[Entry], answers: list[bytes | None]
    ) -> list[bytes | None]:
        return answers + self._apply(entries[len(answers) :])

    def _apply(self, entries: Sequence[Entry]) -> list[bytes | None]:
        began = time.perf_counter()
        answers = self.stores.machine.apply(entries)
        self.meters.apply.since(began)
        return self._apply_marked(entries, answers)

    def _apply_marked(
        self, entries: Sequence[Entry], answers: list[bytes | None]
    ) -> list[bytes | None]:
        """Deal with the mark at which an apply ended, and go on until it is not one of these."""
        machine = self.stores.machine
        while machine.marker is not None and machine.marker.kind is CommandKind.VERIFY:
            self.marking.verify(machine)
            answers += machine.apply(entries[len(answers) :])
        return answers

    def _applied(self, entries: Sequence[Entry], answers: list[bytes | None]) -> None:
        done = len(answers)
        if done < len(entries):
            # A restore is next: it takes its time, and the rest waits for it.
            self.replica.applied_part(entries[:done], answers)
            self.marking.restore(entries[done], partial(self._restored, entries[done + 1 :]))
        else:
            self.replica.applied(entries, answers)
        if self.transport is not None:
            self.transport.applied()
        self.wake()

    def _restored(self, rest: Sequence[Entry], entry: Entry, answer: bytes | None) -> None:
        """The restore is done; go on with what was handed out with it."""
        if rest:
            self.replica.applied_part([entry], [answer])
            self.apply(rest)
        else:
            self._applied([entry], [answer])

    def on_database(
        self, job: Callable[[], T], then: Callable[[T], None], *, small: bool = True
    ) -> None:
        """Do a job where the database is written, in order with everything else there."""

        def done(result: T) -> None:
            then(result)
            self.wake()

        self._database.do(job, done, small=small)

    def install(self, snapshot: SnapshotMeta) -> None:
        """Put the database on a received snapshot, when what is under way there has ended."""
        self._database.do(partial(self._install, snapshot), self._installed, small=False)

    def _install(self, snapshot: SnapshotMeta) -> SnapshotMeta | None:
        """None when it can't be used; the database is as it was then."""
        stores = self.stores
        try:
            received = self._taken_out(snapshot)
        except (CorruptSnapshot, UnknownSnapshot) as error:
            log.warning("n%d: a snapshot has to come again: %s", self.node.id, error)
            return None
        incoming = received.rename(beside(stores.database, "-incoming"))
        self.marking.replace_database(incoming, snapshot.last)
        return snapshot

    def _taken_out(self, snapshot: SnapshotMeta) -> Path:
        """The file of a received snapshot, if it is there and what it was when it came."""
        snapshots = self.stores.snapshots
        received = next((s for s in snapshots.all() if s.meta.last == snapshot.last), None)
        if received is None:
            raise UnknownSnapshot(f"that of entry {snapshot.last.index} is gone")
        try:
            snapshots.verify(received)
        except CorruptSnapshot:
            snapshots.delete(received)
            raise
        return snapshots.take_out(received)

    def _installed(self, snapshot: SnapshotMeta | None) -> None:
        if snapshot is None:
            self.replica.install_failed()
        else:
            self.meters.snapshots_installed += 1
            log.info("n%d installed a snapshot up to entry %d", self.node.id, snapshot.last.index)
            self.replica.installed(snapshot)
            if self.transport is not None:
                self.transport.applied()
        self.wake()

    def ship(self, peer: NodeId) -> None:
        """Let the transport send a snapshot."""
        assert self.transport is not None, "a node that leads is running"
        self.transport.ship(peer)

    def query(self, reads: list[Read]) -> None:
        """Run reads at the moment that is applied now."""
        for read in reads:
            if read.watcher is not None:
                read.watcher.reached(Stage.RUNS)
        self.querying.run(reads)

    def clock_ms(self) -> int:
        """Wall-clock time."""
        return time.time_ns() // 1_000_000

    def seed(self) -> int:
        """64 random bits."""
        return self._seeds.getrandbits(64)

    def role_changed(self, change: RoleChange) -> None:
        """Say what an operator would act on."""
        self.meters.role_changed(change)
        log.info(
            "n%d@%d is %s%s",
            self.node.id,
            change.term,
            change.role,
            f", led by n{change.leader}" if change.leader else "",
        )
        if self.transport is not None:
            self.transport.role_changed(change)

    # The end.

    def fail(self, error: BaseException) -> None:
        """A node that can't be right stops: nothing is answered that isn't certain."""
        if self.failure is None:
            self.failure = error
            log.critical("n%d stops: %s", self.node.id, error, exc_info=error)
            self.replica.stop()
            self.stopped.set()

    async def close(self) -> None:
        """Stop running, and leave the disk as a restart likes it."""
        for timer in (self._timer, self._sweeper):
            if timer is not None:
                timer.cancel()
        self.housekeeping.stop()
        self.marking.stop()
        if self.failure is None:
            self.replica.stop()
        await self._journal.close()
        await self._database.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.stores.readers.close()
        if self.failure is None:
            self.stores.machine.close()
            self.stores.journal.close()
        self.stores.datadir.close()


def _is_small(entries: Sequence[Entry]) -> bool:
    few = len(entries) <= SMALL_ENTRIES
    return few and sum(len(entry.payload) for entry in entries) <= SMALL_BYTES
