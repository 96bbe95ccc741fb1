"""A restore, on the leader: take the file in, look through it, spread it, let the log switch it.

Nothing has happened until the entry is proposed: whatever goes wrong before leaves files, and
those go with the next restore. It is proposed when every member that answers holds the file, and
a majority of the voters does, so that no single disk can lose what the log then says is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from raftsql.cluster.runner import Runner
from raftsql.cluster.uploads import NoRoom, StoppedEarly, Upload
from raftsql.database.restore import InspectionCut, inspect
from raftsql.raft.messages import NodeId
from raftsql.rpc.proposing import NotProposed, let_through, proposed
from raftsql.rpc.siblings import Siblings, Unreachable
from raftsql.sql.commands import CommandKind, Restore, Why, encode
from raftsql.sql.verdict import Mode
from raftsql_proto import admin_pb2

T = TypeVar("T")

PART_BYTES_MAX: Final = 1 << 20
PART_SECONDS: Final = 60.0
"""How long the client may say nothing."""
INSPECT_SECONDS: Final = 3600.0
HOLD_SECONDS: Final = 3600.0
"""How long a member may take to fetch the file. One that is gone is noticed at once."""
TELL_EVERY_BYTES: Final = 16 << 20


class NotRestored(Exception):
    """Nothing has happened; why."""


class OutcomeUnknown(Exception):
    """It may have happened, or happen yet."""


class Restores:
    """The restores that this node leads, one at a time."""

    def __init__(self, runner: Runner, siblings: Siblings, mode: Mode) -> None:
        """None yet."""
        self._runner = runner
        self._siblings = siblings
        self._mode = mode
        self._busy = False

    async def run(self, parts: AsyncIterator[Any]) -> AsyncIterator[admin_pb2.RestoreProgress]:
        """From the first byte to the answer. Raises NotRestored or OutcomeUnknown."""
        if self._busy:
            raise NotRestored("another restore is under way here")
        self._busy = True
        job = _Job(self._runner, self._siblings, self._mode)
        try:
            async for progress in job.run(parts):
                yield progress
        except (NoRoom, InspectionCut, StoppedEarly, OSError) as error:
            raise NotRestored(str(error)) from error
        finally:
            self._busy = False
            job.close()


class _Job:
    """One restore. All of its disk work is done by its one thread, in order."""

    def __init__(self, runner: Runner, siblings: Siblings, mode: Mode) -> None:
        self._runner = runner
        self._siblings = siblings
        self._mode = mode
        self._uploads = runner.marking.uploads
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="restore")
        self._upload: Upload | None = None
        self._unwanted: Restore | None = None
        """A whole file that no entry names (yet)."""
        self._closed = False

    async def run(self, parts: AsyncIterator[Any]) -> AsyncIterator[admin_pb2.RestoreProgress]:
        received_bytes = 0
        async for received_bytes in self._receive(parts):
            yield _doing("taking the file in", received_bytes)
        restore = self._unwanted
        assert restore is not None, "the file is here as a whole"
        yield _doing("looking through the file", received_bytes)
        problems = await self._do(lambda: self._problems(restore))
        if problems:
            yield admin_pb2.RestoreProgress(problems=problems, received_bytes=received_bytes)
            return
        yield _doing("bringing the file to the other nodes", received_bytes)
        _, absent = await asyncio.gather(self._make_ready(restore), self._spread(restore))
        yield _doing("switching", received_bytes)
        self._unwanted = None
        index = await self._propose(restore)
        yield admin_pb2.RestoreProgress(
            doing="done", received_bytes=received_bytes, index=index, absent=absent
        )

    async def _receive(self, parts: AsyncIterator[Any]) -> AsyncIterator[int]:
        upload = await self._do(self._begin)
        told = 0
        while True:
            part = await self._next(parts)
            if part.data:
                await self._write(upload, part.data)
            if part.last:
                await self._finish(upload, part.digest)
                yield upload.received_bytes
                return
            if upload.received_bytes - told >= TELL_EVERY_BYTES:
                told = upload.received_bytes
                yield told

    async def _next(self, parts: AsyncIterator[Any]) -> Any:
        try:
            async with asyncio.timeout(PART_SECONDS):
                part = await anext(parts)
        except StopAsyncIteration:
            raise NotRestored("the file broke off before its end") from None
        except TimeoutError:
            raise NotRestored(f"nothing came for {PART_SECONDS:.0f} s") from None
        if len(part.data) > PART_BYTES_MAX:
            raise NotRestored(f"a part holds more than {PART_BYTES_MAX} bytes")
        return part

    def _begin(self) -> Upload:
        self._upload = self._uploads.begin("incoming")
        return self._upload

    async def _write(self, upload: Upload, data: bytes) -> None:
        await self._do(lambda: upload.write(data))

    async def _finish(self, upload: Upload, digest: bytes) -> None:
        restore = await self._do(upload.finish)
        self._upload, self._unwanted = None, restore
        if digest and digest != restore.digest:
            raise NotRestored("the file arrived damaged: its digest is another. Send it again")

    def _problems(self, restore: Restore) -> list[str]:
        path = self._uploads.held(restore)
        assert path is not None, "the file was taken in"
        give_up_at = self._runner.loop.time() + INSPECT_SECONDS
        found = inspect(
            path,
            mode=self._mode,
            expired=lambda: self._closed or self._runner.loop.time() > give_up_at,
        )
        return [f"{problem.where}: {problem.why}" for problem in found]

    async def _spread(self, restore: Restore) -> list[NodeId]:
        """Let every member hold the file; those that could not be reached."""
        nodes = self._siblings.addresses()
        answers = await asyncio.gather(*(self._hold(n, a, restore) for n, a in nodes.items()))
        refused = [f"node {n}: {a}" for n, a in zip(nodes, answers, strict=True) if a]
        if refused:
            raise NotRestored("a member can't hold the file: " + "; ".join(refused))
        absent = [n for n, a in zip(nodes, answers, strict=True) if a is None]
        voters = self._runner.node.membership.voters
        holding = [node for node in voters if node not in absent]
        if len(holding) * 2 <= len(voters):
            raise NotRestored(
                f"only {len(holding)} of {len(voters)} voters can be reached to hold the file"
            )
        return absent

    async def _make_ready(self, restore: Restore) -> None:
        if not await self._do(lambda: self._runner.marking.make_ready(restore)):
            raise NotRestored("the disk does not give back what it took: see the log")

    async def _hold(self, node: NodeId, address: str, restore: Restore) -> str | None:
        """Why a member does not hold the file, "" when it does; None: it can't be reached."""
        try:
            return await self._siblings.hold(node, address, restore, HOLD_SECONDS)
        except Unreachable:
            return None

    async def _propose(self, restore: Restore) -> int:
        # It ends every transaction anyway: whoever keeps one open must not keep it waiting.
        asyncio.get_running_loop().call_soon(
            let_through, self._runner, "the database is being replaced"
        )
        try:
            index, _ = await proposed(self._runner, CommandKind.RESTORE, encode(restore), 0)
        except NotProposed as error:
            if error.why is Why.UNKNOWN:
                raise OutcomeUnknown(str(error)) from error
            self._unwanted = restore
            raise NotRestored(str(error)) from error
        return index

    async def _do(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)

    def _end(self) -> None:
        if self._upload is not None:
            self._upload.abandon()
        if self._unwanted is not None:
            self._uploads.drop(self._unwanted)
            self._runner.marking.discard(self._unwanted)

    def close(self) -> None:
        """Let go of what is of no use, behind what the thread may be doing now."""
        self._closed = True
        self._thread.submit(self._end)
        self._thread.shutdown(wait=False)


def _doing(what: str, received_bytes: int) -> admin_pb2.RestoreProgress:
    return admin_pb2.RestoreProgress(doing=what, received_bytes=received_bytes)
