"""Restores as a leader takes them, without a network."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from raftsql.database.backup import checksum_of
from raftsql.database.snapshot import digest, page_checksum
from raftsql.rpc import restore_service
from raftsql.rpc.peers import Me
from raftsql.rpc.restore_service import NotRestored, Restores
from raftsql.rpc.siblings import Siblings
from raftsql.sql.commands import CommandKind
from raftsql.sql.verdict import Mode
from raftsql_proto import admin_pb2
from tests.operations.solo import Solo

ME = Me(cluster=1, node=1, identity="solo", fingerprint="", address="127.0.0.1:1")


@pytest.fixture
def given(tmp_path: Path) -> Path:
    path = tmp_path / "given.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t(a)")
        connection.execute("INSERT INTO t VALUES ('given')")
        connection.commit()
    return path


@pytest.fixture
async def solo(tmp_path: Path) -> AsyncIterator[Solo]:
    async with Solo(tmp_path / "data") as solo:
        await solo.sql("CREATE TABLE t(a)")
        await solo.sql("INSERT INTO t VALUES ('old')")
        yield solo


def restores(solo: Solo) -> Restores:
    return Restores(solo.runner, Siblings(ME, solo.runner), Mode.PINNED)


async def sent(*parts: admin_pb2.RestorePart) -> AsyncIterator[Any]:
    for part in parts:
        yield part


def whole(path: Path, **last: Any) -> AsyncIterator[Any]:
    data = admin_pb2.RestorePart(data=path.read_bytes())
    return sent(data, admin_pb2.RestorePart(last=True, **last))


async def run(restores: Restores, parts: AsyncIterator[Any]) -> admin_pb2.RestoreProgress:
    return [progress async for progress in restores.run(parts)][-1]


async def until_nothing_is_held(solo: Solo) -> None:
    folder = solo.runner.stores.datadir.folder
    async with asyncio.timeout(10):
        while [*folder.glob("restores/*"), *folder.glob("*-restoring")]:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_a_file_is_the_database_when_the_last_word_is_said(solo: Solo, given: Path) -> None:
    done = await run(restores(solo), whole(given, digest=digest(given)))
    assert done.index == solo.runner.machine.applied.index
    assert done.received_bytes == 8192
    assert await solo.rows("SELECT a FROM t") == [["given"]]


SHAPES = {
    "utf-16": "PRAGMA encoding = 'UTF-16'; CREATE TABLE t(a); INSERT INTO t VALUES ('ä€𝄞')",
    "small pages": "PRAGMA page_size = 512; CREATE TABLE t(a);"
    " INSERT INTO t VALUES (zeroblob(9999))",
    "large pages": "PRAGMA page_size = 65536; CREATE TABLE t(a); INSERT INTO t VALUES (1)",
    "vacuum": "PRAGMA auto_vacuum = FULL; CREATE TABLE t(a); INSERT INTO t VALUES (1)",
    "wal": "PRAGMA journal_mode = WAL; CREATE TABLE t(a); INSERT INTO t VALUES (1)",
    "full text": "CREATE VIRTUAL TABLE t USING fts5(a); INSERT INTO t VALUES ('some words')",
    "sequence": "CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO t VALUES (77)",
    "statistics": "CREATE TABLE t(a); CREATE INDEX i ON t(a); INSERT INTO t VALUES (1); ANALYZE",
    "user version": "PRAGMA user_version = 42; CREATE TABLE t(a); INSERT INTO t VALUES (1)",
    "strict": "CREATE TABLE t(a INT PRIMARY KEY, b INT AS (a * 2) STORED) STRICT, WITHOUT ROWID;"
    " INSERT INTO t VALUES (1)",
    "nothing": "CREATE TABLE t(a); DROP TABLE t; CREATE TABLE t(a)",
}


@pytest.mark.parametrize("script", SHAPES.values(), ids=SHAPES)
async def test_files_of_every_shape_come_in_as_they_are_and_can_be_written(
    solo: Solo, tmp_path: Path, script: str
) -> None:
    path = tmp_path / "shaped.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
        connection.commit()
    expected = checksum_of(path)
    assert (await run(restores(solo), whole(path))).index, "it was refused"
    index, _ = await solo.propose(CommandKind.VERIFY, b"")
    found = await solo.runner.marking.sums.of(index)
    assert found.schema == expected.schema
    assert {name: found.tables[name] for name in expected.tables} == expected.tables
    before = (await solo.rows("SELECT count(*) FROM t"))[0][0]
    await solo.sql("INSERT INTO t(a) VALUES (9)")
    assert await solo.rows("SELECT count(*) FROM t") == [[before + 1]]


async def test_a_file_that_is_refused_leaves_everything_as_it_was(
    solo: Solo, tmp_path: Path
) -> None:
    noise = tmp_path / "noise"
    noise.write_bytes(b"no database at all")
    before = solo.runner.node.log.last
    done = await run(restores(solo), whole(noise))
    assert list(done.problems) == ["file: it is no SQLite database"]
    assert done.index == 0
    assert solo.runner.node.log.last == before
    await until_nothing_is_held(solo)


async def test_a_file_that_changed_on_its_way_is_refused(solo: Solo, given: Path) -> None:
    with pytest.raises(NotRestored, match="damaged"):
        await run(restores(solo), whole(given, digest=b"\x00" * 32))
    await until_nothing_is_held(solo)


async def test_a_stream_that_breaks_off_restores_nothing(solo: Solo) -> None:
    with pytest.raises(NotRestored, match="broke off"):
        await run(restores(solo), sent(admin_pb2.RestorePart(data=b"half")))
    await until_nothing_is_held(solo)


async def test_a_client_that_falls_silent_is_given_up(
    solo: Solo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore_service, "PART_SECONDS", 0.01)

    async def silent() -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield

    with pytest.raises(NotRestored, match="nothing came"):
        await run(restores(solo), silent())
    await until_nothing_is_held(solo)


async def test_parts_are_bounded(solo: Solo) -> None:
    huge = admin_pb2.RestorePart(data=bytes(restore_service.PART_BYTES_MAX + 1))
    with pytest.raises(NotRestored, match="more than"):
        await run(restores(solo), sent(huge))


async def test_a_full_disk_refuses_the_file_while_it_comes(
    solo: Solo, given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raftsql.cluster.uploads.SPARE_BYTES", 1 << 60)
    with pytest.raises(NotRestored, match="free"):
        await run(restores(solo), whole(given))
    await until_nothing_is_held(solo)
    assert await solo.rows("SELECT a FROM t") == [["old"]]


async def test_one_restore_is_led_at_a_time(solo: Solo, given: Path) -> None:
    both = restores(solo)
    first = both.run(sent(admin_pb2.RestorePart(data=b"x")))
    with pytest.raises(NotRestored):
        await anext(first)
    running = both.run(whole(given))
    await anext(running)
    with pytest.raises(NotRestored, match="another restore"):
        await run(both, whole(given))
    await running.aclose()
    assert (await run(both, whole(given))).index


async def test_every_page_of_a_strangers_file_has_a_checksum_afterwards(
    solo: Solo, tmp_path: Path
) -> None:
    """A page without one could not be read, and would stop the node long after the restore."""
    path = tmp_path / "large.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t(a)")
        connection.executemany("INSERT INTO t VALUES (?)", [("x" * 900,) for _ in range(6000)])
        connection.commit()
    parts = [
        admin_pb2.RestorePart(data=path.read_bytes()[at : at + 1_000_000])
        for at in range(0, path.stat().st_size, 1_000_000)
    ]
    assert (await run(restores(solo), sent(*parts, admin_pb2.RestorePart(last=True)))).index
    assert await solo.rows("SELECT sum(length(a)) FROM t") == [[5_400_000]]
    await solo.sql("DELETE FROM t WHERE rowid % 2")
    await solo.runner.housekeeping.compact()  # type: ignore[misc]
    content = solo.runner.stores.database.read_bytes()
    pages = [content[at : at + 4096] for at in range(0, len(content), 4096)]
    assert len(pages) > 1000
    assert content[20] == 8
    wrong = [n for n, page in enumerate(pages, 1) if page_checksum(page) != page[-8:]]
    assert wrong == []
