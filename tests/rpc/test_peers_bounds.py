"""What waits for a peer that does not listen is bounded, and the core hears of what is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import grpc
import pytest

from raftsql.raft import messages as m
from raftsql.rpc import channels, link
from raftsql.rpc.links import Links
from raftsql_proto import peers_pb2 as wire
from tests.rpc.net import Node, pair, to_2

MIB = 1 << 20
PAYLOAD = bytes(MIB)


class Deaf:
    """A peer that accepts a stream and reads nothing until it is told to."""

    def __init__(self, two: Node) -> None:
        self.two = two
        self.accepted = asyncio.Event()
        self.listens = asyncio.Event()
        self.batches: list[wire.PeerBatch] = []
        self.server = channels.server()

    async def start(self) -> None:
        handler = grpc.stream_stream_rpc_method_handler(
            self._deliver,
            request_deserializer=wire.PeerBatch.FromString,
            response_serializer=wire.PeerVerdict.SerializeToString,
        )
        self.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("raftsql.v1.Peers", {"Deliver": handler}),)
        )
        channels.listen(self.server, self.two.me.address)
        await self.server.start()

    async def _deliver(self, _: object, context: Any) -> None:
        await context.read()
        await context.write(wire.PeerVerdict(accepted=True, identity=self.two.me.identity))
        await context.read()
        self.accepted.set()  # What was just read shows that the sender has heard the verdict.
        await self.listens.wait()
        while isinstance(batch := await context.read(), wire.PeerBatch):
            self.batches.append(batch)
            self.two._note("batch")


@pytest.fixture
async def deaf() -> AsyncIterator[tuple[Node, Deaf, Links]]:
    """Node 1, connected to a peer that reads nothing."""
    one, two = pair()
    peer = Deaf(two)
    await peer.start()
    links = one.links()
    links.send(to_2(m.TimeoutNow(1)))
    await asyncio.wait_for(peer.accepted.wait(), 20)
    yield one, peer, links
    peer.listens.set()
    await links.close()
    await peer.server.stop(None)


def append(index: int) -> m.Append:
    entry = m.Entry(1, index + 1, m.EntryKind.COMMAND, PAYLOAD)
    return m.Append(1, m.Position(index, 1), [entry], 0, 0)


VOTE = m.VoteRequest(5, m.ORIGIN, pre=True, forced=False)


async def test_what_waits_for_a_slow_reader_is_bounded_in_bytes(
    deaf: tuple[Node, Deaf, Links],
) -> None:
    one, peer, links = deaf
    links.send(to_2(append(0), VOTE))
    for index in range(1, 100):
        links.send(to_2(append(index)))
        assert links._links[2]._waiting_bytes <= link.WAITING_BYTES_MAX
    assert one.events == []  # Nothing is reported from inside `send`.
    await one.until_event("unreachable", 2)
    assert one.events == [("unreachable", 2)]
    peer.listens.set()
    await peer.two.until(
        lambda: any(
            message.append.prev_index == 99 for batch in peer.batches for message in batch.messages
        )
    )
    kinds = [message.WhichOneof("kind") for batch in peer.batches for message in batch.messages]
    assert kinds.count("vote_request") == 1  # Votes are not dropped.
    assert 16 <= kinds.count("append") < 99
    assert all(batch.ByteSize() <= link.BATCH_BYTES_MAX + MIB for batch in peer.batches)


async def test_what_waits_for_a_slow_reader_is_bounded_in_number(
    deaf: tuple[Node, Deaf, Links],
) -> None:
    one, _, links = deaf
    links.send(to_2(*[append(index) for index in range(8)]))
    for probe in range(5_000):
        links.send(to_2(m.Heartbeat(1, 0, probe)))
        assert len(links._links[2]._waiting) <= link.WAITING_MAX
    newest = links._links[2]._waiting[-1][1]
    assert newest == m.Heartbeat(1, 0, 4_999)
    await one.until_event("unreachable", 2)


async def test_while_there_is_no_stream_only_the_newest_and_votes_wait() -> None:
    one, _ = pair()
    links = one.links()
    links.send(to_2(VOTE, *[m.Heartbeat(1, 0, probe) for probe in range(100)]))
    waiting = [message for _, message in links._links[2]._waiting]
    assert len(waiting) <= link.WAITING_DOWN_MAX
    assert waiting[0] == VOTE
    assert waiting[-1] == m.Heartbeat(1, 0, 99)
    await links.close()


async def test_votes_alone_do_not_break_the_bound() -> None:
    one, _ = pair()
    links = one.links()
    links.send(to_2(*[VOTE] * 100))
    assert len(links._links[2]._waiting) <= link.WAITING_DOWN_MAX + 1
    await links.close()


async def test_an_entry_larger_than_the_bound_still_goes(deaf: tuple[Node, Deaf, Links]) -> None:
    one, peer, links = deaf
    entry = m.Entry(1, 1, m.EntryKind.COMMAND, bytes(link.WAITING_BYTES_MAX + MIB))
    links.send(to_2(append(0)))
    links.send(to_2(m.Append(1, m.ORIGIN, [entry], 0, 0)))
    peer.listens.set()
    await peer.two.until(lambda: sum(len(batch.messages) for batch in peer.batches) == 2)
    assert one.events == []


async def test_a_stream_that_breaks_whenever_it_opens_is_not_opened_in_a_hot_loop() -> None:
    one, two = pair()
    opened = asyncio.Queue[float]()
    loop = asyncio.get_running_loop()

    async def accept_and_end(_: object, context: Any) -> None:
        await context.read()
        await context.write(wire.PeerVerdict(accepted=True, identity=two.me.identity))
        opened.put_nowait(loop.time())

    handler = grpc.stream_stream_rpc_method_handler(
        accept_and_end, response_serializer=wire.PeerVerdict.SerializeToString
    )
    server = channels.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("raftsql.v1.Peers", {"Deliver": handler}),)
    )
    channels.listen(server, two.me.address)
    await server.start()
    links = one.links()
    times = [await asyncio.wait_for(opened.get(), 20) for _ in range(5)]
    pauses = [link.PAUSE_SECONDS_MIN * 2**attempt for attempt in range(4)]
    await links.close()
    await server.stop(None)
    waited = [later - earlier for earlier, later in pairwise(times)]
    assert all(seconds >= pause for seconds, pause in zip(waited, pauses, strict=True))
