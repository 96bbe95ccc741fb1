"""Passing requests on to the leader, for clients of a node that is not.

A node is then a client of the leader: one stream for all its own clients, whose requests get
numbers of this stream and get their own back with the answer. Who gives a request up gives it up at
the leader too. A request that was under way when the stream broke, or when the leader fell silent,
may have happened, so its client is told that nobody knows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import grpc
import msgspec

from raftsql.raft.messages import NOBODY, NodeId
from raftsql.rpc.breaks import StreamBroken, stream_breaks
from raftsql.rpc.channels import PLAIN, Roads
from raftsql.sql.commands import Why
from raftsql_proto import client_pb2, frames
from raftsql_proto.client_pb2_grpc import ClientStub

if TYPE_CHECKING:
    from raftsql.rpc.client_stream import ClientStream

log = logging.getLogger("raftsql.rpc")

PENDING_MAX = 16_384
"""Requests that may wait for the leader's answers: as many as it takes of one stream."""

Numbered = frames.Run | frames.Commit | frames.Rollback | frames.OpenSession | frames.Fetch
Forwardable = Numbered | frames.Cancel


class Upstream:
    """A stream to one leader; a new one is made for each leader."""

    def __init__(
        self,
        address: str,
        lost: Callable[[Upstream], None],
        roads: Roads = PLAIN,
        token: Callable[[], str] = str,
        node: NodeId = NOBODY,
    ) -> None:
        """`lost` is called when the stream has ended; `node` is the one that passes on."""
        self.address = address
        self._roads = roads
        self._token = token
        self._node = node
        self._lost = lost
        self._waiting: list[Forwardable | frames.Release] = []
        self._numbers: dict[tuple[int, int], int] = {}
        """This stream's number of each client's request that waits for an answer."""
        self._ready = asyncio.Event()
        self._pending: dict[int, tuple[ClientStream, int]] = {}
        self._transactions: dict[tuple[int, int], int] = {}
        """This stream's number of each client's transaction."""
        self._within: dict[int, int] = {}
        """By a statement that waits for an answer, the transaction that it is a part of."""
        self._number = 0
        self.lives = True
        """Whether the stream has not ended, and what the leader holds for it is still there."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def forward(self, frame: Forwardable, client: ClientStream) -> None:
        """Send a client's request on under a number of this stream."""
        if isinstance(frame, frames.Cancel):
            self._cancel(frame.id, client)
            return
        if frame.id and len(self._pending) >= PENDING_MAX:
            client.refuse(frame.id, Why.OVERLOADED, "too many requests wait for the leader")
            return
        self._number += 1
        if frame.id:
            self._pending[self._number] = (client, frame.id)
            self._numbers[id(client), frame.id] = self._number
        changes: dict[str, int] = {"id": self._number}
        if not isinstance(frame, frames.OpenSession | frames.Fetch) and frame.transaction:
            key = (id(client), frame.transaction)
            changes["transaction"] = self._transactions.setdefault(key, self._number)
            if not isinstance(frame, frames.Run):
                self._transactions.pop(key, None)
            elif frame.id:
                self._within[self._number] = changes["transaction"]
        self._waiting.append(msgspec.structs.replace(frame, **changes))
        self._ready.set()

    def _cancel(self, request: int, client: ClientStream) -> None:
        number = self._numbers.get((id(client), request))
        if number is not None:
            self._waiting.append(frames.Cancel(number))
            self._ready.set()

    def release(self, cursor: int) -> None:
        """The rest of a result that the leader holds is not wanted."""
        if self.lives:
            self._waiting.append(frames.Release(cursor))
            self._ready.set()

    async def _run(self) -> None:
        try:
            with stream_breaks():
                await self._converse()
        except (StreamBroken, asyncio.CancelledError, msgspec.MsgspecError) as error:
            log.debug("the stream to the leader at %s ended: %r", self.address, error)
        finally:
            self.lives = False
            self._lost(self)
            self._give_up("the connection to the leader was lost meanwhile")

    def doubt(self) -> None:
        """The leader is not heard any more, though the stream has not broken: whoever waits may
        ask another node, which perhaps hears it. The stream stays, and transactions of which nobody
        waits for anything; the others are over for their clients, and so they must be there."""
        over = set(self._within.values())
        for number in over:
            self._waiting.append(frames.Rollback(0, number))
            self._ready.set()
        self._transactions = {k: n for k, n in self._transactions.items() if n not in over}
        self._give_up("this node does not hear the leader any more")

    def _give_up(self, reason: str) -> None:
        pending, self._pending = self._pending, {}
        self._numbers.clear()
        self._within.clear()
        for client, request in pending.values():
            client.refuse(request, Why.UNKNOWN, reason)

    async def _converse(self) -> None:
        async with self._roads.to(self.address) as channel:
            call = ClientStub(channel).Connect()
            hello = frames.Hello(
                frames.PROTOCOL,
                "a node of the cluster",
                self._token(),
                forwarded=True,
                node=self._node,
            )
            await call.write(client_pb2.Frames(batch=frames.encode([hello])))
            writer = asyncio.create_task(self._write(call))
            try:
                while (message := await call.read()) is not grpc.aio.EOF:
                    for frame in frames.decode_server_frames(message.batch):
                        self._answer(frame)
            finally:
                writer.cancel()

    async def _write(
        self, call: grpc.aio.StreamStreamCall[client_pb2.Frames, client_pb2.Frames]
    ) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            waiting, self._waiting = self._waiting, []
            await call.write(client_pb2.Frames(batch=frames.encode(waiting)))

    def _answer(self, frame: frames.ServerFrame) -> None:
        if isinstance(frame, frames.Welcome | frames.Leader):
            return
        client, request = self._pending.pop(frame.id, (None, 0))
        self._within.pop(frame.id, None)
        if client is not None:
            self._numbers.pop((id(client), request), None)
            client.pass_back(request, msgspec.structs.replace(frame, id=request), self)

    def close(self) -> None:
        """End the stream."""
        self._task.cancel()
