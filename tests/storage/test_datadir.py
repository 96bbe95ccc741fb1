"""Whose a data directory is, and that one process has it."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from raftsql.storage.datadir import DataDir, Identity, is_data_dir
from raftsql.storage.errors import DataDirLocked, NewerFormat, NotADataDir, OtherNode
from raftsql.storage.files import RealFiles
from tests.simulator.faulty_files import Fault, MemoryFiles, PowerLoss

IDENTITY = Identity(cluster=0xABCDEF, node=3, unique="5f0c")


def test_a_created_directory_is_opened_with_its_identity(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "node"
    created = DataDir.create(folder, RealFiles(), IDENTITY)
    assert created.identity == IDENTITY
    created.close()
    opened = DataDir.open(folder, RealFiles(), node=3)
    assert opened.identity == IDENTITY
    assert opened.journal.parent == opened.snapshots.parent == opened.database.parent == folder
    opened.close()


def test_a_second_process_is_told_who_has_the_directory(tmp_path: Path) -> None:
    created = DataDir.create(tmp_path, RealFiles(), IDENTITY)
    with pytest.raises(DataDirLocked, match=rf"process {os.getpid()}\)\. Stop that one first"):
        DataDir.open(tmp_path, RealFiles())
    created.close()
    DataDir.open(tmp_path, RealFiles()).close()


def test_a_folder_that_holds_something_else_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(NotADataDir, match=r"thesis\.tex"):
        DataDir.create(tmp_path, RealFiles(), IDENTITY)
    with pytest.raises(NotADataDir, match="is not a raftsql data directory"):
        DataDir.open(tmp_path, RealFiles())


def test_a_directory_is_made_once(tmp_path: Path) -> None:
    DataDir.create(tmp_path, RealFiles(), IDENTITY).close()
    with pytest.raises(NotADataDir, match="identity"):
        DataDir.create(tmp_path, RealFiles(), IDENTITY)


def test_a_refused_directory_is_not_kept_locked(tmp_path: Path) -> None:
    DataDir.create(tmp_path, RealFiles(), IDENTITY).close()
    with pytest.raises(OtherNode):
        DataDir.open(tmp_path, RealFiles(), node=4)
    DataDir.open(tmp_path, RealFiles(), node=3).close()


def test_another_node_is_refused(tmp_path: Path) -> None:
    DataDir.create(tmp_path, RealFiles(), IDENTITY).close()
    with pytest.raises(OtherNode, match="belongs to node 3, not to node 4"):
        DataDir.open(tmp_path, RealFiles(), node=4)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    newer = Identity(cluster=1, node=1, unique="", format=99)
    DataDir.create(tmp_path, RealFiles(), newer).close()
    with pytest.raises(NewerFormat, match="newer release"):
        DataDir.open(tmp_path, RealFiles())


def test_a_damaged_identity_is_refused() -> None:
    files, folder = MemoryFiles(), Path("/node")
    DataDir.create(folder, files, IDENTITY).close()
    for offset in range(len(files.content(folder / "identity"))):
        files.flip(folder / "identity", offset, 0)
        with pytest.raises(NotADataDir, match="damaged"):
            DataDir.open(folder, files)
        files.flip(folder / "identity", offset, 0)
    assert DataDir.open(folder, files).identity == IDENTITY


@pytest.mark.parametrize("fault", list(Fault))
def test_a_directory_is_made_completely_or_can_be_made_again(fault: Fault) -> None:
    folder = Path("/node")
    for call in range(1, 9):
        files = MemoryFiles()
        files.fail_at(call, fault)
        try:
            DataDir.create(folder, files, IDENTITY).close()
        except (OSError, PowerLoss):
            files.forget_faults()
            files.crash(Random(call))
        files.forget_faults()
        if not is_data_dir(folder, files):
            DataDir.create(folder, files, IDENTITY).close()
        files.crash(Random(call))
        assert DataDir.open(folder, files).identity == IDENTITY
