"""A backup, from a copy on this node's disk to whoever asked for it.

The copy is taken in steps while writes go on, in a thread of its own; its file has no name any
more by the time its first byte is sent, so nothing is left behind however this ends. What leaves is
the plain SQLite file: compressing it, or turning it into SQL, is the client's work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import IO, Final, TypeVar

import apsw

from raftsql.cluster.guests import Guest, SentAway
from raftsql.cluster.requests import Read
from raftsql.cluster.runner import Runner
from raftsql.cluster.uploads import NoRoom
from raftsql.database.backup import CHUNK_BYTES, Backup
from raftsql.database.disk import Disk
from raftsql.database.errors import DatabaseDamaged
from raftsql.database.snapshot import CopyFailed, new_digest
from raftsql.rpc.proposing import Awaited, NotProposed
from raftsql.sql.commands import Level
from raftsql_proto import admin_pb2

T = TypeVar("T")

BACKUPS_MAX: Final = 2
"""At a time: each needs room for a copy of the database."""
FRESH_SECONDS: Final = 10.0
TELL_EVERY_STEPS: Final = 25
"""100 MB between two words on how far the copy is."""


class NoBackup(Exception):
    """There will be none; why."""


class Backups:
    """The backups that one node is giving."""

    def __init__(self, runner: Runner) -> None:
        """None yet."""
        self._runner = runner
        self._under_way = 0
        self._number = 0
        for leftover in runner.stores.datadir.folder.glob("backup-*.copy"):
            leftover.unlink(missing_ok=True)

    async def stream(self, *, stale: bool) -> AsyncIterator[admin_pb2.BackupPart]:
        """Take a copy and hand it out; whoever closes this early ends it. Raises NoBackup."""
        async with self._job(stale=stale) as job:
            async for part in job.parts():
                yield part

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[tuple[Path, int]]:
        """A fresh backup's file, which goes at the end, and its last entry. Raises NoBackup."""
        async with self._job(stale=False) as job:
            async for _ in job.copy():
                pass
            yield job.target, job.last_index

    @asynccontextmanager
    async def _job(self, *, stale: bool) -> AsyncIterator[_Job]:
        if self._under_way >= BACKUPS_MAX:
            raise NoBackup(f"{BACKUPS_MAX} backups are under way here; try again later")
        self._under_way += 1
        self._number += 1
        job = _Job(self._runner, self._number)
        try:
            if not stale:
                await self._catch_up()
            yield job
        except DatabaseDamaged as error:
            self._runner.fail(error)
            raise NoBackup(str(error)) from error
        except (SentAway, CopyFailed, NoRoom, NotProposed, apsw.Error, OSError) as error:
            raise NoBackup(str(error)) from error
        finally:
            self._under_way -= 1
            job.close()

    async def _catch_up(self) -> None:
        """Have applied everything that was acknowledged before this was asked for."""
        runner = self._runner
        reply = Awaited()
        read = Read("SELECT 1", None, reply, level=Level.LINEARIZABLE)
        read.deadline_ms = runner.now_ms() + int(FRESH_SECONDS * 1000)
        runner.replica.read(read)
        runner.wake()
        await reply.future


class _Job:
    """One backup. All of its disk work is done by its one thread, in order."""

    def __init__(self, runner: Runner, number: int) -> None:
        self._runner = runner
        folder = runner.stores.datadir.folder
        self.target = folder / f"backup-{number}.copy"
        self.last_index = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="backup")
        self._stay = ExitStack()
        self._guest: Guest | None = None
        self._backup: Backup | None = None
        self._file: IO[bytes] | None = None

    async def copy(self) -> AsyncIterator[int]:
        """Make the copy; how much of it is there, in percent, now and then."""
        await self._do(self._begin)
        steps = 0
        while remaining := await self._do(self._step):
            steps += 1
            if steps % TELL_EVERY_STEPS == 0:
                pages = await self._do(self._pages)
                yield 100 * (pages - remaining) // max(pages, 1)
        await self._do(self._finish)

    async def parts(self) -> AsyncIterator[admin_pb2.BackupPart]:
        """Make the copy and hand it out."""
        async for percent in self.copy():
            yield admin_pb2.BackupPart(copied_percent=percent)
        size = await self._do(self._open)
        digest = new_digest()
        while data := await self._do(self._read):
            digest.update(data)
            yield admin_pb2.BackupPart(data=data, size_bytes=size)
        yield admin_pb2.BackupPart(index=self.last_index, size_bytes=size, digest=digest.digest())

    def _begin(self) -> None:
        marking, database = self._runner.marking, self._runner.stores.database
        marking.uploads.need(database.stat().st_size)
        self._guest = self._stay.enter_context(marking.guests.stay())
        self.target.unlink(missing_ok=True)
        self._backup = Backup(database, self.target, Disk())

    def _step(self) -> int:
        assert self._guest is not None, "it has begun"
        assert self._backup is not None, "it has begun"
        self._guest.check()
        return self._backup.step()

    def _pages(self) -> int:
        assert self._backup is not None, "it has begun"
        return self._backup.pages

    def _finish(self) -> None:
        assert self._backup is not None, "it has begun"
        self.last_index = self._backup.finish().index
        self._backup = None
        self._stay.close()

    def _open(self) -> int:
        """From here on the file has no name; its size."""
        self._file = self.target.open("rb")
        size = self.target.stat().st_size
        self.target.unlink()
        return size

    def _read(self) -> bytes:
        assert self._file is not None, "it is copied"
        return self._file.read(CHUNK_BYTES)

    def _end(self) -> None:
        if self._backup is not None:
            self._backup.abandon()
        if self._file is not None:
            self._file.close()
        self.target.unlink(missing_ok=True)
        self._stay.close()

    async def _do(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)

    def close(self) -> None:
        """Let go of everything, behind what the thread may be doing now."""
        self._thread.submit(self._end)
        self._thread.shutdown(wait=False)
