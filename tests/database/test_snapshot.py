from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from raftsql.database import checksum, internal, snapshot
from raftsql.database.disk import Disk
from raftsql.database.environment import Role, open_connection
from raftsql.raft.messages import Position, SnapshotMeta
from tests.database.conftest import keep_position


@pytest.fixture
def writer(tmp_path: Path) -> apsw.Connection:
    connection = open_connection(tmp_path / "database", Role.WRITER)
    internal.create(connection)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, pad)")
    with connection:
        internal.keep_fact(connection, internal.MEMBERSHIP, b"one, two, three")
        apply(connection, 1, 500)
    return connection


def apply(connection: apsw.Connection, first: int, last: int) -> None:
    rows = ((index,) for index in range(first, last + 1))
    connection.executemany("INSERT INTO t VALUES (?, randomblob(2000))", rows)
    keep_position(connection, last, 2, 0)


def summed(connection: apsw.Connection) -> checksum.Checksum:
    with connection:
        return checksum.take(connection)


def test_a_copy_is_of_the_moment_it_began_however_much_is_written_meanwhile(
    tmp_path: Path, writer: apsw.Connection
) -> None:
    before = summed(writer)
    copy = snapshot.Copy(tmp_path / "database", tmp_path / "copy", Disk())
    steps = 0
    while copy.step(20):
        with writer:
            apply(writer, 501 + steps * 10, 510 + steps * 10)
        writer.execute("PRAGMA wal_checkpoint")
        steps += 1
    assert steps > 5
    meta = copy.finish()
    assert meta == SnapshotMeta(Position(index=500, term=2), b"one, two, three")
    assert snapshot.verify(tmp_path / "copy") == meta
    assert not checksum.compare(summed(snapshot.open_closed(tmp_path / "copy")), before)
    assert checksum.compare(summed(writer), before)


def test_a_copy_stands_alone(tmp_path: Path, writer: apsw.Connection) -> None:
    snapshot.take(tmp_path / "database", tmp_path / "copy", Disk())
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy"]
    meta = snapshot.verify(tmp_path / "copy")
    assert meta.last == Position(index=500, term=2)
    connection = apsw.Connection(str(tmp_path / "copy"))
    assert connection.pragma("journal_mode") == "delete"
    assert connection.execute("SELECT count(*) FROM t").fetchall() == [(500,)]
    connection.close()
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy"]


def test_a_copy_becomes_a_database_that_can_be_written(
    tmp_path: Path, writer: apsw.Connection
) -> None:
    snapshot.take(tmp_path / "database", tmp_path / "copy", Disk())
    connection = open_connection(tmp_path / "copy", Role.WRITER)
    internal.create(connection)
    with connection:
        apply(connection, 501, 510)
    assert internal.position(connection)[0].index == 510


def test_an_abandoned_copy_leaves_nothing_and_holds_nothing(
    tmp_path: Path, writer: apsw.Connection
) -> None:
    copy = snapshot.Copy(tmp_path / "database", tmp_path / "copy", Disk())
    copy.step(10)
    copy.abandon()
    assert not list(tmp_path.glob("copy*"))
    with writer:
        apply(writer, 501, 510)
    assert writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE) == (0, 0)


def test_a_damaged_page_is_found(tmp_path: Path, writer: apsw.Connection) -> None:
    snapshot.take(tmp_path / "database", tmp_path / "copy", Disk())
    whole = snapshot.digest(tmp_path / "copy")
    data = bytearray((tmp_path / "copy").read_bytes())
    data[40 * 4096 : 40 * 4096 + 16] = b"\xaa" * 16
    (tmp_path / "copy").write_bytes(data)
    assert snapshot.digest(tmp_path / "copy") != whole
    with pytest.raises(snapshot.SnapshotDamaged):
        snapshot.verify(tmp_path / "copy")


def test_a_copy_is_synced_on_its_way(tmp_path: Path, writer: apsw.Connection) -> None:
    class CountingDisk(Disk):
        syncs = 0

        def sync_file(self, path: Path) -> None:
            self.syncs += 1
            super().sync_file(path)

    disk = CountingDisk()
    copy = snapshot.Copy(tmp_path / "database", tmp_path / "copy", disk)
    copy.step(10)
    assert disk.syncs == 0
    copy.step(snapshot.PAGES_BETWEEN_SYNCS)
    assert disk.syncs == 1
    copy.finish()
    assert disk.syncs == 2


def test_a_full_disk_ends_the_copy_and_nothing_else(
    tmp_path: Path, writer: apsw.Connection
) -> None:
    class FullDisk(Disk):
        def sync_file(self, path: Path) -> None:
            raise OSError(28, "No space left on device")

    copy = snapshot.Copy(tmp_path / "database", tmp_path / "copy", FullDisk())
    with pytest.raises(snapshot.CopyFailed):
        copy.step(snapshot.PAGES_BETWEEN_SYNCS)
    copy.abandon()
    assert not list(tmp_path.glob("copy*"))
    with writer:
        apply(writer, 501, 510)


@pytest.mark.parametrize("damage", [b"", b"no database", b"SQLite format 3\x00" + b"\xff" * 9000])
def test_what_is_no_database_is_no_snapshot(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "copy").write_bytes(damage)
    with pytest.raises(snapshot.SnapshotDamaged):
        snapshot.verify(tmp_path / "copy")


def test_a_cut_file_is_no_snapshot(tmp_path: Path, writer: apsw.Connection) -> None:
    snapshot.take(tmp_path / "database", tmp_path / "copy", Disk())
    data = (tmp_path / "copy").read_bytes()
    (tmp_path / "copy").write_bytes(data[: len(data) // 2])
    with pytest.raises(snapshot.SnapshotDamaged):
        snapshot.verify(tmp_path / "copy")
