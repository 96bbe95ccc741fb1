"""Bits that flip at rest: found and named, or without effect; never another answer."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from raftsql.raft.messages import ORIGIN, Entry, EntryKind
from raftsql.storage.batch import ALIGNMENT, HEADER, RECORD, Batch, encode_header
from raftsql.storage.errors import CorruptJournal
from raftsql.storage.segment import PREAMBLE_BYTES
from tests.simulator.faulty_files import MemoryFiles
from tests.storage.histories import FOLDER, Append, Compact, Model, Vote, do, held, opened

FIRST = FOLDER / "0000000000000001.segment"


def written(files: MemoryFiles, *, close: bool) -> Model:
    """A journal of three segments whose first is full."""
    journal, model = opened(files), Model()
    for step in (
        Append(count=20, payload_bytes=50),
        Append(count=3, payload_bytes=90, replaced=2),
        Vote(),
        Append(count=30, payload_bytes=70),
        Append(count=10, payload_bytes=150),
        Append(count=10, payload_bytes=70, new_term=True),
        Compact(percent=3),
        Append(count=1, payload_bytes=70),
    ):
        model = do(journal, model, step)
    if close:
        journal.close()
    return model


def named_damage(files: MemoryFiles, model: Model) -> CorruptJournal | None:
    """The error that names the damage; without one the journal must hold what the model holds."""
    try:
        found = held(opened(files))
    except CorruptJournal as error:
        return error
    assert found == model
    return None


def test_a_flipped_bit_anywhere_in_a_closed_journal_is_named_or_without_effect() -> None:
    reference = MemoryFiles()
    model = written(reference, close=True)
    paths = [FOLDER / name for name in reference.names(FOLDER)]
    assert len([path for path in paths if path.suffix == ".segment"]) >= 2
    named = 0
    for path in paths:
        used = len(reference.content(path).rstrip(b"\0"))
        for offset in [*range(0, used, 5), used - 1, used]:
            if offset >= len(reference.content(path)):
                continue
            files = MemoryFiles()
            written(files, close=True)
            files.flip(path, offset, offset % 8)
            damage = named_damage(files, model)
            if damage is not None:
                assert damage.file == path
                assert damage.offset <= offset
                named += 1
    assert named > 1000


def test_damage_in_a_full_segment_is_found_when_it_is_read() -> None:
    files = MemoryFiles()
    written(files, close=True)
    offset = PREAMBLE_BYTES + ALIGNMENT + HEADER.size + 200
    files.flip(FIRST, offset, 0)
    journal = opened(files)
    with pytest.raises(CorruptJournal) as raised:
        held(journal)
    assert raised.value.file == FIRST
    assert raised.value.offset <= offset


def test_a_length_that_runs_out_of_the_file_is_damage_before_any_memory_is_taken_for_it() -> None:
    files = MemoryFiles()
    journal, model = opened(files), Model()
    for _ in range(2):
        model = do(journal, model, Append(count=30, payload_bytes=70))
    assert FIRST.with_suffix(".index").name in files.names(FOLDER), "the first segment is full"
    record = PREAMBLE_BYTES + ALIGNMENT + HEADER.size + RECORD.size + 70
    files.flip(FIRST, record + 3, 5)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptJournal) as raised:
            journal.read(2, 2, 100)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (raised.value.file, raised.value.offset) == (FIRST, record)
    assert peak < 1 << 20


def test_a_flipped_bit_in_a_full_segment_without_an_index_is_named_at_the_start() -> None:
    reference = MemoryFiles()
    written(reference, close=True)
    used = len(reference.content(FIRST).rstrip(b"\0"))
    for offset in range(0, used, 13):
        files = MemoryFiles()
        model = written(files, close=True)
        files.unlink(FIRST.with_suffix(".index"))
        files.flip(FIRST, offset, offset % 8)
        damage = named_damage(files, model)
        if damage is None:
            # Between two batches lie bytes that mean nothing.
            assert reference.content(FIRST)[offset] == 0
        else:
            assert damage.file == FIRST
            assert damage.offset <= offset


def last_batch(files: MemoryFiles) -> tuple[int, int]:
    """Where the last batch of a journal of one segment starts and ends."""
    content = files.content(FIRST)
    start = content.rindex(b"\x0c\xb1\xa5\xf1")
    return start, len(content.rstrip(b"\0"))


def one_segment() -> tuple[MemoryFiles, Model]:
    files = MemoryFiles()
    journal, model = opened(files), Model()
    for count in (3, 4, 14):
        model = do(journal, model, Append(count=count, payload_bytes=90))
    return files, model


def test_a_flipped_bit_in_the_last_batch_of_a_killed_node_is_no_torn_write() -> None:
    files, _ = one_segment()
    start, end = last_batch(files)
    assert end - start > 1024
    for offset in range(start, end):
        files, _ = one_segment()
        files.flip(FIRST, offset, offset % 8)
        with pytest.raises(CorruptJournal) as raised:
            opened(files)
        assert (raised.value.file, raised.value.offset) == (FIRST, start)


def zero(files: MemoryFiles, start: int, stop: int) -> None:
    inode = files.seen[str(FIRST)]
    inode.seen[start:stop] = inode.disk[start:stop] = bytes(stop - start)


def sector_of(files: MemoryFiles, *, batch: int, sector: int) -> tuple[int, int]:
    content, start = files.content(FIRST), 0
    for _ in range(batch):
        start = content.index(b"\x0c\xb1\xa5\xf1", start + 1)
    first = (start // 512 + sector) * 512
    return max(start, first), first + 512


@pytest.mark.parametrize(
    "lost",
    [
        lambda files: sector_of(files, batch=4, sector=0),
        lambda files: sector_of(files, batch=4, sector=1),
        lambda files: sector_of(files, batch=4, sector=2),
        lambda files: (last_batch(files)[0] + 50, 4096),
        lambda files: (last_batch(files)[1] - 1, 4096),
        lambda files: (last_batch(files)[0], 4096),
    ],
    ids=["first sector", "second", "third", "in the header", "the last byte", "all"],
)
def test_a_torn_last_batch_is_cut(lost: Callable[[MemoryFiles], tuple[int, int]]) -> None:
    files, model = one_segment()
    zero(files, *lost(files))
    journal = opened(files)
    assert journal.last.index == 7
    assert held(journal).entries == model.entries[:7]
    after = do(journal, held(journal), Append(count=1, payload_bytes=1))
    assert held(opened(files)) == after


def test_a_lost_sector_before_the_last_batch_is_damage() -> None:
    files, _ = one_segment()
    start, stop = sector_of(files, batch=3, sector=0)
    zero(files, start, stop)
    with pytest.raises(CorruptJournal, match="later ones exist"):
        opened(files)


def test_a_segment_that_is_missing_or_wiped_is_noticed() -> None:
    names = ["0000000000000001.segment", "0000000000000002.segment", "0000000000000003.segment"]
    for gone in names:
        for wiped in (True, False):
            files = MemoryFiles()
            written(files, close=True)
            assert [name for name in files.names(FOLDER) if name.endswith("t")] == names
            files.unlink(FOLDER / gone)
            if wiped:
                files.create(FOLDER / gone).preallocate(4096)
            with pytest.raises(CorruptJournal):
                opened(files)


def test_a_segment_under_another_name_is_not_taken_for_it() -> None:
    files = MemoryFiles()
    written(files, close=True)
    names = [name for name in files.names(FOLDER) if name.endswith(".segment")]
    files.rename(FOLDER / names[0], FOLDER / names[1])
    with pytest.raises(CorruptJournal):
        opened(files)


def test_a_batch_of_another_history_at_the_same_place_is_damage() -> None:
    files, other = MemoryFiles(), MemoryFiles()
    for each, sizes in ((files, (60, 60, 60)), (other, (316, 60))):
        journal, model = opened(each), Model()
        for size in sizes:
            model = do(journal, model, Append(count=1, payload_bytes=size))
    start, end = last_batch(other)
    assert last_batch(files) == (start, end), "both histories have a batch here"
    inode = files.seen[str(FIRST)]
    inode.seen[start:end] = other.content(FIRST)[start:end]
    with pytest.raises(CorruptJournal) as raised:
        opened(files)
    assert raised.value.offset == start


def test_a_full_segment_that_became_shorter_is_named_at_the_start() -> None:
    files = MemoryFiles()
    written(files, close=True)
    used = len(files.content(FIRST).rstrip(b"\0"))
    files.open(FIRST).truncate(used - 1)
    with pytest.raises(CorruptJournal, match="ends before") as raised:
        opened(files)
    assert raised.value.file == FIRST


def test_the_only_segment_of_a_compacted_log_is_not_begun_anew() -> None:
    files = MemoryFiles()
    journal = opened(files)
    model = Model()
    for _ in range(3):
        model = do(journal, model, Append(count=10, payload_bytes=300))
    do(journal, model, Compact(percent=100))
    [name] = files.names(FOLDER)
    size = len(files.content(FOLDER / name))
    files.create(FOLDER / name).preallocate(size)
    with pytest.raises(CorruptJournal, match="no sound batch"):
        opened(files)


def test_journal_bytes_inside_a_payload_are_not_taken_for_a_batch() -> None:
    files = MemoryFiles()
    journal = opened(files)
    model = do(journal, Model(), Append(count=3, payload_bytes=10))
    later = Batch(99, model.state, ORIGIN, model.last, 0, 0, 0, 0, 0, offset=4 * ALIGNMENT)
    payload = b"x" * 900 + encode_header(later, 1) * 20
    journal.save(None, [Entry(1, 4, EntryKind.COMMAND, payload)])
    start, end = last_batch_start(files), len(files.content(FIRST).rstrip(b"\0"))
    zero(files, max(start, 512), 1024)
    assert start < 1024 < end
    assert held(opened(files)) == model


def last_batch_start(files: MemoryFiles) -> int:
    """Where the third batch starts, by the place of its header."""
    content = files.content(FIRST)
    starts = [at for at in range(0, 2048, ALIGNMENT) if content[at : at + 4] == b"\x0c\xb1\xa5\xf1"]
    return starts[2]
