"""What happens at the entries that ask for more than SQLite can do: VERIFY and RESTORE.

VERIFY is applied, and its moment is summed (`summing`). RESTORE is not: the file that it names
takes the database's place. A node that does not hold that file gets it from another one first, and
applies nothing until then; reads go on from the old state. The switch itself is one job where the
database is written. A crash at any point leaves the old database, and the entry to be applied
again, or the new one, which brings its place in the log along (decision 0092).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import msgspec

from raftsql.cluster.guests import Guests
from raftsql.cluster.summing import Sums
from raftsql.cluster.uploads import StoppedEarly, Uploads
from raftsql.database import restore as restoring
from raftsql.database import snapshot
from raftsql.database.disk import Disk
from raftsql.database.headers import HEADER_BYTES
from raftsql.database.installation import beside, install
from raftsql.database.machine import Machine
from raftsql.database.readers import Readers
from raftsql.database.shared import MALFORMED
from raftsql.raft.messages import Entry, Position
from raftsql.sql.commands import CommandKind, Restore, decode_restore

if TYPE_CHECKING:
    from raftsql.cluster.runner import Runner

T = TypeVar("T")

log = logging.getLogger("raftsql.cluster")

READS_END_SECONDS: Final = 10.0
"""Reads that are cut end within milliseconds; one that has not after so long never will."""
COMMIT_PAUSE_SECONDS: Final = 0.05
"""Between two looks whether what a snapshot holds is known to be committed."""
SYNC_BYTES: Final = 16 << 20
"""A copy is synced after so much, for one long sync would hold up the journal's."""
FETCH_PAUSE_SECONDS: Final = 1.0
"""Between two rounds of asking everybody for a file."""

Answered = Callable[[Entry, bytes | None], None]


class FileMissing(Exception):
    """Nobody could give the file now; why."""


class Substitute(NamedTuple):
    """A snapshot of a moment after the restore, from a node that has dropped the file since."""

    path: Path
    last: Position


class Marking:
    """Deals with the markers of one replica, and with whatever replaces its database."""

    def __init__(self, runner: Runner) -> None:
        """No marker was met yet."""
        self._runner = runner
        self.guests = Guests()
        self.sums = Sums(self.guests)
        self.disk = Disk()
        self.uploads = Uploads(runner.stores.datadir.folder / "restores", self.disk)
        self.waits_for = ""
        """What keeps this node from applying more; for people."""
        self._task: asyncio.Task[None] | None = None
        self._ready: Restore | None = None
        """The file of which a copy lies beside the database, ready to become it."""
        self._ready_lock = threading.Lock()
        self._clean()

    def _clean(self) -> None:
        """Remove what an earlier process was about to make the database."""
        self._discard()
        self.uploads.clean()
        for leftover in ("-substitute", "-incoming", "-copy"):
            beside(self._runner.stores.database, leftover).unlink(missing_ok=True)

    # VERIFY.

    def verify(self, machine: Machine) -> None:
        """Take the moment at which the machine stands; called where the log is applied."""
        marker = machine.marker
        assert marker is not None, "apply ends early at a marker only"
        assert marker.kind is CommandKind.VERIFY, "a restore is not done between two applies"
        self.sums.begin(machine.path, marker.entry.index)

    # RESTORE.

    def restore(self, entry: Entry, answered: Answered) -> None:
        """Let the file that the entry names take the database's place, then tell the answer."""
        self._task = asyncio.ensure_future(self._restore(entry, answered))

    async def _restore(self, entry: Entry, answered: Answered) -> None:
        try:
            answered(entry, await self._answer(entry))
        except (StoppedEarly, restoring.InspectionCut):
            pass
        except Exception as error:
            self._runner.fail(error)

    async def _answer(self, entry: Entry) -> bytes | None:
        """Do what the entry asks for; None: a snapshot came instead, of a later moment."""
        runner = self._runner
        wanted = _wanted(entry)
        known = MALFORMED if wanted is None else restoring.answered(runner.machine.path, entry)
        if wanted is None or known is not None:
            await self._on_database(lambda: runner.machine.pass_over(entry))
            return known
        while runner.machine.applied.index < entry.index:
            if not await asyncio.to_thread(self.make_ready, wanted):
                await self._fetch(entry, wanted)
                continue
            answer = await self._on_database(lambda: self._switch(entry, wanted))
            if answer is not None:
                self.waits_for = ""
                log.info(
                    "n%d restored a file of %d bytes at entry %d",
                    runner.node.id, wanted.size_bytes, entry.index,
                )  # fmt: skip
                return answer
        self.waits_for = ""
        return None

    async def _on_database(self, job: Callable[[], T]) -> T:
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def tell(result: T) -> None:
            if not done.done():  # Nobody waits any more when the node stops.
                done.set_result(result)

        self._runner.on_database(job, tell, small=False)
        return await done

    async def _fetch(self, entry: Entry, wanted: Restore) -> None:
        """Try everybody once."""
        transport = self._runner.transport
        assert transport is not None, "a node that applies is running"
        try:
            substitute = await transport.fetch_restore(wanted, entry.index)
            if substitute is not None:
                await self._take_instead(substitute)
        except FileMissing as missing:
            why = f"the file that entry {entry.index} restores: {missing}"
            if self.waits_for != why:
                self.waits_for = why
                log.warning("n%d waits for %s", self._runner.node.id, why)
            await asyncio.sleep(FETCH_PAUSE_SECONDS)

    async def _take_instead(self, substitute: Substitute) -> None:
        """Stand on another node's snapshot, as soon as this node knows all of it committed."""
        runner, last = self._runner, substitute.last
        self.waits_for = f"entry {last.index}, which another node's snapshot holds"
        while runner.node.log.committed < last.index:
            if runner.machine.applied.index >= last.index:
                return
            await asyncio.sleep(COMMIT_PAUSE_SECONDS)
        await self._on_database(lambda: self._instead(substitute))

    def _instead(self, substitute: Substitute) -> None:
        if self._runner.machine.applied.index < substitute.last.index:
            self.replace_database(substitute.path, substitute.last)
            log.info("a snapshot of entry %d takes the place of a restore", substitute.last.index)

    def make_ready(self, wanted: Restore) -> bool:
        """Copy a file that is held to where it will be made the database, so that the switch need
        not wait for that; False when it is not here as it was when it came. In a thread."""
        with self._ready_lock:
            if self._ready == wanted:
                return True
            file = self.uploads.held(wanted)
            if file is None:
                return False
            self._discard()
            if self._copied(file) == wanted.digest:
                restoring.lay_out(self._incoming, expired=lambda: self.uploads.stopped)
                self.disk.sync_file(self._incoming)
                self._ready = wanted
                return True
        log.error("%s is damaged: it is not what was put there, and has to be fetched", file)
        file.unlink()
        return False

    def discard(self, wanted: Restore) -> None:
        """What was made ready for this restore is of no use (any more)."""
        with self._ready_lock:
            if self._ready == wanted:
                self._discard()

    def _discard(self) -> None:
        self._ready = None
        for suffix in ("", "-journal", "-wal", "-shm"):
            beside(self._incoming, suffix).unlink(missing_ok=True)

    @property
    def _incoming(self) -> Path:
        return beside(self._runner.stores.database, "-restoring")

    def _copied(self, file: Path) -> bytes:
        """Copy it durably, and say what was copied; the original stays as others may ask for it."""
        digest = snapshot.new_digest()
        with file.open("rb") as source, self._incoming.open("wb") as target:
            for chunk in self.uploads.pieces(source, SYNC_BYTES):
                digest.update(chunk)
                target.write(chunk)
                target.flush()
                self.disk.sync_file(self._incoming)
        return digest.digest()

    def _switch(self, entry: Entry, wanted: Restore) -> bytes | None:
        """The one job that puts the file in the database's place; None: look again."""
        stores = self._runner.stores
        with self._ready_lock:
            if self._ready != wanted or stores.machine.applied.index >= entry.index:
                return None
            self._ready = None
            answer = restoring.prepare(self._incoming, stores.database, entry)
            self.replace_database(self._incoming, Position(entry.index, entry.term))
            self.uploads.applied(wanted, entry.index)
            return answer

    # Whatever replaces the database.

    def replace_database(self, incoming: Path, position: Position) -> None:
        """Close the database everywhere, put `incoming`, which is at `position`, in its place, and
        open that."""
        self._close_database()
        stores = self._runner.stores
        stores.datadir.note_install(position)
        install(incoming, stores.database, self.disk)
        stores.machine = Machine.open(stores.database)
        stores.readers = Readers(stores.database, access=lambda: stores.machine.access)
        self._runner.housekeeping.database_opened()
        self.guests.open()

    def _close_database(self) -> None:
        """Close every connection; reads that run are cut, and their clients ask again."""
        stores = self._runner.stores
        self.guests.close()
        self._runner.housekeeping.close_database()
        stores.machine.close()
        stores.readers.close()
        give_up_at = time.monotonic() + READS_END_SECONDS
        while stores.readers.outstanding:
            if time.monotonic() > give_up_at:
                raise TimeoutError("reads did not end, so the database can't be replaced")
            time.sleep(0.001)

    def log_shortened(self, base: int) -> None:
        """The log begins after `base` now."""
        self.uploads.tidy(base)

    def stop(self) -> None:
        """The node stops."""
        self.uploads.stopped = True
        if self._task is not None:
            self._task.cancel()
        self.sums.stop()


def _wanted(entry: Entry) -> Restore | None:
    try:
        return decode_restore(memoryview(entry.payload)[HEADER_BYTES:])
    except msgspec.MsgspecError:
        return None
