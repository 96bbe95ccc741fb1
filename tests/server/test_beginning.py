"""What a node notes before it has a place is there after a crash, as a whole or not at all."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from raftsql.server.beginning import Beginning, begin, begun, end
from raftsql.storage.datadir import DataDir, Identity, check_free
from raftsql.storage.errors import NotADataDir
from tests.simulator.faulty_files import Fault, MemoryFiles, PowerLoss

FOLDER = Path("/d")
FIRST = Beginning("identity", founds=True)


@pytest.fixture
def files() -> MemoryFiles:
    made = MemoryFiles()
    made.make_folder(FOLDER)
    return made


def test_what_was_noted_is_remembered_until_it_ends(files: MemoryFiles) -> None:
    assert begun(FOLDER, files) is None
    begin(FOLDER, files, FIRST)
    assert begun(FOLDER, files) == FIRST
    end(FOLDER, files)
    end(FOLDER, files)
    assert begun(FOLDER, files) is None


def test_it_survives_a_crash_once_it_was_noted(files: MemoryFiles) -> None:
    begin(FOLDER, files, FIRST)
    files.crash(Random(1))
    assert begun(FOLDER, files) == FIRST


@pytest.mark.parametrize("call", range(1, 8))
@pytest.mark.parametrize("seed", range(5))
def test_a_crash_while_it_is_noted_leaves_it_whole_or_away(call: int, seed: int) -> None:
    files = MemoryFiles()
    files.make_folder(FOLDER)
    files.fail_at(call, Fault.POWER)
    try:
        begin(FOLDER, files, FIRST)
    except PowerLoss:
        files.crash(Random(seed))
    files.forget_faults()
    assert begun(FOLDER, files) in (None, FIRST)


def test_a_damaged_note_is_no_guess(files: MemoryFiles) -> None:
    begin(FOLDER, files, FIRST)
    files.flip(FOLDER / "beginning", 5, 0)
    with pytest.raises(NotADataDir, match="Empty"):
        begun(FOLDER, files)


def test_a_folder_that_only_holds_a_beginning_is_free(files: MemoryFiles) -> None:
    begin(FOLDER, files, FIRST)
    check_free(FOLDER, files)
    DataDir.create(FOLDER, files, Identity(1, 1, "identity")).close()
