"""How a node finds a cluster: it asks who is there, and for a place among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc.aio

from raftsql.raft.messages import NodeId
from raftsql.rpc.peers import Me
from raftsql_proto import peers_pb2 as wire

INTRODUCE_SECONDS = 2.0
"""How long to wait for a node to say who it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """Who a node is, as it says itself."""

    cluster: int
    """0 while it belongs to none."""
    node: NodeId
    identity: str
    address: str
    fingerprint: str
    expects: int = 0
    """It waits to form a cluster of so many; 0 when it does not."""
    leader: str = ""
    """host:port of the leader, if it knows one."""

    def to_wire(self) -> wire.Introduction:
        """As it travels."""
        return wire.Introduction(
            cluster=self.cluster,
            node=self.node,
            identity=self.identity,
            address=self.address,
            fingerprint=self.fingerprint,
            expects=self.expects,
            leader=self.leader,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinAsked:
    """A node asks for a place, or tells where it is now."""

    cluster: int
    """0 when it will take any."""
    node: NodeId
    """The id it wants, or has; 0 when it takes what it is given."""
    identity: str
    address: str
    fingerprint: str
    learner: bool = False
    """It wants to stay one."""
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinAnswer:
    """Whether there is a place, and which; or who must be asked."""

    accepted: bool
    reason: str = ""
    cluster: int = 0
    leader: str = ""
    """Ask there: host:port."""
    node: NodeId = 0
    """The id of the node that asked."""

    def to_wire(self) -> wire.JoinReply:
        """As it travels."""
        return wire.JoinReply(
            accepted=self.accepted,
            reason=self.reason,
            cluster=self.cluster,
            leader=self.leader,
            node=self.node,
        )


def asked_from(request: wire.JoinRequest) -> JoinAsked:
    """What a node asks for."""
    hello = request.hello
    return JoinAsked(
        cluster=hello.cluster,
        node=hello.node,
        identity=hello.identity,
        address=hello.address,
        fingerprint=hello.fingerprint,
        learner=request.learner,
        priority=request.priority,
    )


async def introduce(address: str, me: Me) -> Introduction | None:
    """Who is at the address; None when nobody answers there."""
    async with me.roads.to(address) as channel:
        call: Any = channel.unary_unary(
            "/raftsql.v1.Peers/Introduce",
            request_serializer=wire.PeerHello.SerializeToString,
            response_deserializer=wire.Introduction.FromString,
        )
        try:
            found = await call(me.hello(0), timeout=INTRODUCE_SECONDS)
        except grpc.aio.AioRpcError:
            return None
    return Introduction(
        cluster=found.cluster,
        node=found.node,
        identity=found.identity,
        address=found.address,
        fingerprint=found.fingerprint,
        expects=found.expects,
        leader=found.leader,
    )


async def join(
    address: str,
    me: Me,
    *,
    seconds: float,
    learner: bool = False,
    priority: int = 0,
) -> JoinAnswer | None:
    """Ask the node at the address for a place; None when nobody answers there in time."""
    request = wire.JoinRequest(hello=me.hello(0), learner=learner, priority=priority)
    async with me.roads.to(address) as channel:
        call: Any = channel.unary_unary(
            "/raftsql.v1.Peers/Join",
            request_serializer=wire.JoinRequest.SerializeToString,
            response_deserializer=wire.JoinReply.FromString,
        )
        try:
            reply = await call(request, timeout=seconds)
        except grpc.aio.AioRpcError:
            return None
    return JoinAnswer(
        accepted=reply.accepted,
        reason=reply.reason,
        cluster=reply.cluster,
        leader=reply.leader,
        node=reply.node,
    )
