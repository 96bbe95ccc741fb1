"""The answers to `siblings`: what another node may ask of this one beside the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO, Any, Final

import grpc.aio
import msgspec

from raftsql.cluster.copying import copied
from raftsql.cluster.guests import SentAway
from raftsql.cluster.marking import FileMissing
from raftsql.cluster.runner import Runner
from raftsql.cluster.summing import NoSum
from raftsql.cluster.uploads import StoppedEarly
from raftsql.database import snapshot
from raftsql.database.checksum import Checksum
from raftsql.database.errors import DatabaseDamaged
from raftsql.database.restore import InspectionCut
from raftsql.database.snapshot import CopyFailed
from raftsql.rpc.peers import Unwelcome
from raftsql.rpc.shipping import Bandwidth
from raftsql.rpc.siblings import Siblings
from raftsql.sql.commands import Restore
from raftsql_proto import peers_pb2 as wire

Context = grpc.aio.ServicerContext[Any, Any]
Doorkeeper = Callable[[wire.PeerHello | None], Unwelcome | None]

POLL_SECONDS: Final = 0.02
READY_SECONDS: Final = 900.0
"""How long a copy lies ready for a restore that never comes."""
CHECKSUM_SECONDS: Final = 600.0
"""The bound of a caller that names none."""


class SiblingService:
    """Checksum, Hold and Fetch."""

    def __init__(
        self, runner: Runner, siblings: Siblings, unwelcome: Doorkeeper, bandwidth: Bandwidth
    ) -> None:
        """`unwelcome` is the peer service's check of a greeting."""
        self._runner = runner
        self._siblings = siblings
        self._unwelcome = unwelcome
        self._bandwidth = bandwidth
        self._copying = asyncio.Lock()

    async def checksum(self, request: wire.ChecksumRequest, context: Context) -> wire.ChecksumReply:
        """This node's sum of a moment, as soon as it has been there."""
        if (refusal := self._unwelcome(request.hello)) is not None:
            return wire.ChecksumReply(problem=refusal.reason)
        try:
            async with asyncio.timeout(context.time_remaining() or CHECKSUM_SECONDS):
                checksum = await sum_of(self._runner, request.index)
        except NoSum as none:
            damage = self._runner.marking.sums.damage
            if damage is not None:
                self._runner.fail(damage)
            return wire.ChecksumReply(problem=str(none), damaged=damage is not None)
        return wire.ChecksumReply(checksum=msgspec.msgpack.encode(checksum))

    async def hold(self, request: wire.HoldRequest, context: Context) -> wire.HoldReply:
        """Fetch a file from the node that asks, which is about to propose its restore."""
        if (refusal := self._unwelcome(request.hello)) is not None:
            return wire.HoldReply(problem=refusal.reason)
        restore = Restore(request.digest, request.size_bytes)
        try:
            await self._siblings.fetch_from(request.hello.node, request.hello.address, restore)
            marking = self._runner.marking
            held = await asyncio.to_thread(marking.make_ready, restore)
        except (FileMissing, StoppedEarly, InspectionCut, OSError) as error:
            return wire.HoldReply(problem=str(error))
        loop = self._runner.loop
        loop.call_later(READY_SECONDS, loop.run_in_executor, None, marking.discard, restore)
        return wire.HoldReply(held=held)

    async def fetch(
        self, request: wire.FetchRequest, context: Context
    ) -> AsyncIterator[wire.FetchPart]:
        """Give a file that is held here."""
        if (refusal := self._unwelcome(request.hello)) is not None:
            yield wire.FetchPart(problem=refusal.reason)
            return
        try:
            async for part in (
                self._snapshot(request.index) if request.index else self._file(request)
            ):
                yield part
        except DatabaseDamaged as error:
            self._runner.fail(error)
            yield wire.FetchPart(problem=str(error))
        except (SentAway, CopyFailed, OSError) as error:
            yield wire.FetchPart(problem=str(error))

    async def _file(self, request: wire.FetchRequest) -> AsyncIterator[wire.FetchPart]:
        path = self._runner.marking.uploads.held(Restore(request.digest, request.size_bytes))
        if path is None:
            yield wire.FetchPart(problem="the file is not here")
            return
        with path.open("rb") as file:
            file.seek(request.offset)
            async for part in self._parts(file):
                yield part

    async def _snapshot(self, index: int) -> AsyncIterator[wire.FetchPart]:
        """A fresh copy of the database; one at a time, and its file has no name by then."""
        if self._runner.node.log.applied < index:
            yield wire.FetchPart(problem=f"entry {index} is not applied here either")
            return
        async with self._copying:
            target = self._runner.stores.datadir.folder / "substitute.copy"
            head, file = await asyncio.to_thread(self._copy, target)
        with file:
            yield wire.FetchPart(snapshot=head)
            async for part in self._parts(file):
                yield part

    def _copy(self, target: Path) -> tuple[wire.SnapshotHead, IO[bytes]]:
        meta = copied(self._runner, target)
        head = wire.SnapshotHead(
            last_index=meta.last.index,
            last_term=meta.last.term,
            membership=meta.membership,
            size_bytes=target.stat().st_size,
            digest=snapshot.digest(target),
        )
        file = target.open("rb")
        target.unlink()
        return head, file

    async def _parts(self, file: IO[bytes]) -> AsyncIterator[wire.FetchPart]:
        loop = asyncio.get_running_loop()
        while data := await asyncio.to_thread(file.read, self._bandwidth.chunk_bytes):
            await asyncio.sleep(self._bandwidth.wait(len(data), loop.time()))
            yield wire.FetchPart(data=data)


async def sum_of(runner: Runner, index: int) -> Checksum:
    """This node's checksum at `index`, once that is applied; NoSum when there is none."""
    # Nobody but an operator's command waits here, and seldom.
    while not runner.marking.sums.known(index) and runner.node.log.applied < index:  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)
    return await runner.marking.sums.of(index)
