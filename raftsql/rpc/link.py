"""One peer: the stream to it, what waits for it, and what its silence means."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import Any, Protocol

import grpc.aio

from raftsql.raft.membership import Member
from raftsql.raft.messages import Append, Message, NodeId, VoteReply, VoteRequest
from raftsql.rpc import eager
from raftsql.rpc.breaks import StreamBroken, stream_breaks
from raftsql.rpc.channels import Reach, reach
from raftsql.rpc.codec import Encoder, joined
from raftsql.rpc.peers import Me, another_directory
from raftsql_proto import peers_pb2 as wire

log = logging.getLogger("raftsql.rpc")

DELIVER = "/raftsql.v1.Peers/Deliver"

WAITING_MAX = 1_024
"""Messages that wait for a peer. The core has at most 64 appends under way; the rest is small."""
WAITING_BYTES_MAX = 32 << 20
"""And their bytes: twice what the core lets be under way."""
WAITING_DOWN_MAX = 16
"""While there is no stream only the newest are worth sending when there is one."""
BATCH_BYTES_MAX = 2 << 20
"""A message is closed when it holds so much, so that none is too large to be handled in one go."""
PAUSE_SECONDS_MIN = 0.02
PAUSE_SECONDS_MAX = 1.0
STEADY_SECONDS = 1.0
"""A stream that lasted so long is opened again without a pause; one that always breaks is not."""
GREETING_SECONDS = 5.0
"""How long a peer may take to accept a stream."""

Call = grpc.aio.StreamStreamCall[bytes, wire.PeerVerdict]


class LinkEvents(Protocol):
    """What a link reports; always from the loop, never from inside `send`."""

    def unreachable(self, node: NodeId) -> None:
        """What was last sent to the peer may be lost."""

    def process_ended(self, node: NodeId) -> None:
        """The peer's address refuses connections: its process is not there any more."""

    def refused(self, node: NodeId, reason: str, *, removed: bool) -> None:
        """The peer does not want to hear this node; `removed` when it never will again."""


class Link:
    """The stream to one peer, opened again whenever it breaks."""

    def __init__(
        self,
        me: Me,
        node: NodeId,
        member: Member,
        on: LinkEvents,
        encoder: Encoder,
    ) -> None:
        """Start connecting."""
        self.member = member
        self._me = me
        self._node = node
        self._on = on
        self._encoder = encoder
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[bytes, Message]] = deque()
        self._waiting_bytes = 0
        """Of what is in `_waiting`."""
        self._call: Call | None = None
        """The stream, while the peer listens to it."""
        self._writing = False
        self._loss_is_told = False
        self._end_is_told = False
        self._refusal = ""
        """The last one reported: it is reported once, not at each attempt."""
        self._hurry = asyncio.Event()
        self._empty = asyncio.Event()
        self._task = self._loop.create_task(self._run(), name=f"link to node {node}")
        self._task.add_done_callback(_say_if_it_failed)

    # What is to be sent.

    def put(self, message: Message) -> None:
        """Let it go with the next `flush`."""
        encoded = self._encoder.encode(message)
        self._waiting.append((encoded, message))
        self._waiting_bytes += len(encoded)
        most = WAITING_MAX if self._call is not None else WAITING_DOWN_MAX
        if len(self._waiting) > most or self._waiting_bytes > WAITING_BYTES_MAX:
            self._make_room(most)

    def flush(self) -> None:
        """Send what waits, unless a write is under way: then it goes right after."""
        call = self._call
        if call is None or self._writing or not self._waiting:
            return
        self._writing = True
        eager.start(call.write(self._batch()), lambda error: self._written(call, error))

    def _written(self, call: Call, error: BaseException | None) -> None:
        if call is not self._call:
            return  # It is over; another one may be open already.
        self._writing = False
        if error is None:
            self.flush()
            self._note_empty()
        # Else the stream has broken, and whoever reads it learns so too and opens another.

    def _batch(self) -> bytes:
        """All that waits, as far as it goes into one message."""
        waiting = self._waiting
        if self._waiting_bytes <= BATCH_BYTES_MAX:
            batch = [encoded for encoded, _ in waiting]
            waiting.clear()
            self._waiting_bytes = 0
        else:
            batch, size = [], 0
            while waiting and (not batch or size + len(waiting[0][0]) <= BATCH_BYTES_MAX):
                batch.append(waiting.popleft()[0])
                size += len(batch[-1])
            self._waiting_bytes -= size
        return joined(batch)

    def _make_room(self, count_max: int) -> None:
        """Drop the oldest half, but no votes: they are few, and an election waits for them."""
        waiting, kept = self._waiting, deque[tuple[bytes, Message]]()
        count, size = len(waiting), self._waiting_bytes
        newest = waiting[-1]
        for item in waiting:
            encoded, message = item
            full = count > count_max // 2 or size > WAITING_BYTES_MAX // 2
            vote = isinstance(message, VoteRequest | VoteReply) and len(kept) < count_max
            if not full or vote or item is newest:
                kept.append(item)
                continue
            count, size = count - 1, size - len(encoded)
            if isinstance(message, Append):
                self._lost()
        self._waiting, self._waiting_bytes = kept, size

    def _lost(self) -> None:
        """Tell the core that the peer may have missed something: soon, and once for many."""
        if not self._loss_is_told:
            self._loss_is_told = True
            self._loop.call_soon(self._tell_loss)

    def _tell_loss(self) -> None:
        self._loss_is_told = False
        if not self._task.done():
            self._on.unreachable(self._node)

    # The stream.

    def member_changed(self, member: Member) -> None:
        """The peer may have moved."""
        moved = member.address != self.member.address
        self.member = member
        if moved:
            self.reconnect()
            if self._call is not None:
                self._call.cancel()

    def reconnect(self) -> None:
        """Don't wait for the next attempt: there is a reason to think that it will succeed."""
        self._end_is_told = False
        self._hurry.set()

    async def close(self) -> None:
        """End the stream; what still waits is lost."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def drained(self) -> None:
        """When all that waits has left, or can't leave."""
        self._empty.clear()
        self._note_empty()
        await self._empty.wait()

    def _note_empty(self) -> None:
        if self._call is None or not (self._writing or self._waiting):
            self._empty.set()

    async def _run(self) -> None:
        pause = 0.0
        while True:
            self._hurry.clear()
            listened_seconds = await self._connection()
            if listened_seconds > 0:
                self._lost()
            if listened_seconds >= STEADY_SECONDS:
                pause = 0.0  # To see at once whether its process is gone.
                continue
            pause = min(max(2 * pause, PAUSE_SECONDS_MIN), PAUSE_SECONDS_MAX)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), pause)

    async def _connection(self) -> float:
        """The life of one connection; for how long the peer listened."""
        address = self.member.address
        match await reach(self._me.roads.place(address)):
            case Reach.REFUSED:
                self._ended()
                return 0.0
            case Reach.UNKNOWN:
                return 0.0
        channel = self._me.roads.to(address)
        try:
            return await self._converse(channel)
        finally:
            self._call, self._writing = None, False
            self._note_empty()
            await channel.close()

    def _ended(self) -> None:
        if not self._end_is_told:
            self._end_is_told = True
            self._on.process_ended(self._node)

    async def _converse(self, channel: grpc.aio.Channel) -> float:
        """Greet, then write what there is until the stream ends; for how long that was."""
        deliver: Any = channel.stream_stream(
            DELIVER, response_deserializer=wire.PeerVerdict.FromString
        )
        call: Call = deliver()
        if not await self._greet(call):
            return 0.0
        since = self._loop.time()
        self._end_is_told, self._refusal = False, ""
        self._call = call
        self.flush()
        with contextlib.suppress(StreamBroken), stream_breaks():
            last = await call.read()
            if isinstance(last, wire.PeerVerdict):
                self._refused(last.reason, removed=last.removed)
        self._waiting.clear()
        self._waiting_bytes = 0
        return self._loop.time() - since

    async def _greet(self, call: Call) -> bool:
        hello = wire.PeerBatch(hello=self._me.hello(self._node))
        try:
            with stream_breaks():
                async with asyncio.timeout(GREETING_SECONDS):
                    await call.write(hello.SerializeToString())
                    verdict = await call.read()
        except StreamBroken:
            return False
        if not isinstance(verdict, wire.PeerVerdict):
            return False
        if not verdict.accepted:
            self._refused(verdict.reason, removed=verdict.removed)
            return False
        if self.member.identity != verdict.identity:
            self._refused(another_directory(self._node), removed=False)
            return False
        return True

    def _refused(self, reason: str, *, removed: bool) -> None:
        if reason != self._refusal:
            self._refusal = reason
            self._on.refused(self._node, reason, removed=removed)


def _say_if_it_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("the %s has stopped: %s", task.get_name(), error, exc_info=error)
