"""What a start makes of the files it finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from raftsql.raft.messages import HardState, Position
from raftsql.storage.errors import CorruptJournal
from raftsql.storage.recovery import recover, scan
from raftsql.storage.segment import index_path, segment_name
from tests.simulator.faulty_files import MemoryFiles
from tests.storage.histories import FOLDER, Append, Compact, Model, Vote, do, opened


def segment(number: int) -> Path:
    return FOLDER / segment_name(number)


def written(*steps: Append | Vote | Compact) -> MemoryFiles:
    """The files of a journal that was killed after these steps."""
    files = MemoryFiles()
    journal, model = opened(files), Model()
    for step in steps:
        model = do(journal, model, step)
    return files


SEVERAL = tuple(Append(count=10, payload_bytes=150) for _ in range(6))


def test_an_empty_folder_holds_no_log() -> None:
    files = MemoryFiles()
    files.make_folder(FOLDER)
    found = recover(files, FOLDER)
    assert (found.segments, found.active, found.leftovers) == ([], None, [])


def test_the_last_batch_tells_the_whole_state() -> None:
    files = written(Append(count=3, payload_bytes=10, new_term=True), Vote())
    active = recover(files, FOLDER).active
    assert active is not None
    assert active.segment.last.index == 3
    assert active.segment.state.term >= active.segment.last.term
    assert active.segment.state.vote != 0


def test_recovery_changes_nothing() -> None:
    files = written(*SEVERAL)
    before = {name: files.content(FOLDER / name) for name in files.names(FOLDER)}
    recover(files, FOLDER)
    assert {name: files.content(FOLDER / name) for name in files.names(FOLDER)} == before


def test_a_full_segment_is_read_where_its_index_is_damaged() -> None:
    files = written(*SEVERAL)
    first = recover(files, FOLDER).segments[0]
    files.flip(index_path(segment(1)), 40, 3)
    again = recover(files, FOLDER).segments[0]
    assert (again.last, again.samples, again.runs) == (first.last, first.samples, first.runs)


def test_a_removed_segment_that_a_crash_brought_back_is_a_leftover() -> None:
    files = written(*SEVERAL)
    old = files.content(segment(1))
    journal = opened(files)
    journal.compact(journal.last)
    [left] = [name for name in files.names(FOLDER) if name.endswith(".segment")]
    assert left > segment_name(2), "there is a gap before what is left"
    files.create(segment(1)).write(0, old)
    assert recover(files, FOLDER).leftovers == [segment(1)]


def test_a_new_segment_whose_first_batch_never_came_is_a_leftover() -> None:
    files = written(*SEVERAL)
    [*_, last] = [name for name in files.names(FOLDER) if name.endswith(".segment")]
    number = int(last.partition(".")[0])
    position = recover(files, FOLDER).segments[-1].last
    files.create(segment(number + 1)).preallocate(4096)
    found = recover(files, FOLDER)
    assert found.leftovers == [segment(number + 1)]
    assert found.segments[-1].last == position


def test_the_segment_that_an_index_promises_may_not_be_missing() -> None:
    files = written(*SEVERAL)
    names = [name for name in files.names(FOLDER) if name.endswith(".segment")]
    files.unlink(FOLDER / names[-1])
    with pytest.raises(CorruptJournal, match="the segment that followed it is lost"):
        recover(files, FOLDER)


def test_a_scan_ends_where_the_bytes_are_not_sound() -> None:
    files = written(Append(count=2, payload_bytes=10), Append(count=2, payload_bytes=10))
    whole = scan(files, segment(1), 1)
    files.flip(segment(1), whole.segment.end - 6, 0)
    cut = scan(files, segment(1), 1)
    assert cut.segment.last_batch == whole.segment.last_batch - 1
    assert cut.segment.last == Position(2, whole.segment.last.term)
    assert cut.segment.state == HardState(cut.segment.last.term, cut.segment.state.vote)
