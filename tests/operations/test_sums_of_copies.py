"""Copies keep the checksums that their pages have: what reads them would stop at one without."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from raftsql.database import backup, internal, snapshot
from raftsql.database.disk import Disk
from raftsql.database.environment import CHECKSUM_BYTES, Role, open_connection
from raftsql.database.machine import Machine
from raftsql.database.restore import lay_out
from raftsql.server.packing import damage

ROWS = 6000


def written(path: Path) -> None:
    """More than SQLite's cache holds, and all of it in the WAL."""
    connection = open_connection(path, Role.SERVICE)
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO t VALUES (?)", [("x" * 1000,) for _ in range(ROWS)])
    connection.execute("COMMIT")
    connection.close()


def unsummed(path: Path) -> list[int]:
    content = path.read_bytes()
    size = int.from_bytes(content[16:18], "big")
    size = 65_536 if size == 1 else size
    pages = [content[at : at + size] for at in range(0, len(content), size)]
    return [n for n, page in enumerate(pages, 1) if snapshot.page_checksum(page) != page[-8:]]


@pytest.mark.parametrize("page_size", [512, 4096, 65536])
def test_a_copy_out_of_the_wal_has_a_checksum_in_every_page(tmp_path: Path, page_size: int) -> None:
    path = tmp_path / "database.db"
    connection = apsw.Connection(str(path))
    connection.execute(f"PRAGMA page_size = {page_size}; CREATE TABLE t(a)")
    connection.close()
    lay_out(path)
    machine = Machine.open(path)
    written(path)
    for take in (snapshot.take, backup.take):
        target = tmp_path / take.__module__
        take(path, target, Disk())
        assert target.read_bytes()[20] == CHECKSUM_BYTES
        assert unsummed(target) == []
        assert damage(target) == ""
        assert backup.checksum_of(target).tables["t"].rows == ROWS
    machine.close()


def test_a_copy_of_a_database_without_checksums_has_none_over_its_rows(tmp_path: Path) -> None:
    path, target = tmp_path / "database.db", tmp_path / "copy.db"
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA journal_mode = WAL")
    internal.create(connection)
    connection.execute("CREATE TABLE t(a)")
    written(path)
    backup.take(path, target, Disk())
    connection.close()
    assert target.read_bytes()[20] == 0
    assert damage(target) == ""
    assert backup.checksum_of(target).tables["t"].rows == ROWS


@pytest.mark.parametrize("rows", [1, 6000])
def test_a_strangers_file_is_laid_out_with_a_checksum_in_every_page(
    tmp_path: Path, rows: int
) -> None:
    path = tmp_path / "file.db"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE t(a); BEGIN")
    connection.executemany("INSERT INTO t VALUES (?)", [("x" * 1000,) for _ in range(rows)])
    connection.execute("COMMIT")
    connection.close()
    before = backup.checksum_of(path)
    lay_out(path)
    assert unsummed(path) == []
    assert backup.checksum_of(path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["file.db"]
    content = path.read_bytes()
    lay_out(path)
    assert path.read_bytes() == content
