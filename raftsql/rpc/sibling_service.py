"""The answers to `siblings`: what another node may ask of this one beside the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc.aio
import msgspec

from raftsql.cluster.marking import FileMissing
from raftsql.cluster.runner import Runner
from raftsql.cluster.summing import NoSum
from raftsql.database.checksum import Checksum
from raftsql.rpc.peers import Unwelcome
from raftsql.rpc.shipping import Bandwidth
from raftsql.rpc.siblings import Siblings
from raftsql.sql.commands import Restore
from raftsql_proto import peers_pb2 as wire

Context = grpc.aio.ServicerContext[Any, Any]
Doorkeeper = Callable[[wire.PeerHello | None], Unwelcome | None]

POLL_SECONDS: Final = 0.02
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

    async def checksum(self, request: wire.ChecksumRequest, context: Context) -> wire.ChecksumReply:
        """This node's sum of a moment, as soon as it has been there."""
        if (refusal := self._unwelcome(request.hello)) is not None:
            return wire.ChecksumReply(problem=refusal.reason)
        try:
            async with asyncio.timeout(context.time_remaining() or CHECKSUM_SECONDS):
                checksum = await sum_of(self._runner, request.index)
        except NoSum as none:
            return wire.ChecksumReply(problem=str(none))
        return wire.ChecksumReply(checksum=msgspec.msgpack.encode(checksum))

    async def hold(self, request: wire.HoldRequest, context: Context) -> wire.HoldReply:
        """Fetch a file from the node that asks, which is about to propose its restore."""
        if (refusal := self._unwelcome(request.hello)) is not None:
            return wire.HoldReply(problem=refusal.reason)
        restore = Restore(request.digest, request.size_bytes)
        try:
            await self._siblings.fetch_from(request.hello.node, request.hello.address, restore)
        except FileMissing as missing:
            return wire.HoldReply(problem=str(missing))
        return wire.HoldReply(held=True)

    async def fetch(
        self, request: wire.FetchRequest, context: Context
    ) -> AsyncIterator[wire.FetchPart]:
        """Give a file that is held here."""
        if (refusal := self._unwelcome(request.hello)) is not None:
            yield wire.FetchPart(problem=refusal.reason)
            return
        path = self._runner.marking.uploads.held(Restore(request.digest, request.size_bytes))
        if path is None:
            yield wire.FetchPart(problem="the file is not here")
            return
        loop = asyncio.get_running_loop()
        with path.open("rb") as file:
            file.seek(request.offset)
            while data := await asyncio.to_thread(file.read, self._bandwidth.chunk_bytes):
                await asyncio.sleep(self._bandwidth.wait(len(data), loop.time()))
                yield wire.FetchPart(data=data)


async def sum_of(runner: Runner, index: int) -> Checksum:
    """This node's checksum at `index`, once that is applied; NoSum when there is none."""
    # Nobody but an operator's command waits here, and seldom.
    while not runner.marking.sums.known(index) and runner.node.log.applied < index:  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)
    return await runner.marking.sums.of(index)
