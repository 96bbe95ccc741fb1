"""A snapshot gets there whole, however often its stream breaks, or it is refused in words."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest
from crc32c import crc32c

from raftsql.raft.messages import Position, SnapshotMeta
from raftsql.rpc import channels, shipping
from raftsql.rpc.shipping import Bandwidth, ShipFailed, Shipper, ShipRefused
from raftsql.storage.files import RealFiles
from raftsql.storage.snapshots import Snapshot, Snapshots
from raftsql_proto import peers_pb2 as wire
from tests.rpc.net import Node, pair, pose

META = SnapshotMeta(Position(1000, 7), b"\x01members\xff")
MIB = 1 << 20


def made(folder: Snapshots, size: int, *, index: int = 1000) -> Snapshot:
    meta = SnapshotMeta(Position(index, 7), META.membership)
    folder.scratch(meta).write_bytes(Random(index).randbytes(size))
    return folder.adopt(meta)


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[tuple[Node, Node]]:
    """Node 1 with a folder to ship from; node 2 listens and has one to receive into."""
    one, two = pair()
    one.snapshots = Snapshots.open(tmp_path / "1", RealFiles())
    two.snapshots = Snapshots.open(tmp_path / "2", RealFiles())
    await two.start()
    yield one, two
    await two.stop()


def shipper(one: Node, **settings: Any) -> Shipper:
    assert one.snapshots is not None
    return Shipper(one.me, one.snapshots, one, **settings)


def arrived(two: Node, sent: Snapshot) -> bool:
    assert two.snapshots is not None
    newest = two.snapshots.newest()
    return newest is not None and newest.path.read_bytes() == sent.path.read_bytes()


async def test_a_snapshot_arrives_and_its_progress_is_told(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    assert one.snapshots is not None
    sent = made(one.snapshots, 3 * MIB + 5)
    await shipper(one).ship(2, two.me.address, sent, term=8)
    assert arrived(two, sent)
    assert two.events == [("received", sent.meta, 8, 1)]
    progress = [event[2] for event in one.events]
    assert progress == sorted(progress)
    assert progress[0] == 0
    assert progress[-1] == sent.size
    assert len(progress) >= 8


class Cutter:
    """Stands between two nodes, and cuts each of the first connections after so many bytes."""

    def __init__(self, target: str, cuts: list[int]) -> None:
        self.target = target
        self.cuts = cuts
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        left = self.cuts.pop(0) if self.cuts else None
        host, port = channels.host_and_port(self.target)
        back, forth = await asyncio.open_connection(host, port)
        ways = [asyncio.ensure_future(self._copy(reader, forth, left)),
                asyncio.ensure_future(self._copy(back, writer, None))]  # fmt: skip
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            writer.transport.abort()
            forth.transport.abort()

    async def _copy(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, left: int | None
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(1 << 16):
                if left is not None and (left := left - len(data)) < 0:
                    return
                target.write(data)
                await target.drain()


async def test_a_broken_stream_is_resumed_where_it_was(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "PAUSE_SECONDS", 0.01)
    one, two = nodes
    assert one.snapshots is not None
    sent = made(one.snapshots, 8 * MIB)
    cutter = Cutter(two.me.address, cuts=[4 * MIB, 3 * MIB])
    address = await cutter.start()
    await shipper(one).ship(2, address, sent, term=8)
    await cutter.stop()
    assert arrived(two, sent)
    assert cutter.connections == 3
    progress = [event[2] for event in one.events]
    assert progress == sorted(progress)  # Nothing that had arrived was sent again.


async def test_a_transfer_goes_on_after_the_receiver_restarts(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "PAUSE_SECONDS", 0.01)
    one, two = nodes
    assert one.snapshots is not None
    sent = made(one.snapshots, 8 * MIB)
    task = asyncio.ensure_future(
        shipper(one, bytes_per_second=80 * MIB).ship(2, two.me.address, sent, term=8)
    )
    await one.until(lambda: any(event[2] for event in one.events))
    await two.stop()
    so_far = len(one.events)
    await two.start()
    await task
    assert arrived(two, sent)
    assert one.events[so_far][2] > 0


async def test_a_peer_that_is_not_there_fails_the_shipping(
    nodes: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "PAUSE_SECONDS", 0.01)
    one, two = nodes
    assert one.snapshots is not None
    await two.stop()
    with pytest.raises(ShipFailed, match="does not reach node 2"):
        await shipper(one).ship(2, two.me.address, made(one.snapshots, 10), term=8)


async def test_a_snapshot_that_is_gone_fails_the_shipping(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    assert one.snapshots is not None
    sent = made(one.snapshots, 10)
    one.snapshots.delete(sent)
    with pytest.raises(ShipFailed, match="not in the folder any more"):
        await shipper(one).ship(2, two.me.address, sent, term=8)


async def test_an_unwanted_snapshot_is_refused_with_the_reason(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    assert one.snapshots is not None
    two.unwanted = "entry 2000 is applied here already"
    with pytest.raises(ShipRefused, match="entry 2000 is applied here already"):
        await shipper(one).ship(2, two.me.address, made(one.snapshots, 10), term=8)


async def test_a_node_of_another_cluster_ships_nothing(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    assert one.snapshots is not None
    pose(one, cluster=0xBAD)
    with pytest.raises(ShipRefused, match="node 1 belongs to cluster bad"):
        await shipper(one).ship(2, two.me.address, made(one.snapshots, 10), term=8)


async def test_a_snapshot_that_is_not_what_its_digest_says_is_refused(
    nodes: tuple[Node, Node],
) -> None:
    one, two = nodes
    assert one.snapshots is not None
    assert two.snapshots is not None
    sent = made(one.snapshots, MIB)
    sent.path.write_bytes(bytes(MIB))
    with pytest.raises(ShipRefused, match="does not match its digest"):
        await shipper(one).ship(2, two.me.address, sent, term=8)
    assert two.snapshots.newest() is None
    assert two.events == []


# What no sender of ours would do.

CONTENT = Random(5).randbytes(3000)


class Sender:
    """A stream of Ship, written by hand."""

    def __init__(self, node: Node, two: Node) -> None:
        self._node = node
        self._channel = channels.PLAIN.to(two.me.address)
        stub: Any = self._channel.stream_stream(
            shipping.SHIP,
            request_serializer=wire.SnapshotPart.SerializeToString,
            response_deserializer=wire.SnapshotAnswer.FromString,
        )
        self.call = stub()

    async def head(self, *, term: int = 8, digest: bytes = sha256(CONTENT).digest()) -> Any:
        head = wire.SnapshotHead(
            term=term, last_index=1000, last_term=7, size_bytes=len(CONTENT), digest=digest
        )
        await self.call.write(wire.SnapshotPart(hello=self._node.me.hello(2), head=head))
        return await self.call.read()

    async def part(self, first: int, last: int, *, crc: int | None = None) -> Any:
        data = CONTENT[first:last]
        crc = crc32c(data) if crc is None else crc
        await self.call.write(wire.SnapshotPart(offset=first, data=data, crc32c=crc))
        return await self.call.read()

    async def close(self) -> None:
        await self._channel.close()


async def test_a_damaged_chunk_ends_the_stream_and_nothing_of_it_is_kept(
    nodes: tuple[Node, Node],
) -> None:
    one, two = nodes
    sender = Sender(one, two)
    assert (await sender.head()).received_bytes == 0
    assert (await sender.part(0, 1000)).received_bytes == 1000
    with pytest.raises(grpc.aio.AioRpcError, match="the chunk at 1000 was damaged on its way"):
        await sender.part(1000, 2000, crc=1)
    assert await sender.call.code() == grpc.StatusCode.DATA_LOSS
    await sender.close()
    again = Sender(one, two)
    assert (await again.head()).received_bytes == 1000
    assert (await again.part(1000, 3000)).complete
    await again.close()


async def test_a_chunk_that_is_here_already_is_answered_with_how_much_is_here(
    nodes: tuple[Node, Node],
) -> None:
    one, two = nodes
    sender = Sender(one, two)
    await sender.head()
    await sender.part(0, 1000)
    assert (await sender.part(0, 1000)).received_bytes == 1000
    assert (await sender.part(1000, 3000)).complete
    await sender.close()


async def test_a_chunk_after_a_gap_ends_the_stream(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    sender = Sender(one, two)
    await sender.head()
    with pytest.raises(grpc.aio.AioRpcError, match="a chunk at 2000 has come, where 0 bytes"):
        await sender.part(2000, 3000)
    await sender.close()


async def test_a_second_stream_of_the_same_leader_takes_the_place_of_the_first(
    nodes: tuple[Node, Node],
) -> None:
    one, two = nodes
    first, second = Sender(one, two), Sender(one, two)
    await first.head()
    await first.part(0, 1000)
    assert (await second.head()).received_bytes == 1000
    assert (await second.part(1000, 3000)).complete
    await first.close()
    await second.close()
    assert [event[0] for event in two.events] == ["received"]


async def test_a_snapshot_waits_for_nobody_but_a_newer_leader(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    three, _ = pair()
    pose(three, node=3, identity="directory-3")
    first, other, newer = Sender(one, two), Sender(three, two), Sender(three, two)
    await first.head(term=8)
    await first.part(0, 1000)
    assert "a snapshot from node 1 is being received" in (await other.head(term=8)).refused
    assert (await newer.head(term=9, digest=bytes(32))).received_bytes == 0
    for sender in (first, other, newer):
        await sender.close()


async def test_a_stream_without_a_head_or_a_greeting_is_refused(nodes: tuple[Node, Node]) -> None:
    one, two = nodes
    sender = Sender(one, two)
    await sender.call.write(wire.SnapshotPart(hello=one.me.hello(2)))
    assert "does not say what snapshot" in (await sender.call.read()).refused
    await sender.close()
    stranger = Sender(one, two)
    assert "does not begin with a greeting" in (await stranger.part(0, 10)).refused
    await stranger.close()


# The bound on bandwidth, without time.


def test_bytes_are_spread_over_time() -> None:
    bandwidth = Bandwidth(1000)
    assert [bandwidth.wait(500, now=10.0) for _ in range(3)] == [0.0, 0.5, 1.0]


def test_an_idle_time_is_not_saved_up() -> None:
    bandwidth = Bandwidth(1000)
    assert bandwidth.wait(500, now=10.0) == 0.0
    assert [bandwidth.wait(500, now=99.0) for _ in range(2)] == [0.0, 0.5]


def test_no_bound_means_no_wait() -> None:
    assert [Bandwidth(0).wait(10**9, now=1.0) for _ in range(2)] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("bytes_per_second", "chunk_bytes"),
    [(0, 512 << 10), (100 << 20, 512 << 10), (1 << 20, 256 << 10), (1000, 16 << 10)],
)
def test_chunks_are_small_where_the_bandwidth_is(bytes_per_second: int, chunk_bytes: int) -> None:
    assert Bandwidth(bytes_per_second).chunk_bytes == chunk_bytes
