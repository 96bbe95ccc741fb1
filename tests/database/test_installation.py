"""Every way a power cut may end an installation, tried one by one.

A folder's changes that were not synced may each have lasted or not, in any combination; a file
that was not synced may be empty.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import apsw
import pytest

from raftsql.database import internal, snapshot
from raftsql.database.disk import Disk
from raftsql.database.environment import Role, open_connection
from raftsql.database.installation import finish, install


class PowerCut(Exception):
    pass


class RecordingDisk(Disk):
    """Does to a real folder what it is told, notes what of it lasts, and stops at a step."""

    def __init__(self, folder: Path, stop_before: int) -> None:
        self.folder = folder
        self.steps = 0
        self.stop_before = stop_before
        self.durable = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.synced_files = set(self.durable) - {"incoming"}
        self.pending: list[Callable[[dict[str, bytes]], None]] = []

    def _step(self) -> None:
        if self.steps == self.stop_before:
            raise PowerCut
        self.steps += 1

    def sync_file(self, path: Path) -> None:
        self._step()
        self.synced_files.add(path.name)

    def sync_folder(self, path: Path) -> None:
        self._step()
        for change in self.pending:
            change(self.durable)
        self.pending = []

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        assert source.name in self.synced_files
        super().rename(source, target)
        self.synced_files.add(target.name)
        data = target.read_bytes()

        def change(names: dict[str, bytes]) -> None:
            names.pop(source.name, None)
            names[target.name] = data

        self.pending.append(change)

    def remove(self, path: Path) -> None:
        self._step()
        super().remove(path)
        self.pending.append(lambda names: (names.pop(path.name, None), None)[1])

    def survivors(self) -> Iterator[dict[str, bytes]]:
        for kept in product([False, True], repeat=len(self.pending)):
            names = dict(self.durable)
            for keep, change in zip(kept, self.pending, strict=True):
                if keep:
                    change(names)
            if "incoming" in names and "incoming" not in self.synced_files:
                names["incoming"] = b""
            yield names


def database(path: Path, value: str) -> apsw.Connection:
    connection = open_connection(path, Role.WRITER)
    internal.create(connection)
    connection.execute("CREATE TABLE t (value); CREATE TABLE pad (a)")
    connection.execute("INSERT INTO pad VALUES (randomblob(50000))")
    connection.execute("PRAGMA wal_checkpoint")
    connection.execute("INSERT INTO pad VALUES (randomblob(50000))")
    connection.execute("INSERT INTO t VALUES (?)", (value,))
    return connection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A live database killed with a WAL half copied, and a new file beside it."""
    new = database(tmp_path / "new", "new")
    new.execute("DROP TABLE pad")
    snapshot.take(tmp_path / "new", tmp_path / "incoming", Disk())
    running = database(tmp_path / "running", "old")
    folder = tmp_path / "folder"
    folder.mkdir()
    for suffix in ("", "-wal", "-shm"):
        shutil.copy(tmp_path / f"running{suffix}", folder / f"database{suffix}")
    shutil.move(tmp_path / "incoming", folder / "incoming")
    running.close()
    return folder


def value_after_restart(folder: Path) -> str:
    finish(folder / "database", Disk())
    connection = open_connection(folder / "database", Role.WRITER)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    ((value,),) = connection.execute("SELECT value FROM t").fetchall()
    connection.close()
    assert not list(folder.glob("*-ready"))
    return str(value)


def test_after_installing_the_new_file_is_the_database(folder: Path) -> None:
    assert (folder / "database-wal").stat().st_size > 0
    install(folder / "incoming", folder / "database", Disk())
    assert [path.name for path in folder.iterdir()] == ["database"]
    assert value_after_restart(folder) == "new"


def test_every_power_cut_leaves_the_old_database_or_the_new_one(
    folder: Path, tmp_path: Path
) -> None:
    outcomes: list[str] = []
    for stop_before in range(20):
        attempt = tmp_path / f"attempt {stop_before}"
        shutil.copytree(folder, attempt)
        disk = RecordingDisk(attempt, stop_before)
        try:
            install(attempt / "incoming", attempt / "database", disk)
        except PowerCut:
            pass
        else:
            break
        for number, names in enumerate(disk.survivors()):
            left = tmp_path / f"left {stop_before} {number}"
            left.mkdir()
            for name, data in names.items():
                (left / name).write_bytes(data)
            outcomes.append(value_after_restart(left))
    else:
        pytest.fail("the installation never ended")
    assert stop_before == 9
    assert set(outcomes) == {"old", "new"}


def test_a_power_cut_during_the_repair_is_repaired_too(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PowerCut):
        install(folder / "incoming", folder / "database", RecordingDisk(folder, 3))
    tried = 0
    for stop_before in range(10):
        attempt = tmp_path / f"attempt {stop_before}"
        shutil.copytree(folder, attempt)
        disk = RecordingDisk(attempt, stop_before)
        disk.synced_files = set(disk.durable)
        try:
            finish(attempt / "database", disk)
            break
        except PowerCut:
            pass
        for number, names in enumerate(disk.survivors()):
            left = tmp_path / f"left {stop_before} {number}"
            left.mkdir()
            for name, data in names.items():
                (left / name).write_bytes(data)
            assert value_after_restart(left) == "new"
            tried += 1
    assert tried > 8


def test_there_is_nothing_to_finish_where_nothing_was_begun(folder: Path) -> None:
    assert not finish(folder / "database", Disk())
    assert value_after_restart(folder) == "old"
