"""A replica in a real loop with real threads and files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from raftsql.cluster.requests import Read
from raftsql.database import snapshot
from raftsql.database.disk import Disk
from raftsql.raft.messages import Position, SnapshotMeta
from raftsql.sql.commands import Level, Why
from raftsql.storage.snapshots import Snapshot
from tests.cluster.running import Alone, Awaited, Refused, running, until


async def test_a_node_writes_and_reads_and_finds_it_again(tmp_path: Path) -> None:
    async with running(tmp_path / "d") as node:
        await node.write("CREATE TABLE t (x)")
        assert (await node.write("INSERT INTO t VALUES (?)", 1)).changes == 1
        assert await node.rows("SELECT x FROM t") == [[1]]
    async with running(tmp_path / "d") as node:
        await node.write("INSERT INTO t VALUES (?)", 2)
        assert await node.rows("SELECT x FROM t") == [[1], [2]]


async def test_writes_that_come_together_are_answered_each(tmp_path: Path) -> None:
    async with running(tmp_path / "d") as node:
        await node.write("CREATE TABLE t (x)")
        last = node.runner.node.log.last.index
        done = await asyncio.gather(
            *(node.write("INSERT INTO t VALUES (?)", n) for n in range(500))
        )
        assert [d.last_insert_rowid for d in done] == list(range(1, 501))
        assert node.runner.node.log.last.index == last + 500


async def test_a_write_that_takes_long_does_not_keep_the_loop(tmp_path: Path) -> None:
    heavy = (
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000000) "
        "INSERT INTO t SELECT i FROM n WHERE i < 0"
    )
    async with running(tmp_path / "d") as node:
        await node.write("CREATE TABLE t (x)")
        writing = asyncio.create_task(node.write(heavy))
        turns = 0
        while not writing.done():
            await asyncio.sleep(0.001)
            turns += 1
        assert turns > 20, "the loop had its turns"
        assert (await writing).changes == 0


async def test_a_failed_disk_stops_the_node_and_answers_everybody(tmp_path: Path) -> None:
    async with running(tmp_path / "d") as node:
        await node.write("CREATE TABLE t (x)")

        def broken(*_: object) -> None:
            raise OSError("the disk is gone")

        node.runner.stores.journal.save = broken  # type: ignore[method-assign]
        with pytest.raises(Refused) as refused:
            await node.write("INSERT INTO t VALUES (1)")
        assert refused.value.why is Why.UNKNOWN
        assert node.runner.stopped.is_set()
        with pytest.raises(Refused) as refused:
            await node.write("INSERT INTO t VALUES (2)")
        assert refused.value.why is Why.SHUTTING_DOWN
        with pytest.raises(Refused) as refused:
            await node.rows("SELECT 1")
        assert refused.value.why is Why.SHUTTING_DOWN


def received(node: Alone) -> Snapshot:
    """A snapshot in the node's folder, as if a leader had sent it."""
    stores = node.runner.stores
    copy = stores.database.with_name("copy")
    meta = snapshot.take(stores.database, copy, Disk())
    copy.rename(stores.snapshots.scratch(meta))
    return stores.snapshots.adopt(meta)


async def refuses_to_install(node: Alone, meta: SnapshotMeta) -> None:
    runner = node.runner
    runner.node.start_install(meta)
    runner.wake()
    await until(lambda: runner.node.installing is None or runner.failure is not None)
    assert runner.failure is None
    assert await node.rows("SELECT x FROM t") == [[1]]


async def test_a_snapshot_that_is_gone_before_it_is_installed_is_asked_for_again(
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "d") as node:
        await node.write("CREATE TABLE t (x)")
        await node.write("INSERT INTO t VALUES (1)")
        await refuses_to_install(node, SnapshotMeta(Position(99, 9), b""))


async def test_a_snapshot_that_rots_before_it_is_installed_is_removed_and_asked_for_again(
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "d") as node:
        await node.write("CREATE TABLE t (x)")
        await node.write("INSERT INTO t VALUES (1)")
        rotten = received(node)
        content = bytearray(rotten.path.read_bytes())
        content[5000] ^= 1
        rotten.path.write_bytes(content)
        await refuses_to_install(node, rotten.meta)
        assert node.runner.stores.snapshots.all() == []


async def test_a_snapshot_that_is_freed_while_it_is_installed_is_still_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who led before frees all there are when the last one that it shipped has arrived."""
    monkeypatch.setattr("raftsql.storage.snapshots.FREE_BYTES", 4096)
    async with running(tmp_path / "d") as node:
        await node.write("CREATE TABLE t (x)")
        await node.write("INSERT INTO t VALUES (1)")
        kept = received(node)
        marking, snapshots = node.runner.marking, node.runner.stores.snapshots
        replace = marking.replace_database

        def freed_meanwhile(incoming: Path, position: Position) -> None:
            snapshots.free(kept)
            replace(incoming, position)

        marking.replace_database = freed_meanwhile  # type: ignore[method-assign]
        assert node.runner._install(kept.meta) == kept.meta
        assert await node.rows("SELECT x FROM t") == [[1]]
        assert snapshots.all() == []


async def test_a_read_from_a_database_that_was_just_replaced_has_its_place_in_the_log(
    tmp_path: Path,
) -> None:
    """The core hears of it a moment later; a token of before would let the client go back."""
    async with running(tmp_path / "ahead") as node:
        await node.write("CREATE TABLE t (x)")
        for number in range(20):
            await node.write("INSERT INTO t VALUES (?)", number)
        ahead = received(node)
    async with running(tmp_path / "d") as node:
        incoming = ahead.path.rename(node.runner.stores.database.with_name("incoming"))
        node.runner.marking.replace_database(incoming, ahead.meta.last)
        assert node.runner.node.handed_out < ahead.meta.last.index
        reply = Awaited()
        node.runner.replica.read(Read("SELECT count(*) FROM t", None, reply, Level.STALE))
        await reply.future
        assert reply.index >= ahead.meta.last.index
