"""The operating system and the file system in memory keep the same promises."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from random import Random

import pytest

from raftsql.storage.files import Files, RealFile, RealFiles
from tests.simulator.faulty_files import Fault, MemoryFiles


@pytest.fixture(params=["real", "memory"])
def files(request: pytest.FixtureRequest) -> Files:
    return RealFiles() if request.param == "real" else MemoryFiles()


def test_a_file_is_written_at_offsets_and_read_back(files: Files, tmp_path: Path) -> None:
    folder = tmp_path / "x" / "y"
    files.make_folder(folder)
    file = files.create(folder / "a")
    file.write(3, b"three")
    file.write(4, b"HR")
    assert file.read(0, 100) == b"\0\0\0tHRee"
    assert file.read(100, 5) == b""
    file.preallocate(20)
    assert file.size() == 20
    file.preallocate(10)
    assert file.size() == 20
    file.truncate(5)
    assert file.read(0, 100) == b"\0\0\0tH"
    file.sync()
    file.close()
    file.close()
    assert files.open(folder / "a").read(0, 100) == b"\0\0\0tH"
    assert files.create(folder / "a").size() == 0


def test_names_are_listed_changed_and_removed(files: Files, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    files.make_folder(folder)
    for name in ("b", "a"):
        files.create(folder / name).close()
    assert files.names(folder) == ["a", "b"]
    files.rename(folder / "a", folder / "b")
    assert files.names(folder) == ["b"]
    assert files.exists(folder / "b")
    assert not files.exists(folder / "a")
    files.unlink(folder / "b")
    files.sync_folder(folder)
    assert files.names(folder) == []
    with pytest.raises(FileNotFoundError):
        files.open(folder / "b")
    with pytest.raises(FileNotFoundError):
        files.names(folder / "nowhere")


def test_a_file_is_read_after_its_name_is_gone(files: Files, tmp_path: Path) -> None:
    files.make_folder(tmp_path / "x")
    file = files.create(tmp_path / "x" / "a")
    file.write(0, b"here")
    files.unlink(tmp_path / "x" / "a")
    assert file.read(0, 4) == b"here"


def test_a_lock_is_held_by_one_until_it_is_released(files: Files, tmp_path: Path) -> None:
    files.make_folder(tmp_path / "x")
    lock = files.lock(tmp_path / "x" / "lock")
    assert lock is not None
    assert files.lock(tmp_path / "x" / "lock") is None
    lock.release()
    assert files.lock(tmp_path / "x" / "lock") is not None


def test_a_write_that_comes_short_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, file = os.pwrite, RealFiles().create(tmp_path / "a")
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: whole(fd, bytes(data)[:7], at))
    file.write(2, b"0123456789" * 3)
    assert file.read(0, 99) == b"\0\0" + b"0123456789" * 3


def test_a_full_disk_is_an_error_of_the_write() -> None:
    full = RealFile(os.open("/dev/full", os.O_RDWR))
    with pytest.raises(OSError, match="No space") as raised:
        full.write(0, b"x")
    assert raised.value.errno == errno.ENOSPC


def test_a_crash_keeps_what_was_synced_and_any_part_of_the_rest() -> None:
    seen = set()
    for seed in range(200):
        files, path = MemoryFiles(), Path("/a")
        file = files.create(path)
        file.write(0, b"s" * 1024)
        file.sync()
        files.sync_folder(path.parent)
        file.write(0, b"n" * 1024)
        files.crash(Random(seed))
        content = files.content(path)
        assert len(content) == 1024
        seen.add((content[:512].count(b"n") // 511, content[512:].count(b"n") // 511))
    assert seen == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_a_failed_sync_drops_what_was_written_and_the_next_one_lies() -> None:
    files, path = MemoryFiles(), Path("/a")
    file = files.create(path)
    files.sync_folder(path.parent)
    file.write(0, b"lost")
    files.fail_at(1, Fault.LOST_SYNC)
    with pytest.raises(OSError, match="sync failed"):
        file.sync()
    file.sync()
    assert file.read(0, 4) == b"lost"
    files.crash(Random(1))
    assert files.content(path) == b""
