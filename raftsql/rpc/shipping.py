"""Sends snapshots to nodes for which the log does not reach back far enough.

A snapshot goes on a connection of its own, lest heartbeats queue behind it, and no faster than the
bandwidth that it is given. At most a few chunks are under way; the receiver says how much it has,
and when a stream breaks the next one goes on from there. No snapshot is ever wholly in memory.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol

from raftsql.raft.messages import NodeId
from raftsql.rpc.breaks import StreamBroken, stream_breaks
from raftsql.rpc.peers import Me
from raftsql.storage.errors import StorageError
from raftsql.storage.snapshots import Snapshot, Snapshots
from raftsql_proto import peers_pb2 as wire

SHIP = "/raftsql.v1.Peers/Ship"

CHUNK_BYTES_MAX = 512 << 10
CHUNK_BYTES_MIN = 16 << 10
WINDOW_CHUNKS = 8
"""Chunks under way: enough to keep a connection busy, few enough to hear of progress often."""
ANSWER_SECONDS = 30.0
"""How long the receiver may say nothing; at the end it syncs a large file."""
FAILURES_MAX = 5
"""Streams in a row that break before anything arrived; then shipping has failed."""
PAUSE_SECONDS = 0.2
"""Between two streams."""


class ShipFailed(Exception):
    """The snapshot did not get there; why."""


class ShipRefused(ShipFailed):
    """The receiver does not want this snapshot; its words."""


class ShipEvents(Protocol):
    """Whom a shipping keeps up to date."""

    def snapshot_progressed(self, node: NodeId, received_bytes: int, size_bytes: int) -> None:
        """The receiver has so much of it."""


class Bandwidth:
    """Spreads bytes over time. All shippings of a node share one."""

    def __init__(self, bytes_per_second: int) -> None:
        """0: no bound."""
        self.bytes_per_second = bytes_per_second
        self._free_at = 0.0
        """Until then earlier bytes take all there is."""

    def wait(self, size_bytes: int, now: float) -> float:
        """How many seconds to wait, from `now`, before sending so much."""
        if not self.bytes_per_second:
            return 0.0
        begin = max(now, self._free_at)
        self._free_at = begin + size_bytes / self.bytes_per_second
        return begin - now

    @property
    def chunk_bytes(self) -> int:
        """Chunks so small that a slow transfer still shows progress every other second."""
        if not self.bytes_per_second:
            return CHUNK_BYTES_MAX
        return max(CHUNK_BYTES_MIN, min(CHUNK_BYTES_MAX, self.bytes_per_second // 4))


class Shipper:
    """Ships snapshots of one folder to any peer."""

    def __init__(
        self,
        me: Me,
        snapshots: Snapshots,
        on: ShipEvents,
        *,
        bytes_per_second: int = 0,
    ) -> None:
        """Nothing is sent yet. `bytes_per_second` of 0 sets no bound."""
        self._me = me
        self._snapshots = snapshots
        self._on = on
        self._bandwidth = Bandwidth(bytes_per_second)

    async def ship(self, node: NodeId, address: str, snapshot: Snapshot, *, term: int) -> None:
        """Bring the snapshot to the node, over as many streams as it takes; or ShipFailed."""
        shipping = _Shipping(node, address, snapshot, term)
        failures = 0
        while True:
            acknowledged = shipping.acknowledged
            try:
                with stream_breaks():
                    await self._stream(shipping)
                return
            except StreamBroken as broken:
                failures = 1 if shipping.acknowledged > acknowledged else failures + 1
                if failures > FAILURES_MAX:
                    raise ShipFailed(f"the snapshot does not reach node {node}: {broken}") from None
            except StorageError as error:
                raise ShipFailed(f"the snapshot can't be read: {error}") from error
            await asyncio.sleep(PAUSE_SECONDS)

    async def _stream(self, shipping: _Shipping) -> None:
        """One stream: greet, learn from where on to send, send, hear that all is well."""
        async with self._me.roads.to(shipping.address) as channel:
            opened: Any = channel.stream_stream(
                SHIP,
                request_serializer=wire.SnapshotPart.SerializeToString,
                response_deserializer=wire.SnapshotAnswer.FromString,
            )
            call = opened()
            hello = self._me.hello(shipping.node)
            async with asyncio.timeout(ANSWER_SECONDS):
                await call.write(wire.SnapshotPart(hello=hello, head=shipping.head))
            complete = await self._hear(call, shipping)
            sent = shipping.acknowledged
            while not complete:
                under_way = sent - shipping.acknowledged
                more = sent < shipping.snapshot.size
                if more and under_way < WINDOW_CHUNKS * self._bandwidth.chunk_bytes:
                    sent += await self._send(call, shipping.snapshot, sent)
                else:
                    complete = await self._hear(call, shipping)

    async def _send(self, call: Any, snapshot: Snapshot, offset: int) -> int:
        """Send the chunk at `offset`; how large it is."""
        chunk = await asyncio.to_thread(
            self._snapshots.chunk,
            snapshot,
            offset=offset,
            chunk_bytes=self._bandwidth.chunk_bytes,
        )
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(self._bandwidth.wait(len(chunk.data), now))
        part = wire.SnapshotPart(offset=chunk.offset, data=chunk.data, crc32c=chunk.crc)
        async with asyncio.timeout(ANSWER_SECONDS):
            await call.write(part)
        return len(chunk.data)

    async def _hear(self, call: Any, shipping: _Shipping) -> bool:
        """Take an answer; whether the receiver has everything."""
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = await call.read()
        if not isinstance(answer, wire.SnapshotAnswer):
            # The stream's status says why, by raising, unless it ended as if all were well.
            await call.code()
            raise StreamBroken(f"the receiver ended the stream: {await call.details()}")
        if answer.refused:
            raise ShipRefused(answer.refused)
        shipping.acknowledged = answer.received_bytes
        size = shipping.snapshot.size
        self._on.snapshot_progressed(shipping.node, answer.received_bytes, size)
        return answer.complete


@dataclass(slots=True)
class _Shipping:
    """A snapshot on its way to a node."""

    node: NodeId
    address: str
    snapshot: Snapshot
    term: int
    acknowledged: int = 0
    """What the receiver has."""

    @property
    def head(self) -> wire.SnapshotHead:
        """What the receiver must know before the first byte."""
        meta = self.snapshot.meta
        return wire.SnapshotHead(
            term=self.term,
            last_index=meta.last.index,
            last_term=meta.last.term,
            membership=meta.membership,
            size_bytes=self.snapshot.size,
            digest=self.snapshot.digest,
        )
