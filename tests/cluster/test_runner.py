"""A replica in a real loop with real threads and files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from raftsql.sql.commands import Why
from tests.cluster.running import Refused, running


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
