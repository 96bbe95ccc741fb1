"""What one node asks another beside the log: a checksum, to hold a file, or for the file itself.

Each is a call on a connection of its own. Files come in over as many calls as it takes, each going
on where the last one broke; one is fetched at a time, whoever asks for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
import msgspec

from raftsql.cluster.marking import FileMissing, Substitute
from raftsql.cluster.runner import Runner
from raftsql.cluster.summing import NoSum
from raftsql.cluster.uploads import ROOM_TIMES, NoRoom, StoppedEarly, Upload, WrongFile
from raftsql.database.checksum import Checksum
from raftsql.raft.messages import NodeId, Position
from raftsql.rpc.channels import Roads
from raftsql.rpc.peers import Me
from raftsql.sql.commands import Restore
from raftsql_proto import peers_pb2 as wire

T = TypeVar("T")

CHECKSUM: Final = "/raftsql.v1.Peers/Checksum"
HOLD: Final = "/raftsql.v1.Peers/Hold"
FETCH: Final = "/raftsql.v1.Peers/Fetch"

PART_SECONDS: Final = 30.0
"""How long a sender of a file may say nothing."""
FAILURES_MAX: Final = 3
"""Calls in a row that bring nothing; then somebody else is asked."""


class Unreachable(Exception):
    """The node did not answer; why."""


class SiblingDamaged(NoSum):
    """The node has found its database damaged, and stops; what it said."""


class Siblings:
    """The other nodes, as this one asks them."""

    def __init__(self, me: Me, runner: Runner) -> None:
        """Nothing is asked yet."""
        self._me = me
        self._runner = runner
        self._fetching = asyncio.Lock()
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="fetch")

    @property
    def roads(self) -> Roads:
        """How the others are reached."""
        return self._me.roads

    def addresses(self) -> dict[NodeId, str]:
        """Where the other members are."""
        members = self._runner.node.membership.members
        return {n: m.address for n, m in members.items() if n != self._me.node}

    async def checksum(self, node: NodeId, address: str, index: int, seconds: float) -> Checksum:
        """The node's sum of the moment that a VERIFY marks; NoSum or Unreachable."""
        request = wire.ChecksumRequest(hello=self._me.hello(node), index=index)
        reply = await self._call(address, CHECKSUM, request, wire.ChecksumReply, seconds)
        if reply.damaged:
            raise SiblingDamaged(reply.problem)
        if reply.problem:
            raise NoSum(reply.problem)
        return msgspec.msgpack.decode(reply.checksum, type=Checksum)

    async def hold(self, node: NodeId, address: str, restore: Restore, seconds: float) -> str:
        """Let the node fetch a file from here; why it does not hold it, or "". Unreachable."""
        request = wire.HoldRequest(
            hello=self._me.hello(node), digest=restore.digest, size_bytes=restore.size_bytes
        )
        reply = await self._call(address, HOLD, request, wire.HoldReply, seconds)
        return "" if reply.held else reply.problem or "it gave no reason"

    async def _call(
        self, address: str, method: str, request: Any, reply: Any, seconds: float
    ) -> Any:
        async with self._me.roads.to(address) as channel:
            ask: Any = channel.unary_unary(
                method,
                request_serializer=type(request).SerializeToString,
                response_deserializer=reply.FromString,
            )
            try:
                return await ask(request, timeout=seconds)
            except grpc.aio.AioRpcError as error:
                raise Unreachable(error.details() or str(error.code())) from error

    async def fetch(self, restore: Restore, index: int) -> Substitute | None:
        """Get a file from whoever has it, or a snapshot from after the entry at `index`, which
        names it; FileMissing when nobody could give either now."""
        problems = []
        for node, address in sorted(self.addresses().items()):
            try:
                await self.fetch_from(node, address, restore)
                return None
            except FileMissing as missing:
                problems.append(str(missing))
        for node, address in sorted(self.addresses().items()):
            try:
                return await self._substitute_from(node, address, index)
            except FileMissing as missing:
                problems.append(str(missing))
        raise FileMissing("; ".join(problems) or "there is no other node")

    async def fetch_from(self, node: NodeId, address: str, restore: Restore) -> None:
        """Get a file from one node, verified and durable; or FileMissing."""
        uploads = self._runner.marking.uploads
        async with self._fetching:
            if await self._on_disk(lambda: uploads.held(restore)) is not None:
                return
            try:
                await self._on_disk(lambda: uploads.need(ROOM_TIMES * restore.size_bytes))
                upload = await self._on_disk(lambda: uploads.resume(restore))
                try:
                    await self._receive(node, address, restore, upload)
                    await self._on_disk(lambda: upload.finish(restore))
                finally:
                    # In order behind what it may be doing now, even when this is cancelled.
                    self._disk.submit(upload.pause)
            except (NoRoom, StoppedEarly, WrongFile, OSError) as error:
                raise FileMissing(f"from node {node}: {error}") from error

    async def _receive(self, node: NodeId, address: str, restore: Restore, upload: Upload) -> None:
        failures = 0
        while upload.received_bytes < restore.size_bytes:
            before = upload.received_bytes
            try:
                await self._stream(node, address, restore, upload)
            except (grpc.aio.AioRpcError, TimeoutError) as error:
                failures = 0 if upload.received_bytes > before else failures + 1
                if failures >= FAILURES_MAX:
                    why = error.details() if isinstance(error, grpc.aio.AioRpcError) else "silence"
                    raise FileMissing(f"node {node} can't be reached: {why}") from error

    async def _stream(self, node: NodeId, address: str, restore: Restore, upload: Upload) -> None:
        request = wire.FetchRequest(
            hello=self._me.hello(node),
            digest=restore.digest,
            size_bytes=restore.size_bytes,
            offset=upload.received_bytes,
        )
        async with _asked(self._me.roads, address, request) as call:
            while upload.received_bytes < restore.size_bytes:
                part = await _part(call, node)
                await self._write(upload, part.data)

    async def _substitute_from(self, node: NodeId, address: str, index: int) -> Substitute:
        """Get a snapshot in which the entry is applied; or FileMissing."""
        request = wire.FetchRequest(hello=self._me.hello(node), index=index)
        database = self._runner.stores.database
        async with self._fetching:
            try:
                async with _asked(self._me.roads, address, request) as call:
                    path, last = await self._snapshot(node, call)
                taken = database.with_name(database.name + "-substitute")
                await self._on_disk(lambda: path.replace(taken))
            except (grpc.aio.AioRpcError, TimeoutError) as error:
                raise FileMissing(f"node {node} can't be reached") from error
            except (NoRoom, WrongFile, OSError) as error:
                raise FileMissing(f"from node {node}: {error}") from error
        return Substitute(taken, last)

    async def _snapshot(self, node: NodeId, call: Any) -> tuple[Path, Position]:
        uploads = self._runner.marking.uploads
        head = (await _part(call, node)).snapshot
        wanted = Restore(head.digest, head.size_bytes)
        upload = await self._on_disk(lambda: uploads.begin("substitute"))
        try:
            while upload.received_bytes < wanted.size_bytes:
                part = await _part(call, node)
                await self._write(upload, part.data)
            await self._on_disk(lambda: upload.finish(wanted))
        finally:
            self._disk.submit(upload.pause)
        path = await self._on_disk(lambda: uploads.held(wanted))
        assert path is not None, "the file was settled"
        return path, Position(index=head.last_index, term=head.last_term)

    async def _write(self, upload: Upload, data: bytes) -> None:
        await self._on_disk(lambda: upload.write(data))

    async def _on_disk(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, job)

    def close(self) -> None:
        """Fetch no more; what has come is kept."""
        self._disk.shutdown(wait=True)


@asynccontextmanager
async def _asked(roads: Roads, address: str, request: wire.FetchRequest) -> AsyncIterator[Any]:
    async with roads.to(address) as channel:
        ask: Any = channel.unary_stream(
            FETCH,
            request_serializer=wire.FetchRequest.SerializeToString,
            response_deserializer=wire.FetchPart.FromString,
        )
        yield ask(request)


async def _part(call: Any, node: NodeId) -> wire.FetchPart:
    """The next part that the node sends; FileMissing when it has no more to say."""
    async with asyncio.timeout(PART_SECONDS):
        part = await call.read()
    if not isinstance(part, wire.FetchPart):
        await call.code()  # Raises the stream's error, unless it ended as if all were well.
        raise FileMissing(f"node {node} ended too early: {await call.details()}")
    if part.problem:
        raise FileMissing(f"node {node}: {part.problem}")
    return part
