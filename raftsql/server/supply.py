"""Snapshots for peers that the log no longer reaches.

A copy is taken stepwise in a thread while writes go on, and serves every peer that asks while it
is fresh enough for the log to go on from it. It is removed when nobody needs it.
"""

from __future__ import annotations

import asyncio
import logging

from raftsql.cluster.copying import copied
from raftsql.cluster.guests import SentAway
from raftsql.cluster.runner import Runner
from raftsql.database.errors import MachineStopped
from raftsql.database.snapshot import CopyFailed
from raftsql.raft.messages import NodeId
from raftsql.rpc.peers import Me
from raftsql.rpc.shipping import ShipEvents, ShipFailed, Shipper
from raftsql.storage.errors import StorageError
from raftsql.storage.snapshots import Snapshot

log = logging.getLogger("raftsql.server")


class Supply:
    """Takes snapshots and ships them, for as long as this node leads."""

    def __init__(self, runner: Runner, me: Me, on: ShipEvents, bytes_per_second: int) -> None:
        """Nobody wants any yet."""
        self._runner = runner
        self._shipper = Shipper(me, runner.stores.snapshots, on, bytes_per_second=bytes_per_second)
        self._shipping: dict[NodeId, asyncio.Task[None]] = {}
        self._taking = asyncio.Lock()

    @property
    def under_way(self) -> int:
        """How many peers are being shipped a snapshot now."""
        return len(self._shipping)

    def want(self, peer: NodeId) -> None:
        """Bring a snapshot to the peer, unless one is on its way."""
        under_way = self._shipping.get(peer)
        if under_way is None or under_way.done():
            self._shipping[peer] = asyncio.create_task(self._ship(peer))

    async def _ship(self, peer: NodeId) -> None:
        runner = self._runner
        node = runner.node
        try:
            async with self._taking:
                copy = await self._copy()
            member = node.membership.members.get(peer)
            if member is None or node.leader != node.id:  # The core's own word: it is never late.
                raise ShipFailed("the peer or the lead is gone")
            log.info(
                "n%d ships a snapshot of entry %d, %d bytes, to n%d",
                node.id, copy.meta.last.index, copy.size, peer,
            )  # fmt: skip
            await self._shipper.ship(peer, member.address, copy, term=node.term)
            node.snapshot_shipped(peer)
            runner.meters.snapshots_shipped += 1
            log.info("n%d has the snapshot of entry %d", peer, copy.meta.last.index)
        except (ShipFailed, StorageError, SentAway, CopyFailed, OSError) as error:
            log.warning("the snapshot for n%d did not get there: %s", peer, error)
            node.snapshot_failed(peer)
            runner.meters.snapshots_failed += 1
        except MachineStopped as error:
            runner.fail(error)
        finally:
            self._shipping.pop(peer, None)
            runner.wake()
            async with self._taking:
                if not self._shipping:
                    # Beside the loop: to free a gigabyte takes a file system a quarter second.
                    await asyncio.to_thread(self._discard)

    async def _copy(self) -> Snapshot:
        """A snapshot that the log goes on from: one there is, or a new one."""
        runner = self._runner
        newest = runner.stores.snapshots.newest()
        if newest is not None and newest.meta.last.index >= runner.node.log.base.index:
            return newest
        taken = await asyncio.to_thread(self._take)
        runner.meters.snapshots_taken += 1
        return taken

    def _take(self) -> Snapshot:
        stores = self._runner.stores
        target = stores.database.with_name(stores.database.name + "-copy")
        meta = copied(self._runner, target)
        target.rename(stores.snapshots.scratch(meta))
        return stores.snapshots.adopt(meta)

    def _discard(self) -> None:
        for old in self._runner.stores.snapshots.all():
            self._runner.stores.snapshots.free(old)

    async def close(self) -> None:
        """Ship no more."""
        tasks = list(self._shipping.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._shipping.clear()  # One that was ended before it began has not said so itself.
