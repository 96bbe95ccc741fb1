"""Backups as a node gives them, without a network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from raftsql.database.snapshot import new_digest
from raftsql.rpc import backup_service
from raftsql.rpc.backup_service import Backups, NoBackup
from tests.operations.nodes import rows
from tests.operations.solo import Solo


@pytest.fixture
async def solo(tmp_path: Path) -> AsyncIterator[Solo]:
    async with Solo(tmp_path / "data") as solo:
        await solo.sql("CREATE TABLE t(a)")
        await solo.sql(
            "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
            "WHERE i < 3000) SELECT randomblob(1000) FROM n"
        )
        yield solo


def copies(solo: Solo) -> list[Path]:
    return list(solo.runner.stores.datadir.folder.glob("backup-*"))


async def until_gone(solo: Solo) -> None:
    async with asyncio.timeout(10):
        while copies(solo):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_the_parts_are_the_file_and_the_last_one_proves_it(
    solo: Solo, tmp_path: Path
) -> None:
    parts = [part async for part in Backups(solo.runner).stream(stale=False)]
    content = b"".join(part.data for part in parts)
    digest = new_digest()
    digest.update(content)
    assert parts[-1].digest == digest.digest()
    assert parts[-1].size_bytes == len(content)
    assert parts[-1].index == solo.runner.node.log.applied
    assert max(len(part.data) for part in parts) <= 1 << 20
    assert all(part.size_bytes == len(content) for part in parts if part.data)
    path = tmp_path / "b.db"
    path.write_bytes(content)
    assert rows(path, "SELECT count(*) FROM t") == [(3000,)]
    await until_gone(solo)


async def test_a_backup_that_nobody_wants_any_more_lets_go_of_everything(solo: Solo) -> None:
    backups = Backups(solo.runner)
    stream = backups.stream(stale=True)
    assert await anext(stream)
    await stream.aclose()
    await until_gone(solo)
    await asyncio.to_thread(solo.runner.marking.guests.close)
    solo.runner.marking.guests.open()


async def test_a_backup_in_its_copying_is_cut_when_the_database_is_replaced(
    solo: Solo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup_service, "TELL_EVERY_STEPS", 1)
    monkeypatch.setattr("raftsql.database.snapshot.PAGES_A_STEP", 1)
    one_page: Any = backup_service.Backup.step
    monkeypatch.setattr(backup_service.Backup, "step", lambda self: one_page(self, 1))
    stream = Backups(solo.runner).stream(stale=True)
    assert (await anext(stream)).copied_percent < 100
    closing = asyncio.to_thread(solo.runner.marking.guests.close)
    with pytest.raises(NoBackup, match="replaced"):
        await asyncio.gather(closing, _drained(stream))
    await until_gone(solo)
    solo.runner.marking.guests.open()


async def _drained(stream: Any) -> None:
    async for _ in stream:
        pass


async def test_only_so_many_are_given_at_a_time(solo: Solo) -> None:
    backups = Backups(solo.runner)
    under_way = [backups.stream(stale=True) for _ in range(backup_service.BACKUPS_MAX)]
    for stream in under_way:
        await anext(stream)
    with pytest.raises(NoBackup, match="under way"):
        await anext(backups.stream(stale=True))
    for stream in under_way:
        await stream.aclose()
    assert await anext(backups.stream(stale=True))


async def test_what_an_earlier_process_left_is_removed(solo: Solo) -> None:
    left = solo.runner.stores.datadir.folder / "backup-7.copy"
    left.write_bytes(b"half a copy")
    Backups(solo.runner)
    assert copies(solo) == []
