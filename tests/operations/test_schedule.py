"""Backups by the clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from raftsql.rpc.backup_service import Backups
from raftsql.server import schedule as module
from raftsql.server.destinations import Folder
from raftsql.server.schedule import Schedule
from raftsql.sql.commands import CommandKind
from tests.operations.nodes import Nodes, rows
from tests.operations.solo import Solo


@pytest.fixture
async def solo(tmp_path: Path) -> AsyncIterator[Solo]:
    async with Solo(tmp_path / "data") as solo:
        await solo.sql("CREATE TABLE t(a)")
        yield solo


def scheduled(solo: Solo, folder: Path, *, every_seconds: float = 0, keep: int = 3) -> Schedule:
    backups = Backups(solo.runner)
    return Schedule(solo.runner, backups, Folder(folder), every_seconds=every_seconds, keep=keep)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("raftsql-*"))


async def test_a_backup_is_taken_when_somebody_wrote_and_not_otherwise(
    solo: Solo, tmp_path: Path
) -> None:
    folder = tmp_path / "there"
    schedule = scheduled(solo, folder)
    await schedule._once()
    (first,) = names(folder)
    assert rows(folder / first, "SELECT count(*) FROM t") == [(0,)]
    await solo.propose(CommandKind.VERIFY, b"")
    await solo.propose(CommandKind.EXPIRE_SESSIONS, b"")
    await schedule._once()
    assert names(folder) == [first]
    await solo.sql("INSERT INTO t VALUES (1)")
    await schedule._once()
    _, second = names(folder)
    assert rows(folder / second, "SELECT count(*) FROM t") == [(1,)]


async def test_it_is_not_taken_before_its_time(solo: Solo, tmp_path: Path) -> None:
    folder = tmp_path / "there"
    schedule = scheduled(solo, folder, every_seconds=3600)
    await schedule._once()
    await solo.sql("INSERT INTO t VALUES (1)")
    await schedule._once()
    assert len(names(folder)) == 1


async def test_the_next_leader_goes_on_where_the_last_one_was(solo: Solo, tmp_path: Path) -> None:
    folder = tmp_path / "there"
    await scheduled(solo, folder, every_seconds=3600)._once()
    await solo.sql("INSERT INTO t VALUES (1)")
    await scheduled(solo, folder, every_seconds=3600)._once()
    assert len(names(folder)) == 1


async def test_the_oldest_go_and_what_belongs_to_others_stays(solo: Solo, tmp_path: Path) -> None:
    folder = tmp_path / "there"
    other = f"raftsql-{'f' * 16}-{'0' * 20}-20200101T000000Z.db"
    kept = (folder / other, folder / "notes.txt")
    folder.mkdir()
    for path in kept:
        path.write_text("")
    schedule = scheduled(solo, folder, keep=2)
    for number in range(4):
        await solo.sql(f"INSERT INTO t VALUES ({number})")
        await schedule._once()
    own = [name for name in names(folder) if name != other]
    assert [rows(folder / name, "SELECT count(*) FROM t") for name in own] == [[(3,)], [(4,)]]
    assert all(path.exists() for path in kept)


async def test_a_failure_is_told_and_tried_again(
    solo: Solo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.01)
    folder = tmp_path / "there"
    folder.write_text("a file is in the way")
    schedule = scheduled(solo, folder, every_seconds=0.01)
    running = asyncio.ensure_future(schedule.run())
    async with asyncio.timeout(10):
        while not schedule.failure:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        assert schedule.picture()["age_seconds"] is None
        folder.unlink()
        while schedule.failure or not names(folder):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert schedule.picture()["name"] == names(folder)[-1]
    running.cancel()


def test_a_cluster_takes_its_backups_once_and_restores_them(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    flags = ("--backup-to", str(folder), "--backup-every-seconds", "1", "--backup-keep", "2")
    with Nodes(tmp_path / "nodes", 3, *flags) as nodes:
        connection = nodes.connect()
        connection.execute("CREATE TABLE t(a)")
        connection.execute("INSERT INTO t VALUES ('kept')")
        upto = nodes.status(nodes.leader())["applied_index"]

        def taken() -> bool:
            return any(int(name.split("-")[2]) >= upto for name in names(folder))

        nodes.wait_until(taken, "a backup by the clock")
        told = nodes.status(nodes.leader())["backup"]
        assert told["failure"] is None
        assert told["age_seconds"] < 60
        connection.execute("DELETE FROM t")
        newest = next(n for n in names(folder) if int(n.split("-")[2]) >= upto)
        copy = tmp_path / "copy.db"
        copy.write_bytes((folder / newest).read_bytes())
        assert nodes.run("restore", copy, "--yes").code == 0
        assert connection.execute("SELECT a FROM t").fetchall() == [("kept",)]
