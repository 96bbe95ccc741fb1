"""The journal's promises, one case each."""

from __future__ import annotations

from pathlib import Path

import pytest

from raftsql.raft.messages import ORIGIN, Entry, EntryKind, HardState, Position
from raftsql.storage.errors import EntriesCompacted, JournalPoisoned
from raftsql.storage.files import RealFiles
from raftsql.storage.journal import Journal
from tests.simulator.faulty_files import Fault, MemoryFiles

FOLDER = Path("/node/journal")
SMALL = 8192
TERM = HardState(1, 0)


def entry(index: int, term: int = 1, payload: bytes | None = None) -> Entry:
    return Entry(term, index, EntryKind.COMMAND, payload or b"command %d of %d" % (index, term))


def entries(first: int, last: int, term: int = 1) -> list[Entry]:
    return [entry(index, term) for index in range(first, last + 1)]


def everything(journal: Journal) -> list[Entry]:
    if journal.base.index == journal.last.index:
        return []
    return journal.read(journal.base.index + 1, journal.last.index, 1 << 30)


def opened(files: MemoryFiles) -> Journal:
    return Journal.open(FOLDER, files, segment_bytes=SMALL)


def test_a_new_journal_is_empty() -> None:
    journal = opened(MemoryFiles())
    assert (journal.state, journal.base, journal.last) == (HardState(0, 0), ORIGIN, ORIGIN)
    assert journal.runs() == []


def test_what_was_saved_is_there_after_a_restart(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal", RealFiles())
    journal.save(HardState(3, 2), entries(1, 100, term=2) + entries(101, 200, term=3))
    journal.close()
    again = Journal.open(tmp_path / "journal", RealFiles())
    assert again.state == HardState(3, 2)
    assert again.last == Position(200, 3)
    assert again.runs() == [Position(1, 2), Position(101, 3)]
    assert everything(again) == entries(1, 100, term=2) + entries(101, 200, term=3)
    again.close()


def test_a_save_is_one_write_and_one_sync() -> None:
    files = MemoryFiles()
    journal = opened(files)
    calls: list[str] = []
    files.log = calls.append
    journal.save(HardState(1, 1), entries(1, 50))
    assert calls == ["write", "sync"]


def test_a_save_of_nothing_new_touches_no_disk() -> None:
    files = MemoryFiles()
    journal = opened(files)
    before = files.calls
    journal.save(None, [])
    journal.save(HardState(0, 0), [])
    assert files.calls == before


def test_entries_spread_over_many_segments_are_read_in_order() -> None:
    files = MemoryFiles()
    journal = opened(files)
    for first in range(1, 1001, 10):
        journal.save(HardState(1, 0), entries(first, first + 9))
    assert len([name for name in files.names(FOLDER) if name.endswith(".segment")]) > 3
    assert everything(journal) == entries(1, 1000)
    assert everything(opened(files)) == entries(1, 1000)


def test_a_batch_larger_than_a_segment_is_kept_whole() -> None:
    files = MemoryFiles()
    journal = opened(files)
    large = [entry(1), entry(2, payload=b"x" * 5 * SMALL), entry(3)]
    journal.save(TERM, large)
    journal.save(TERM, [entry(4)])
    assert everything(opened(files)) == [*large, entry(4)]


def test_a_read_gives_at_least_one_entry_and_stops_at_its_bound() -> None:
    journal = opened(MemoryFiles())
    journal.save(TERM, [entry(index, payload=b"p" * 100) for index in range(1, 51)])
    assert [e.index for e in journal.read(10, 50, 1)] == [10]
    assert [e.index for e in journal.read(10, 50, 350)] == [10, 11, 12]
    assert [e.index for e in journal.read(10, 12, 1 << 20)] == [10, 11, 12]


@pytest.mark.parametrize("segment_bytes", [1024, SMALL, 1 << 20])
def test_a_conflicting_suffix_is_replaced(segment_bytes: int) -> None:
    files = MemoryFiles()
    journal = Journal.open(FOLDER, files, segment_bytes=segment_bytes)
    for first in range(1, 101, 5):
        journal.save(HardState(1, 0), entries(first, first + 4))
    journal.save(HardState(2, 0), entries(38, 45, term=2))
    journal.save(HardState(3, 0), entries(41, 90, term=3))
    expected = entries(1, 37) + entries(38, 40, term=2) + entries(41, 90, term=3)
    assert everything(journal) == expected
    assert journal.runs() == [Position(1, 1), Position(38, 2), Position(41, 3)]
    again = Journal.open(FOLDER, files, segment_bytes=segment_bytes)
    assert everything(again) == expected
    assert again.runs() == journal.runs()
    for first in range(1, 91):
        assert again.read(first, 90, 1 << 20) == expected[first - 1 :]


def test_compaction_moves_the_base_and_removes_whole_segments() -> None:
    files = MemoryFiles()
    journal = opened(files)
    for first in range(1, 1001, 10):
        journal.save(HardState(4, 1), entries(first, first + 9, term=4))
    before = len(files.names(FOLDER))
    journal.compact(Position(777, 4))
    assert len(files.names(FOLDER)) < before
    for each in (journal, opened(files)):
        assert each.base == Position(777, 4)
        assert each.last == Position(1000, 4)
        assert each.runs() == [Position(778, 4)]
        assert each.state == HardState(4, 1)
        assert everything(each) == entries(778, 1000, term=4)
        with pytest.raises(EntriesCompacted):
            each.read(777, 800, 100)


def test_a_log_compacted_to_its_end_goes_on_after_it() -> None:
    files = MemoryFiles()
    journal = opened(files)
    journal.save(HardState(1, 0), entries(1, 500))
    journal.compact(Position(500, 1))
    assert (journal.base, journal.last, journal.runs()) == (Position(500, 1), Position(500, 1), [])
    journal.save(TERM, entries(501, 510))
    assert everything(opened(files)) == entries(501, 510)


@pytest.mark.parametrize("base", [Position(50, 2), Position(100, 2), Position(5000, 2)])
def test_a_reset_leaves_an_empty_log_after_its_base(base: Position) -> None:
    files = MemoryFiles()
    journal = opened(files)
    journal.save(HardState(1, 0), entries(1, 100))
    journal.reset(base, HardState(2, 0))
    for each in (journal, opened(files)):
        assert (each.base, each.last, each.state) == (base, base, HardState(2, 0))
        assert each.runs() == []
    journal = opened(files)
    more = entries(base.index + 1, base.index + 70, term=2)
    journal.save(None, more)
    assert everything(journal) == more
    assert everything(opened(files)) == more
    assert journal.runs() == [Position(base.index + 1, 2)]


def test_a_gap_is_a_programmer_error() -> None:
    journal = opened(MemoryFiles())
    journal.save(TERM, entries(1, 3))
    with pytest.raises(AssertionError, match="does not follow"):
        journal.save(TERM, [entry(5)])
    with pytest.raises(AssertionError, match="in the place of"):
        journal.save(TERM, [entry(4), entry(6)])
    assert everything(journal) == entries(1, 3)


def test_a_term_never_goes_back_and_a_vote_is_not_changed() -> None:
    journal = opened(MemoryFiles())
    journal.save(HardState(5, 0), [])
    journal.save(HardState(5, 1), [])
    with pytest.raises(AssertionError, match="never goes back"):
        journal.save(HardState(4, 1), [])
    for vote in (0, 2):
        with pytest.raises(AssertionError, match="can't be changed"):
            journal.save(HardState(5, vote), [])


def test_a_term_is_durable_no_later_than_its_entries() -> None:
    journal = opened(MemoryFiles())
    with pytest.raises(AssertionError, match="no later than"):
        journal.save(HardState(1, 0), [entry(1, term=2)])


@pytest.mark.parametrize("fault", [Fault.EIO, Fault.ENOSPC, Fault.SHORT_WRITE, Fault.LOST_SYNC])
@pytest.mark.parametrize("call", [1, 2])
def test_a_failed_write_or_sync_poisons_the_journal(fault: Fault, call: int) -> None:
    files = MemoryFiles()
    journal = opened(files)
    journal.save(TERM, entries(1, 3))
    files.fail_at(call, fault)
    with pytest.raises(JournalPoisoned):
        journal.save(TERM, entries(4, 6))
    calls = files.calls
    for later in (
        lambda: journal.save(TERM, entries(4, 6)),
        lambda: journal.read(1, 2, 100),
        lambda: journal.compact(Position(2, 1)),
        lambda: journal.reset(Position(9, 9)),
    ):
        with pytest.raises(JournalPoisoned):
            later()
    journal.close()
    assert files.calls == calls, "a poisoned journal touches the disk no more"
    assert everything(opened(files))[:3] == entries(1, 3)


def test_no_room_for_a_new_segment_loses_nothing() -> None:
    files = MemoryFiles()
    journal = opened(files)
    last = 0
    # The call after "create" is the preallocation.
    files.log = lambda name: files.fail_at(1, Fault.ENOSPC) if name == "create" else None
    for last in range(100):
        try:
            journal.save(TERM, [entry(last + 1, payload=b"p" * 300)])
        except JournalPoisoned:
            break
    assert 10 < last < 99
    files.log = None
    again = opened(files)
    assert again.last.index == last
    again.save(None, [entry(last + 1)])
    assert everything(opened(files))[-1] == entry(last + 1)


def test_an_index_of_a_full_segment_that_is_damaged_is_not_used() -> None:
    files = MemoryFiles()
    journal = opened(files)
    for first in range(1, 501, 10):
        journal.save(HardState(1, 0), entries(first, first + 9))
    journal.save(HardState(2, 0), entries(200, 210, term=2))
    journal.close()
    expected = entries(1, 199) + entries(200, 210, term=2)
    names = [name for name in files.names(FOLDER) if name.endswith(".index")]
    assert names
    for name in names:
        files.flip(FOLDER / name, 60, 3)
    assert everything(opened(files)) == expected
    for name in names:
        files.unlink(FOLDER / name)
    assert everything(opened(files)) == expected


def test_compaction_keeps_exactly_what_follows_the_base() -> None:
    for upto in range(1, 131):
        files = MemoryFiles()
        journal = Journal.open(FOLDER, files, segment_bytes=1024)
        for first in range(1, 121, 4):
            journal.save(TERM, entries(first, first + 3))
        journal.save(HardState(2, 0), entries(115, 130, term=2))
        journal.compact(Position(upto, journal.term(upto)))
        expected = (entries(1, 114) + entries(115, 130, term=2))[upto:]
        assert everything(journal) == expected
        assert everything(Journal.open(FOLDER, files, segment_bytes=1024)) == expected


def test_removed_segments_that_a_crash_brought_back_are_removed_again() -> None:
    for back in range(1, 16):
        files = MemoryFiles()
        journal = opened(files)
        for first in range(1, 1001, 10):
            journal.save(TERM, entries(first, first + 9))
        names = [name for name in files.names(FOLDER) if name.endswith(".segment")]
        removed = {name: files.seen[str(FOLDER / name)] for name in names[:4]}
        journal.compact(Position(900, 1))
        assert len(names) > 5
        for place, name in enumerate(removed):
            if back >> place & 1:
                files.seen[str(FOLDER / name)] = removed[name]
        assert everything(opened(files)) == entries(901, 1000)
        assert not set(removed) & set(files.names(FOLDER))


def test_the_newest_segments_are_found_by_their_bytes() -> None:
    journal = opened(MemoryFiles())
    for index in range(1, 41):
        journal.save(TERM, [entry(index, payload=b"x" * 1000)])
    assert 40_000 < journal.size < 60_000
    assert journal.first_within(1 << 30) == 1
    first = journal.first_within(20_000)
    assert 20 < first <= 33, "at most 20 entries of 1000 bytes, and whole segments only"
    assert journal.first_within(0) > first, "the newest segment is always within"


def test_after_a_reset_no_entry_is_within_any_bytes() -> None:
    journal = opened(MemoryFiles())
    journal.save(TERM, entries(1, 5))
    journal.reset(Position(9, 1))
    assert journal.first_within(1 << 30) == 10
