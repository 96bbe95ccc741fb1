"""The log stays short, and what it held is in the database."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from raftsql.cluster import housekeeping
from raftsql.cluster.housekeeping import LogBounds
from raftsql.cluster.transactions import Step
from raftsql.database.installation import beside
from raftsql.sql.commands import Settings, Statement
from raftsql.storage.journal import SEGMENT_BYTES
from tests.cluster.running import Awaited, running, until


async def test_the_log_is_shortened_to_its_tail_and_a_restart_finds_all_rows(
    tmp_path: Path,
) -> None:
    bounds = LogBounds(entries_max=50, tail_entries=10)
    async with running(tmp_path / "d", bounds) as node:
        await node.write("CREATE TABLE t (x)")
        await asyncio.gather(*(node.write("INSERT INTO t VALUES (1)") for _ in range(100)))
        compacting = node.runner.housekeeping.compact()
        assert compacting is not None
        assert node.runner.housekeeping.compact() is None, "one at a time"
        await compacting
        await node.write("INSERT INTO t VALUES (2)")
        log = node.runner.node.log
        assert log.base.index == log.last.index - 11
    async with running(tmp_path / "d", bounds) as node:
        assert node.runner.node.log.base.index > 80
        assert await node.rows("SELECT count(*) FROM t") == [[101]]


async def test_a_short_log_is_left_alone(tmp_path: Path) -> None:
    async with running(tmp_path / "d") as node:
        await node.write("CREATE TABLE t (x)")
        compacting = node.runner.housekeeping.compact()
        assert compacting is not None
        await compacting
        assert node.runner.node.log.base.index == 0


async def test_a_leader_knows_how_old_its_data_is_for_when_it_leads_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "CHECK_SECONDS", 0.01)
    async with running(tmp_path / "d") as node:
        reading = node.runner.replica.reading
        await until(lambda: reading.level_at_ms is not None)
        known_at = reading.level_at_ms or 0
        await until(lambda: (reading.level_at_ms or 0) > known_at)


async def test_compaction_goes_on_beside_writes(tmp_path: Path) -> None:
    async with running(tmp_path / "d", LogBounds(10, 5)) as node:
        await node.write("CREATE TABLE t (x)")
        for _ in range(5):
            writes = [node.write("INSERT INTO t VALUES (1)") for _ in range(50)]
            compacting = node.runner.housekeeping.compact()
            await asyncio.gather(*writes)
            if compacting is not None:
                await compacting
        assert await node.rows("SELECT count(*) FROM t") == [[250]]


async def test_a_log_of_large_entries_is_shortened_by_its_bytes(tmp_path: Path) -> None:
    bounds = LogBounds(bytes_max=48 << 20)
    async with running(tmp_path / "d", bounds) as node:
        await node.write("CREATE TABLE t (x)")
        for _ in range(13):
            await node.write("INSERT INTO t VALUES (?)", b"x" * 4_000_000)
        journal = node.runner.stores.journal
        assert journal.size > bounds.bytes_max
        compacting = node.runner.housekeeping.compact()
        assert compacting is not None
        await compacting
        await node.write("INSERT INTO t VALUES (2)")
        assert node.runner.node.log.base.index > 0
        assert journal.size <= bounds.bytes_max // 4 + SEGMENT_BYTES


async def test_the_wal_starts_over_while_transactions_leave_no_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "WAL_BYTES_MAX", 1 << 20)
    async with running(tmp_path / "d") as node:
        await node.write("CREATE TABLE t (x)")
        await node.write("INSERT INTO t VALUES (?)", b"x" * (2 << 20))
        transaction = node.runner.replica.writer.begin(Settings.FOREIGN_KEYS, immediate=True)
        reply = Awaited()
        transaction.execute(Step([Statement("INSERT INTO t VALUES (1)", None)], 10, reply), None)
        await reply.future
        wal = beside(node.runner.stores.database, "-wal")
        assert wal.stat().st_size > 1 << 20
        compacting = node.runner.housekeeping.compact()
        assert compacting is not None
        await compacting
        await until(lambda: wal.stat().st_size == 0)
        again = Awaited()
        transaction.execute(Step([Statement("SELECT count(*) FROM t", None)], 10, again), None)
        assert (await again.future).rows == [[2]], "it goes on as if nothing had been"
