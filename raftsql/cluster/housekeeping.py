"""What a node does beside serving: shorten its log, forget old clients, know its age.

Shortening costs no copy: the database is made durable by a checkpoint in a thread of its own, and
the log up to there is dropped, but for a tail that spares slow followers a snapshot.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raftsql.cluster.requests import Write
from raftsql.database.compaction import Compacted, Compactor, wal_bytes
from raftsql.database.disk import Disk
from raftsql.raft.messages import Position
from raftsql.sql.commands import CommandKind, Why

if TYPE_CHECKING:
    from raftsql.cluster.runner import Runner

log = logging.getLogger("raftsql.cluster")

CHECK_SECONDS = 1.0
"""How often it is looked whether there is something to do."""
WAL_BYTES_MAX = 64 << 20
"""The log is also shortened when the database's WAL is larger, so that reads stay fast."""
EXPIRE_SECONDS = 60.0
"""How often the leader has forgotten whose time is up: each time costs an entry in the log."""


class _Silent:
    """Nobody waits for what housekeeping writes."""

    def result(self, answer: bytes, index: int) -> None:
        pass

    def page(self, page: object, index: int, age_ms: int) -> None:
        pass

    def refused(self, why: Why, message: str) -> None:
        pass


@dataclass(frozen=True, slots=True)
class LogBounds:
    """How long the log may get."""

    entries_max: int = 200_000
    """It is shortened when it holds more entries than this."""
    tail_entries: int = 20_000
    """What stays in it for followers that were away for a moment."""
    bytes_max: int = 512 << 20
    """It is also shortened when it takes more than this, and a quarter of this may stay."""


class Housekeeping:
    """Runs beside one replica, once a second."""

    def __init__(self, runner: Runner, bounds: LogBounds) -> None:
        """Nothing runs before `start`."""
        self._runner = runner
        self.bounds = bounds
        self._timer: asyncio.TimerHandle | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._compactor: Compactor | None = None
        self._compacting = False
        self._lock = threading.Lock()
        """Held by whoever uses or closes the compactor, in whatever thread."""
        self._closed = False
        """The database is being replaced."""
        self._expired_at = 0.0
        self.compactions = 0

    def start(self) -> None:
        """Look after the node from now on."""
        self._timer = self._runner.loop.call_later(CHECK_SECONDS, self._check)

    def stop(self) -> None:
        """Leave it alone."""
        if self._timer is not None:
            self._timer.cancel()
        self._thread.shutdown(wait=True)
        self.close_database()

    def close_database(self) -> None:
        """Let go of the database's file, until `database_opened`."""
        with self._lock:
            self._closed = True
            if self._compactor is not None:
                self._compactor.close()
                self._compactor = None

    def database_opened(self) -> None:
        """There is a database again, perhaps another one."""
        with self._lock:
            self._closed = False

    def _check(self) -> None:
        runner = self._runner
        if runner.failure is not None:
            return
        self._timer = runner.loop.call_later(CHECK_SECONDS, self._check)
        # The leader too: when it leads no more, what it has is as old as the last answer.
        runner.replica.reading.keep_level()
        if runner.replica.leads and runner.loop.time() - self._expired_at > EXPIRE_SECONDS:
            self._expired_at = runner.loop.time()
            runner.replica.write(Write(CommandKind.EXPIRE_SESSIONS, b"", _Silent()))
        if self._log_is_long():
            self.compact()
        runner.wake()

    def _log_is_long(self) -> bool:
        raft_log = self._runner.node.log
        if raft_log.applied - raft_log.base.index > self.bounds.entries_max:
            return True
        if self._runner.stores.journal.size > self.bounds.bytes_max:
            return True
        return wal_bytes(self._runner.stores.database) > WAL_BYTES_MAX

    def compact(self) -> asyncio.Future[Compacted | None] | None:
        """Shorten the log now, unless that is under way."""
        runner = self._runner
        if self._compacting or runner.node.installing is not None:
            return None
        self._compacting = True
        future = runner.loop.run_in_executor(self._thread, self._make_durable)
        future.add_done_callback(self._durable)
        return future

    def _make_durable(self) -> Compacted | None:
        with self._lock:
            if self._closed:
                return None
            if self._compactor is None:
                self._compactor = Compactor(self._runner.stores.database, Disk())
            return self._compactor.compact()

    def _durable(self, done: asyncio.Future[Compacted | None]) -> None:
        runner = self._runner
        if done.cancelled() or runner.failure is not None:
            return
        error = done.exception()
        if error is not None:
            runner.fail(error)
            return
        compacted = done.result()
        if compacted is None:
            self._compacting = False
            return
        if wal_bytes(runner.stores.database) > WAL_BYTES_MAX:
            # A checkpoint beside a busy writer never gets to the WAL's end; between two applies
            # it does, and only then can the WAL start over (decision 0038).
            runner.on_database(self._start_over, self._started_over, small=False)
        else:
            self._compacting = False
        raft_log = runner.node.log
        durable = min(compacted.durable.index, raft_log.applied, raft_log.stored)
        heavy = runner.stores.journal.first_within(self.bounds.bytes_max // 4) - 1
        upto = min(durable, max(durable - self.bounds.tail_entries, heavy))
        if upto > raft_log.base.index:
            position = raft_log.position(upto)
            runner.node.compact(upto)
            runner.on_journal(lambda: runner.stores.journal.compact(position), self._shortened)

    def _start_over(self) -> None:
        with self._lock:
            machine = self._runner.machine
            if machine.is_quick_to_unwind:
                machine.unwind(machine.applied.index)  # Else transactions would leave no gap.
            if self._compactor is not None and not machine.in_transaction:
                self._compactor.start_over()

    def _started_over(self, _: None) -> None:
        self._compacting = False

    def _shortened(self, _: None) -> None:
        self.compactions += 1
        base: Position = self._runner.node.log.base
        self._runner.marking.log_shortened(base.index)
        log.info("n%d dropped its log up to entry %d", self._runner.node.id, base.index)
