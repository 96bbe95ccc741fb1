"""Snapshots for peers: taken when wanted, shipped once, and removed when nobody needs them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from raftsql.raft.membership import AddMember, Member, Membership
from raftsql.raft.messages import SnapshotMeta
from raftsql.rpc.admin_service import changed
from raftsql.rpc.peers import Me
from raftsql.server.supply import Supply
from raftsql.storage.files import RealFiles
from raftsql.storage.snapshots import Snapshots
from tests.operations.nodes import rows
from tests.operations.solo import Solo
from tests.rpc.net import CLUSTER, Node, free_port
from tests.rpc.net import me as someone

BYTES_PER_SECOND = 1 << 30


class World:
    """A leader with a database; a second node that listens and can receive."""

    def __init__(self, solo: Solo, peer: Node, me: Me) -> None:
        self.solo = solo
        self.peer = peer
        self.supply = Supply(solo.runner, me, peer, BYTES_PER_SECOND)

    @property
    def folder(self) -> Snapshots:
        return self.solo.runner.stores.snapshots

    async def delivered(self) -> SnapshotMeta:
        await self.peer.until_event("received")
        event = next(event for event in self.peer.events if event[0] == "received")
        assert isinstance(event[1], SnapshotMeta)
        return event[1]

    async def shipped(self) -> None:
        """Until nothing is on its way any more."""
        async with asyncio.timeout(20):
            while self.supply.under_way:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async def tidied(self) -> None:
        """Until the copy is deleted, which a thread does."""
        folder = self.solo.runner.stores.snapshots._folder
        async with asyncio.timeout(20):
            while any(folder.iterdir()):  # noqa: ASYNC110
                await asyncio.sleep(0.001)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    there = someone(2, free_port())
    me = Me(cluster=CLUSTER, node=1, identity="solo", fingerprint="sqlite-1", address="h:1")
    members = Membership({1: Member("h:1", "solo"), 2: Member(there.address, there.identity)})
    peer = Node(there, members, snapshots=Snapshots.open(tmp_path / "peer", RealFiles()))
    await peer.start()
    async with Solo(tmp_path / "solo") as solo:
        await solo.sql("CREATE TABLE t(v)")
        await solo.sql("INSERT INTO t VALUES (41)")
        change = AddMember(2, there.address, there.identity, promote=False)
        assert await changed(solo.runner, change) is None
        yield World(solo, peer, me)
    await peer.stop()


async def test_a_wanted_snapshot_arrives_and_holds_what_is_applied(world: World) -> None:
    applied = world.solo.runner.node.log.applied
    world.supply.want(2)
    meta = await world.delivered()
    assert meta.last.index == applied
    assert world.peer.snapshots is not None
    newest = world.peer.snapshots.newest()
    assert newest is not None
    assert rows(newest.path, "SELECT v FROM t") == [(41,)]
    await world.shipped()


async def test_a_copy_that_nobody_needs_any_more_is_removed(world: World) -> None:
    world.supply.want(2)
    await world.delivered()
    await world.shipped()
    assert world.folder.all() == []


async def test_a_peer_that_wants_it_twice_gets_it_once(world: World) -> None:
    world.supply.want(2)
    world.supply.want(2)
    await world.delivered()
    await world.shipped()
    assert [event[0] for event in world.peer.events].count("received") == 1


async def test_a_peer_that_is_no_member_gets_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.supply.want(7)
    await world.shipped()
    assert "the peer or the lead is gone" in caplog.text
    await world.tidied()


async def test_a_refusal_is_logged_and_the_core_may_ask_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.peer.unwanted = "it has all of it"
    world.supply.want(2)
    await world.shipped()
    assert "it has all of it" in caplog.text
    world.peer.unwanted = ""
    world.supply.want(2)
    await world.delivered()


async def test_closing_ends_what_is_on_its_way(world: World) -> None:
    world.supply.want(2)
    await world.supply.close()
    assert world.supply.under_way == 0
    assert ("received",) not in [event[:1] for event in world.peer.events]
