from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from raftsql.database import backup, checksum, internal, snapshot
from raftsql.database.disk import Disk
from raftsql.database.environment import Role, open_connection
from tests.database.conftest import keep_position
from tests.database.test_checksum import ROWS, SCHEMA, summed

SECRET = b"an answer that only one client may see" * 200


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[apsw.Connection]:
    connection = open_connection(tmp_path / "database", Role.WRITER)
    internal.create(connection)
    connection.execute(SCHEMA)
    for statement in ROWS:
        connection.execute(statement)
    with connection:
        keep_position(connection, 9, 1, 0)
        internal.keep_fact(connection, "secret", SECRET)
        internal.keep_session(connection, 1, SECRET, 10, 10)
        connection.execute("UPDATE sqlite_raftsql_position SET answers = ?", (SECRET,))
    yield connection
    connection.close()


def test_a_backup_equals_the_database_and_any_sqlite_opens_it(
    tmp_path: Path, writer: apsw.Connection
) -> None:
    position = backup.take(tmp_path / "database", tmp_path / "backup", Disk())
    assert position.index == 9
    opened = snapshot.open_closed(tmp_path / "backup")
    assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert not checksum.compare(backup.checksum_of(tmp_path / "backup"), summed(writer))
    assert [path.name for path in tmp_path.glob("backup*")] == ["backup"]

    other = sqlite3.connect(tmp_path / "backup")
    assert other.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert other.execute("SELECT name FROM keyed ORDER BY id").fetchall() == [("A",), ("é",)]
    assert other.execute("SELECT rowid FROM words WHERE words MATCH 'second'").fetchall() == [(2,)]
    other.execute("INSERT INTO plain VALUES (10, 10)")
    other.close()


@pytest.mark.parametrize("vacuum", [False, True])
def test_nothing_of_the_cluster_is_in_a_backup(
    tmp_path: Path, writer: apsw.Connection, vacuum: bool
) -> None:
    assert SECRET[:30] in (tmp_path / "database-wal").read_bytes()
    backup.take(tmp_path / "database", tmp_path / "backup", Disk(), vacuum=vacuum)
    data = (tmp_path / "backup").read_bytes()
    assert SECRET[:30] not in data
    opened = snapshot.open_closed(tmp_path / "backup")
    names = opened.execute("SELECT name, tbl_name, sql FROM sqlite_schema").fetchall()
    assert not [row for row in names if "raftsql" in str(row)]
    assert (opened.pragma("freelist_count") == 0) is vacuum


def test_a_backup_is_of_one_moment_while_writes_go_on(
    tmp_path: Path, writer: apsw.Connection
) -> None:
    writer.execute("CREATE TABLE big (id INTEGER PRIMARY KEY, pad)")
    grow = "INSERT INTO big(pad) SELECT zeroblob(3000) FROM generate"
    writer.execute("CREATE TABLE generate AS SELECT value FROM json_each(json_array(1,2,3,4,5))")
    for _ in range(60):
        writer.execute(grow)
    before = summed(writer)
    running = backup.Backup(tmp_path / "database", tmp_path / "backup", Disk())
    steps = 0
    while running.step(20):
        writer.execute(grow)
        writer.execute("UPDATE big SET pad = zeroblob(100) WHERE id % 7 = 0")
        steps += 1
    running.finish()
    assert steps > 3
    assert not checksum.compare(summed(snapshot.open_closed(tmp_path / "backup")), before)


def test_a_files_digest_is_that_of_its_bytes(tmp_path: Path, writer: apsw.Connection) -> None:
    backup.take(tmp_path / "database", tmp_path / "backup", Disk())
    summed = snapshot.new_digest()
    summed.update((tmp_path / "backup").read_bytes())
    assert summed.digest() == snapshot.digest(tmp_path / "backup")


def test_an_abandoned_backup_leaves_nothing(tmp_path: Path, writer: apsw.Connection) -> None:
    running = backup.Backup(tmp_path / "database", tmp_path / "backup", Disk())
    running.step(3)
    running.abandon()
    assert not list(tmp_path.glob("backup*"))
