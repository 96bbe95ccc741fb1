"""The incoming half: what peers say to this node, once it is clear that they may."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Protocol

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from raftsql.raft.membership import Member, Membership
from raftsql.raft.messages import Envelope, NodeId
from raftsql.rpc.codec import Undecodable, decode
from raftsql.rpc.joining import Introduction, JoinAnswer, JoinAsked, asked_from
from raftsql.rpc.peers import Me, Unwelcome, incompatible, removed_for_good, unwelcome
from raftsql.rpc.receiving import SnapshotReceiver
from raftsql.rpc.sibling_service import SiblingService
from raftsql_proto import peers_pb2 as wire

log = logging.getLogger("raftsql.rpc")

Context = grpc.aio.ServicerContext[Any, Any]


class PeerEvents(Protocol):
    """Whom the service tells and asks. All but `join` are called in the loop and don't wait."""

    def membership(self) -> Membership:
        """The committed membership: nobody is turned away on a change that may be taken back."""

    def deliver(self, envelopes: list[Envelope]) -> None:
        """Messages from a peer, in the order it sent them."""

    def greeted(self, node: NodeId, peer: Member, version: str) -> None:
        """A peer has opened a stream: it lives, can be called back where it says, and runs this."""

    def introduce(self) -> Introduction:
        """Who this node is, and what it waits for."""

    def join(self, asked: JoinAsked) -> Awaitable[JoinAnswer]:
        """A node asks for a place in the cluster."""


class PeerService:
    """Deliver, Ship, Introduce and Join. `me` may be replaced when the node gets its place."""

    def __init__(self, me: Me, on: PeerEvents, *, allow_fingerprint: str = "") -> None:
        """Without a place for snapshots, until the node has one."""
        self.me = me
        self.receiver: SnapshotReceiver | None = None
        """Takes in snapshots, once the node has a place for them."""
        self.siblings: SiblingService | None = None
        """Answers what is asked beside the log, once the node runs."""
        self._on = on
        self.allow_fingerprint = allow_fingerprint
        """One other that is let in, for the time of an upgrade."""

    async def deliver(self, _: object, context: Context) -> None:
        """A peer's stream, from its greeting to its end."""
        hello = _hello(await context.read())
        refusal = self.unwelcome(hello)
        if hello is None or refusal is not None:
            await context.write(_verdict(self.me, refusal))
            return
        source = hello.node
        await context.write(wire.PeerVerdict(accepted=True, identity=self.me.identity))
        self._on.greeted(source, Member(hello.address, hello.identity), hello.version)
        refusal = await self._listen(source, context)
        if refusal is not None:
            log.warning("the stream of node %s is closed: %s", source, refusal.reason)
            await context.write(_verdict(self.me, refusal))

    def unwelcome(self, hello: wire.PeerHello | None) -> Unwelcome | None:
        """Why this greeting is refused, or None."""
        if hello is None:
            return Unwelcome("the stream does not begin with a greeting")
        return unwelcome(
            hello, self.me, self._on.membership(), allow_fingerprint=self.allow_fingerprint
        )

    async def _listen(self, source: NodeId, context: Context) -> Unwelcome | None:
        """Hand on what comes until the stream ends, or must."""
        cluster, target = self.me.cluster, self.me.node
        while True:
            data = await context.read()
            if not isinstance(data, bytes):
                return None
            if source in self._on.membership().removed:
                return Unwelcome(removed_for_good(source), removed=True)
            try:
                envelopes = decode(data, cluster=cluster, source=source, target=target)
            except Undecodable as error:
                return Unwelcome(str(error))
            self._on.deliver(envelopes)

    async def ship(self, request: object, context: Context) -> None:
        """A snapshot on its way in."""
        if self.receiver is None:
            reason = f"the node at {self.me.address} has no place for snapshots yet"
            await context.write(wire.SnapshotAnswer(refused=reason))
            return
        await self.receiver.ship(request, context)

    async def checksum(self, request: wire.ChecksumRequest, context: Context) -> wire.ChecksumReply:
        """This node's sum of a moment."""
        if self.siblings is None:
            return wire.ChecksumReply(problem=self._not_running())
        return await self.siblings.checksum(request, context)

    async def hold(self, request: wire.HoldRequest, context: Context) -> wire.HoldReply:
        """Fetch a file that is to be restored."""
        if self.siblings is None:
            return wire.HoldReply(problem=self._not_running())
        return await self.siblings.hold(request, context)

    async def fetch(
        self, request: wire.FetchRequest, context: Context
    ) -> AsyncIterator[wire.FetchPart]:
        """Give a file that is to be restored."""
        if self.siblings is None:
            yield wire.FetchPart(problem=self._not_running())
            return
        async for part in self.siblings.fetch(request, context):
            yield part

    def _not_running(self) -> str:
        return f"the node at {self.me.address} is not running yet"

    async def introduce(self, _: wire.PeerHello, context: Context) -> wire.Introduction:
        """Who is here."""
        return self._on.introduce().to_wire()

    async def join(self, request: wire.JoinRequest, context: Context) -> wire.JoinReply:
        """A node asks for a place."""
        refusal = incompatible(request.hello, self.me, self.allow_fingerprint)
        if refusal is not None:
            return JoinAnswer(accepted=False, reason=refusal.reason).to_wire()
        return (await self._on.join(asked_from(request))).to_wire()


def _hello(data: Any) -> wire.PeerHello | None:
    if not isinstance(data, bytes):
        return None
    try:
        batch = wire.PeerBatch.FromString(data)
    except DecodeError:
        return None
    return batch.hello if batch.HasField("hello") else None


def _verdict(me: Me, refusal: Unwelcome | None) -> wire.PeerVerdict:
    assert refusal is not None, "who is refused is told why"
    return wire.PeerVerdict(
        accepted=False, reason=refusal.reason, removed=refusal.removed, identity=me.identity
    )


def add_to(server: grpc.aio.Server, service: PeerService) -> None:
    """Let the server answer peers. What streams bring stays bytes until it is clear who sends."""
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "Deliver": grpc.stream_stream_rpc_method_handler(
            service.deliver, response_serializer=wire.PeerVerdict.SerializeToString
        ),
        "Ship": grpc.stream_stream_rpc_method_handler(
            service.ship, response_serializer=wire.SnapshotAnswer.SerializeToString
        ),
        "Checksum": grpc.unary_unary_rpc_method_handler(
            service.checksum,
            request_deserializer=wire.ChecksumRequest.FromString,
            response_serializer=wire.ChecksumReply.SerializeToString,
        ),
        "Hold": grpc.unary_unary_rpc_method_handler(
            service.hold,
            request_deserializer=wire.HoldRequest.FromString,
            response_serializer=wire.HoldReply.SerializeToString,
        ),
        "Fetch": grpc.unary_stream_rpc_method_handler(
            service.fetch,
            request_deserializer=wire.FetchRequest.FromString,
            response_serializer=wire.FetchPart.SerializeToString,
        ),
        "Introduce": grpc.unary_unary_rpc_method_handler(
            service.introduce,
            request_deserializer=wire.PeerHello.FromString,
            response_serializer=wire.Introduction.SerializeToString,
        ),
        "Join": grpc.unary_unary_rpc_method_handler(
            service.join,
            request_deserializer=wire.JoinRequest.FromString,
            response_serializer=wire.JoinReply.SerializeToString,
        ),
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("raftsql.v1.Peers", handlers),)
    )
