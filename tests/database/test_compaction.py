from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from raftsql.database import internal
from raftsql.database.compaction import Compactor, wal_bytes
from raftsql.database.disk import Disk
from raftsql.database.environment import Role, open_connection
from raftsql.database.errors import MachineStopped
from raftsql.database.readers import Readers
from raftsql.raft.messages import Position
from tests.database.conftest import keep_position
from tests.database.power import PowerDisk, PowerVFS


class Node:
    """A database on a disk that can lose power, and a writer that applies entries to it."""

    def __init__(self, folder: Path) -> None:
        self.vfs = PowerVFS()
        self.path = folder / "database"
        self.writer = open_connection(self.path, Role.WRITER, vfs=self.vfs.vfs_name)
        internal.create(self.writer)
        self.writer.execute("CREATE TABLE t (log_index INTEGER PRIMARY KEY, pad)")
        self.compactor = Compactor(self.path, PowerDisk(self.vfs), vfs=self.vfs.vfs_name)
        self.applied = 0

    def apply(self, entries: int, pad: int = 300) -> None:
        for _ in range(entries):
            self.applied += 1
            with self.writer:
                self.writer.execute("INSERT INTO t VALUES (?, randomblob(?))", (self.applied, pad))
                keep_position(self.writer, self.applied, 1, 0)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    (tmp_path / "node").mkdir()
    node = Node(tmp_path / "node")
    yield node
    node.compactor.close()
    node.writer.close()


def survivor(node: Node, folder: Path, seed: int) -> int:
    """Cut the power, open what is left, check it, and say what is applied there."""
    node.vfs.cut(folder, random.Random(seed))
    connection = open_connection(folder / "database", Role.WRITER)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    applied = internal.position(connection)[0].index
    rows = connection.execute("SELECT count(*), coalesce(max(log_index), 0) FROM t").fetchall()
    assert rows == [(applied, applied)]
    connection.close()
    return applied


def test_without_compaction_a_power_cut_loses_applied_entries(node: Node, tmp_path: Path) -> None:
    node.compactor.compact()
    node.apply(50)
    assert survivor(node, tmp_path / "after", 1) < 50


@pytest.mark.parametrize("seed", range(20))
def test_what_compaction_calls_durable_survives_a_power_cut(
    node: Node, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    readers = Readers(node.path, vfs=node.vfs.vfs_name)
    held = []
    for round_ in range(12):
        node.apply(chance.randrange(1, 25))
        if chance.random() < 0.4:
            held.append(readers.open_moment())
        if held and chance.random() < 0.3:
            held.pop(chance.randrange(len(held))).close()
        compacted = node.compactor.compact()
        assert compacted.durable == Position(index=node.applied, term=1)
        if chance.random() < 0.5:
            node.compactor.start_over()
        assert survivor(node, tmp_path / f"at once {round_}", seed) >= node.applied
        durable = node.applied
        node.apply(chance.randrange(0, 25))
        assert survivor(node, tmp_path / f"later {round_}", seed) >= durable
    readers.close()


def test_a_held_moment_does_not_stop_writes_or_compaction(node: Node) -> None:
    node.apply(10)
    readers = Readers(node.path, vfs=node.vfs.vfs_name)
    moment = readers.open_moment()
    node.apply(100)
    compacted = node.compactor.compact()
    assert compacted.durable.index == 110
    assert compacted.wal_pages_left > 0
    assert moment.position.index == 10
    moment.close()
    assert node.compactor.compact().wal_pages_left == 0
    readers.close()


def test_a_writer_that_does_not_pause_keeps_a_passive_checkpoint_from_ending_the_wal(
    node: Node,
) -> None:
    sizes = []
    for _ in range(10):
        node.apply(20)
        node.vfs.during_sync = lambda: node.apply(1)
        node.compactor.compact()
        node.vfs.during_sync = None
        sizes.append(wal_bytes(node.path))
    assert sizes == sorted(set(sizes))
    assert node.compactor.compact().wal_pages_left == 0
    before = wal_bytes(node.path)
    assert before > 300_000
    assert node.compactor.start_over()
    assert wal_bytes(node.path) == 0
    node.apply(20)
    assert 0 < wal_bytes(node.path) < before


def test_starting_over_gives_way_to_a_held_moment_and_to_an_open_transaction(node: Node) -> None:
    node.apply(10)
    readers = Readers(node.path, vfs=node.vfs.vfs_name)
    moment = readers.open_moment()
    node.apply(10)
    node.compactor.compact()
    assert not node.compactor.start_over()
    node.apply(10)
    moment.close()
    node.writer.execute("BEGIN IMMEDIATE")
    assert not node.compactor.start_over()
    node.writer.execute("COMMIT")
    assert node.compactor.start_over()
    assert node.compactor.compact().durable.index == 30
    readers.close()


def test_compaction_writes_what_changed_and_not_the_database(node: Node) -> None:
    node.apply(40, pad=250_000)
    node.compactor.compact()
    size = node.path.stat().st_size
    assert size > 10_000_000
    node.vfs.written.clear()
    node.apply(3)
    assert node.compactor.compact().durable.index == 43
    assert sum(node.vfs.written.values()) < 200_000


def test_compaction_waits_for_no_writer(node: Node) -> None:
    node.apply(5)
    node.writer.execute("BEGIN IMMEDIATE; INSERT INTO t VALUES (6, NULL)")
    assert node.compactor.compact().durable.index == 5
    node.writer.execute("ROLLBACK")


def test_a_sync_that_fails_stops_the_node(node: Node) -> None:
    class Failing(Disk):
        def sync_file(self, path: Path) -> None:
            raise OSError(5, "Input/output error")

    node.apply(5)
    compactor = Compactor(node.path, Failing(), vfs=node.vfs.vfs_name)
    readers = Readers(node.path, vfs=node.vfs.vfs_name)
    readers.open_moment()
    node.apply(5)
    with pytest.raises(MachineStopped):
        compactor.compact()
    readers.close()
    compactor.close()


def test_an_error_while_copying_stops_the_node(node: Node) -> None:
    node.apply(5)
    vfs = UnsyncableVFS()
    compactor = Compactor(node.path, Disk(), vfs=vfs.vfs_name)
    with pytest.raises(MachineStopped):
        compactor.compact()
    compactor.close()


class UnsyncableVFS(apsw.VFS):
    def __init__(self) -> None:
        self.vfs_name = f"unsyncable-{id(self):x}"
        super().__init__(self.vfs_name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return UnsyncableFile("", name, flags)


class UnsyncableFile(apsw.VFSFile):
    def xSync(self, flags: int) -> None:
        raise apsw.IOError("fsync")
