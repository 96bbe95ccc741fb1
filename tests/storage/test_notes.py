"""Small files of named values: the old one stands until the new one does, and no bit changes."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from raftsql.storage.files import RealFiles
from raftsql.storage.notes import NoteDamaged, read_note, write_note
from tests.simulator.faulty_files import Fault, MemoryFiles, PowerLoss

NOTE = Path("/node/note")
VALUES = {"cluster": 2**63, "name": 'é"\n', "members": [1, 2, 3], "nothing": None}


def noted() -> MemoryFiles:
    files = MemoryFiles()
    files.make_folder(NOTE.parent)
    write_note(files, NOTE, VALUES)
    return files


def test_a_note_gives_back_what_was_written(tmp_path: Path) -> None:
    write_note(RealFiles(), tmp_path / "note", VALUES)
    assert read_note(RealFiles(), tmp_path / "note") == VALUES


def test_a_note_is_replaced_as_a_whole() -> None:
    files = noted()
    write_note(files, NOTE, {"a": 1})
    assert read_note(files, NOTE) == {"a": 1}
    assert files.names(NOTE.parent) == ["note"]


def test_a_flipped_bit_anywhere_is_found_and_the_file_named() -> None:
    for offset in range(len(noted().content(NOTE))):
        for bit in range(8):
            files = noted()
            files.flip(NOTE, offset, bit)
            with pytest.raises(NoteDamaged, match=str(NOTE)):
                read_note(files, NOTE)


def test_a_note_cut_short_or_empty_is_found() -> None:
    size = len(noted().content(NOTE))
    for length in range(size):
        files = noted()
        files.open(NOTE).truncate(length)
        with pytest.raises(NoteDamaged):
            read_note(files, NOTE)


def test_a_crash_at_any_call_leaves_the_old_note_or_the_new_one() -> None:
    call = 0
    while True:
        call += 1
        for seed in range(4):
            files = noted()
            files.fail_at(call, Fault.POWER)
            try:
                write_note(files, NOTE, {"a": 1})
            except PowerLoss:
                files.crash(Random(seed))
                assert read_note(files, NOTE) in (VALUES, {"a": 1})
            else:
                assert call > 4, "writing a note takes several calls"
                return
