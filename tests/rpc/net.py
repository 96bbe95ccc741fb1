"""Nodes that are nothing but their connections, on loopback ports, for tests.

What happens to a node is written down as it happens; `until` waits for it without sleeping.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import grpc.aio

from raftsql.raft import messages as m
from raftsql.raft.membership import Member, Membership
from raftsql.rpc import channels
from raftsql.rpc.joining import Introduction, JoinAnswer, JoinAsked
from raftsql.rpc.links import Links
from raftsql.rpc.peer_service import PeerService, add_to
from raftsql.rpc.peers import Me
from raftsql.rpc.receiving import SnapshotReceiver
from raftsql.storage.snapshots import Snapshots

CLUSTER = 0xC1


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def me(node: int, port: int) -> Me:
    return Me(
        cluster=CLUSTER,
        node=node,
        identity=f"directory-{node}",
        fingerprint="sqlite-1",
        address=f"127.0.0.1:{port}",
        version=f"0.{node}",
    )


@dataclass
class Node:
    """One node's half of each connection, and what it has seen."""

    me: Me
    members: Membership
    allow_fingerprint: str = ""
    snapshots: Snapshots | None = None
    unwanted: str = ""
    """Why it wants no snapshot."""
    received: list[m.Message] = field(default_factory=list)
    events: list[tuple[object, ...]] = field(default_factory=list)
    _happened: asyncio.Condition = field(default_factory=asyncio.Condition)
    _server: grpc.aio.Server | None = None
    _receiver: SnapshotReceiver | None = None

    # What the links and the service call.

    def membership(self) -> Membership:
        return self.members

    def deliver(self, envelopes: list[m.Envelope]) -> None:
        self.received += [envelope.message for envelope in envelopes]
        self._note("delivered", len(envelopes))

    def greeted(self, node: int, peer: object, version: str) -> None:
        self._note("greeted", node, version)

    def unreachable(self, node: int) -> None:
        self._note("unreachable", node)

    def process_ended(self, node: int) -> None:
        self._note("process ended", node)

    def refused(self, node: int, reason: str, *, removed: bool) -> None:
        self._note("refused", node, reason, removed)

    def snapshot_progressed(self, node: int, received_bytes: int, size_bytes: int) -> None:
        self._note("progressed", node, received_bytes, size_bytes)

    def snapshot_unwanted(self, meta: m.SnapshotMeta, term: int) -> str:
        return self.unwanted

    def snapshot_received(self, meta: m.SnapshotMeta, term: int, source: int) -> None:
        self._note("received", meta, term, source)

    def introduce(self) -> Introduction:
        me = self.me
        return Introduction(
            cluster=me.cluster, node=me.node, identity=me.identity, address=me.address,
            fingerprint=me.fingerprint, expects=3, leader="somewhere:1",
        )  # fmt: skip

    async def join(self, asked: JoinAsked) -> JoinAnswer:
        self._note("asked", asked)
        return JoinAnswer(accepted=True, cluster=self.me.cluster, node=9)

    def _note(self, *event: object) -> None:
        self.events.append(event)
        asyncio.ensure_future(self._tell())  # noqa: RUF006 - it ends at once

    async def _tell(self) -> None:
        async with self._happened:
            self._happened.notify_all()

    # What tests call.

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(20), self._happened:
            await self._happened.wait_for(happened)

    async def until_event(self, *event: object) -> None:
        await self.until(lambda: any(seen[: len(event)] == event for seen in self.events))

    async def start(self) -> None:
        self._server = channels.server()
        service = PeerService(self.me, self, allow_fingerprint=self.allow_fingerprint)
        if self.snapshots is not None:
            self._receiver = SnapshotReceiver(service.unwelcome, self.snapshots, self)
            service.receiver = self._receiver
        add_to(self._server, service)
        channels.listen(self._server, self.me.address)
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None
        if self._receiver is not None:
            await self._receiver.close()
            self._receiver = None

    def links(self) -> Links:
        links = Links(self.me, self)
        links.membership_changed(self.members)
        return links


def pair() -> tuple[Node, Node]:
    """Two members of one cluster; neither listens yet."""
    known = {n: me(n, free_port()) for n in (1, 2)}
    members = Membership({n: Member(k.address, k.identity) for n, k in known.items()})
    return Node(known[1], members), Node(known[2], members)


def pose(posing: Node, /, **changes: object) -> None:
    """Let a node introduce itself as another."""
    posing.me = replace(posing.me, **changes)  # type: ignore[arg-type]


def to_2(*messages: m.Message) -> list[m.Envelope]:
    return [m.Envelope(CLUSTER, 1, 2, message) for message in messages]
