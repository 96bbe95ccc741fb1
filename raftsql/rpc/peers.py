"""Who a node is to its peers, and whom it lets in.

A stream between nodes opens with a greeting. The one who is greeted checks it before anything else
is read: a node of another cluster, with another SQLite, of another protocol, or on an emptied disk
must not be heard at all. The refusal says what to do about it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from raftsql.raft.membership import Membership
from raftsql.raft.messages import NodeId
from raftsql.rpc.channels import PLAIN, Roads
from raftsql_proto import peers_pb2 as wire

PROTOCOL = 1
"""The version of what peers say to each other. Nodes of different versions don't talk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """A node, as it introduces itself. `cluster` and `node` are 0 before it belongs to one."""

    cluster: int
    node: NodeId
    identity: str
    """Names the data directory."""
    fingerprint: str
    """Names everything that could make SQL mean something else here than on another node."""
    address: str
    version: str = ""
    """Its release, for people."""
    roads: Roads = field(default=PLAIN, repr=False, compare=False)
    """How it reaches the others."""

    def hello(self, target: NodeId) -> wire.PeerHello:
        """The greeting to one peer; 0 when it is not known who is there."""
        return wire.PeerHello(
            protocol=PROTOCOL,
            cluster=self.cluster,
            node=self.node,
            identity=self.identity,
            fingerprint=self.fingerprint,
            address=self.address,
            target=target,
            version=self.version,
        )


@dataclass(frozen=True, slots=True)
class Unwelcome:
    """Why a greeting was refused; `removed` when the id was taken out of the cluster for good."""

    reason: str
    removed: bool = False


def unwelcome(
    hello: wire.PeerHello, me: Me, membership: Membership, *, allow_fingerprint: str = ""
) -> Unwelcome | None:
    """Why the sender of this greeting may not be heard, or None.

    An unknown id is welcome: a node that lags, or is new itself, must hear members that it does
    not know yet.
    """
    if (refusal := _protocol(hello, me)) is not None:
        return refusal
    if me.cluster == 0:
        return Unwelcome(f"the node at {me.address} belongs to no cluster yet")
    if hello.cluster != me.cluster:
        return Unwelcome(
            f"node {hello.node} belongs to cluster {hello.cluster:x}, node {me.node} to cluster"
            f" {me.cluster:x}: one of them was started with the wrong address or data directory"
        )
    if hello.target != me.node:
        return Unwelcome(
            f"node {hello.target} was expected at this address, here is node {me.node}:"
            " correct the member's address"
        )
    return _stranger(hello, membership) or _differs(hello, me, allow_fingerprint)


def incompatible(hello: wire.PeerHello, me: Me, allow_fingerprint: str) -> Unwelcome | None:
    """Why the sender could not work with this node, whoever it is; or None."""
    return _protocol(hello, me) or _differs(hello, me, allow_fingerprint)


def _protocol(hello: wire.PeerHello, me: Me) -> Unwelcome | None:
    if hello.protocol == PROTOCOL:
        return None
    return Unwelcome(
        f"node {hello.node} speaks protocol {hello.protocol}, node {me.node} speaks {PROTOCOL}:"
        " run releases on both that speak the same"
    )


def _stranger(hello: wire.PeerHello, membership: Membership) -> Unwelcome | None:
    if hello.node in membership.removed:
        return Unwelcome(removed_for_good(hello.node), removed=True)
    member = membership.members.get(hello.node)
    if member is not None and member.identity != hello.identity:
        return Unwelcome(another_directory(hello.node))
    return None


def _differs(hello: wire.PeerHello, me: Me, allowed: str) -> Unwelcome | None:
    if hello.fingerprint in (me.fingerprint, allowed):
        return None
    release = f" ({hello.version})" if hello.version else ""
    return Unwelcome(
        f"node {hello.node}{release} runs SQL with {hello.fingerprint!r}, node {me.node} with"
        f" {me.fingerprint!r}: their data could come to differ. Install the same versions, or, for"
        f" the time of an upgrade, allow it by allow_fingerprint on both"
    )


def removed_for_good(node: NodeId) -> str:
    """What a removed node is told."""
    return (
        f"node {node} was removed from the cluster, and its id can't be used again: join with an"
        " empty data directory and a new id"
    )


def another_directory(node: NodeId) -> str:
    """What a node is told that came back under its id without what it had promised."""
    return (
        f"node {node} is known with another data directory. If its disk was lost, remove the node"
        " and let it join with an empty data directory and a new id; else start it with the"
        " directory it had"
    )
