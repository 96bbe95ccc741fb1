"""Where SQLite says that a page failed: by file, and nothing else of its log."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from raftsql.database import snapshot
from raftsql.database.disk import Disk
from raftsql.database.environment import Role, open_connection
from raftsql.database.errors import DatabaseDamaged
from raftsql.database.faults import place_of_fault
from raftsql.database.machine import Machine


def damaged(path: Path) -> int:
    """A database whose last page has a bit that flipped, and where that page begins."""
    Machine.open(path).close()
    connection = open_connection(path, Role.WRITER)
    connection.execute("CREATE TABLE t(a); INSERT INTO t VALUES (zeroblob(20000))")
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    connection.close()
    content = bytearray(path.read_bytes())
    content[-2000] ^= 1
    path.write_bytes(content)
    return len(content) - 4096


def test_a_file_that_never_failed_is_named_alone(tmp_path: Path) -> None:
    assert place_of_fault(tmp_path / "a.db") == str(tmp_path / "a.db")


def test_the_offset_of_a_page_that_failed_is_known(tmp_path: Path) -> None:
    path = tmp_path / 'with "quotes".db'
    offset = damaged(path)
    connection = open_connection(path, Role.READER)
    with pytest.raises(apsw.IOError):
        connection.execute("SELECT a FROM t").fetchall()
    connection.close()
    assert place_of_fault(path) == f"{path}, offset {offset}"
    assert place_of_fault(tmp_path / "another.db") == str(tmp_path / "another.db")


def test_a_copy_of_a_damaged_page_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    offset = damaged(path)
    with pytest.raises(DatabaseDamaged, match=rf"a\.db, offset {offset}: a page does not match"):
        snapshot.take(path, tmp_path / "copy", Disk())
    assert not (tmp_path / "copy").exists()


def test_nor_is_one_whose_own_place_in_the_log_can_t_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    damaged(path)
    content = bytearray(path.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 + 2000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DatabaseDamaged):
        snapshot.take(path, tmp_path / "copy", Disk())
