"""The layer that loses unsynced writes, on real files; and the knobs of disks and clocks."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from raftsql.database.environment import Role, open_connection
from tests.faults.clocks import Skewed
from tests.faults.disks import Undo, lose
from tests.faults.knobs import Knobs
from tests.faults.nodes import PROJECT


class Always(random.Random):
    """A chance that loses everything that may be lost."""

    def choice(self, choices: Any) -> Any:
        return choices[-1]

    def random(self) -> float:
        return 0.0


class Written:
    """A file that is written through the notes, as the layer writes it."""

    def __init__(self, path: Path, undo: Undo) -> None:
        self.path, self._undo = path, undo
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)
        self._inode = os.fstat(self._file).st_ino

    def write(self, offset: int, data: bytes) -> None:
        self._undo.before(self._file, offset, len(data))
        os.pwrite(self._file, data, offset)

    def sync(self) -> None:
        self._undo.synced(self._inode, self._undo.marker(self._inode))

    def close(self) -> None:
        os.close(self._file)


@pytest.fixture
def written(tmp_path: Path) -> Any:
    (tmp_path / "data").mkdir()
    file = Written(tmp_path / "data" / "file", Undo(tmp_path / "undo"))
    yield file
    file.close()


def lost(written: Written) -> int:
    folder = written.path.parent
    return lose(folder.parent / "undo", folder, Always())


def test_what_was_synced_stays(written: Written) -> None:
    written.write(0, b"abc")
    written.sync()
    assert lost(written) == 0
    assert written.path.read_bytes() == b"abc"


def test_what_was_never_synced_goes_and_the_file_is_as_long_as_before(written: Written) -> None:
    written.write(0, b"abc")
    written.sync()
    written.write(1, b"XYZ")
    written.write(4, b"!")
    assert lost(written) == 2
    assert written.path.read_bytes() == b"abc"


def test_syncs_that_overlap_count_each_write_once(tmp_path: Path) -> None:
    undo = Undo(tmp_path / "undo")
    with (tmp_path / "file").open("w+b") as file:
        inode = os.fstat(file.fileno()).st_ino
        undo.before(file.fileno(), 0, 1)
        first = undo.marker(inode)
        undo.before(file.fileno(), 1, 1)
        second = undo.marker(inode)
        undo.before(file.fileno(), 2, 1)
        undo.synced(inode, second)
        undo.synced(inode, first)
    assert lose(tmp_path / "undo", tmp_path, Always()) == 1


def test_a_write_during_a_sync_is_not_synced_by_it(written: Written) -> None:
    written.write(0, b"abc")
    undo, inode = written._undo, written._inode
    marker = undo.marker(inode)
    written.write(0, b"xyz")
    undo.synced(inode, marker)
    assert lost(written) == 1
    assert written.path.read_bytes() == b"abc"


def test_any_part_may_stay(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    kept = set()
    for seed in range(60):
        file = Written(tmp_path / "data" / f"file{seed}", Undo(tmp_path / "undo"))
        file.write(0, b"a" * 2048)
        file.sync()
        file.write(0, b"b" * 2048)
        lose(tmp_path / "undo", tmp_path / "data", random.Random(seed))
        kept.add(file.path.read_bytes().count(b"b") // 512)
        file.close()
    assert {0, 4} < kept, "all, nothing, and something in between"


def test_a_file_that_is_gone_is_no_matter(written: Written) -> None:
    written.write(0, b"abc")
    written.path.unlink()
    assert lost(written) == 0


WRITER = """
import os, sys
from pathlib import Path
os.environ["TZ"] = "UTC"
from tests.faults import disks
from tests.faults.knobs import Knobs
folder = Path(sys.argv[1])
knobs = Knobs(folder / "knobs")
disks.install(knobs, folder / "undo")
from raftsql.database.disk import Disk
from raftsql.database.environment import Role, open_connection
import apsw
path = folder / "data" / "database.db"
connection = open_connection(path, Role.WRITER)
connection.execute("CREATE TABLE item(number)")
connection.execute("INSERT INTO item VALUES (1)")
Disk().sync_file(path.with_name("database.db-wal"))
for number in range(2, 50):
    connection.execute("INSERT INTO item VALUES (?)", (number,))
knobs.full = True
try:
    connection.execute("INSERT INTO item VALUES (50)")
except apsw.FullError:
    os._exit(9)
"""


def test_sqlite_loses_what_was_not_synced_and_is_sound_afterwards(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, timeout=60, check=False)
    assert done.returncode == 9, done.stderr.decode()
    assert lose(tmp_path / "undo", tmp_path / "data", Always()) >= 48
    connection = open_connection(tmp_path / "data" / "database.db", Role.SERVICE)
    assert connection.execute("SELECT number FROM item").fetchall() == [(1,)]
    connection.close()


def test_knobs_are_seen_by_who_else_has_them(tmp_path: Path) -> None:
    ours, theirs = Knobs(tmp_path / "knobs"), Knobs(tmp_path / "knobs")
    ours.sync_fails, ours.full, ours.slow_ms = True, True, 70
    ours.wall_ms, ours.steady_ppm = -3_600_000, 40_000
    assert (theirs.sync_fails, theirs.full, theirs.slow_ms) == (True, True, 70)
    assert (theirs.wall_ms, theirs.steady_ppm) == (-3_600_000, 40_000)
    ours.close()
    theirs.close()


class Loop:
    """A loop whose time is set."""

    def __init__(self) -> None:
        self.now = 100.0
        self.calls: list[float] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Any) -> None:
        self.calls.append(when)


def test_a_drifting_clock_is_ahead_by_its_drift_and_never_goes_back(tmp_path: Path) -> None:
    loop, knobs = Loop(), Knobs(tmp_path / "knobs")
    clock = Skewed(loop, knobs)
    assert clock.time() == 100.0
    knobs.steady_ppm = 100_000
    clock.time()
    loop.now = 110.0
    assert clock.time() == pytest.approx(111.0)
    clock.call_at(122.0, print)
    assert loop.calls == [pytest.approx(120.0)]
    knobs.steady_ppm = 0
    assert clock.time() == pytest.approx(111.0)
    loop.now = 111.0
    assert clock.time() == pytest.approx(112.0)
    knobs.close()
