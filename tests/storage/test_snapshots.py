"""The snapshot folder: pieces in, a whole snapshot or nothing out."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from random import Random

import pytest
from crc32c import crc32c

from raftsql.raft.messages import Position, SnapshotMeta
from raftsql.storage import snapshots as room
from raftsql.storage.errors import ChunkRefused, CorruptSnapshot, UnknownSnapshot
from raftsql.storage.files import RealFiles
from raftsql.storage.snapshots import Receiving, Snapshots
from tests.simulator.faulty_files import Fault, MemoryFiles, PowerLoss

FOLDER = Path("/node/snapshots")
META = SnapshotMeta(Position(1000, 7), b"\x01members\xff")
CONTENT = Random(1).randbytes(10_000)
DIGEST = sha256(CONTENT).digest()
CHUNK = 3000


def begun(snapshots: Snapshots) -> Receiving:
    return snapshots.begin(META, len(CONTENT), DIGEST)


def send(receiving: Receiving, upto: int = len(CONTENT)) -> None:
    while (offset := receiving.received_bytes) < upto:
        data = CONTENT[offset : min(offset + CHUNK, upto)]
        receiving.write(offset, data, crc32c(data))


def content(snapshots: Snapshots) -> bytes:
    newest = snapshots.newest()
    assert newest is not None
    chunks = [
        snapshots.chunk(newest, offset=offset, chunk_bytes=777)
        for offset in range(0, newest.size, 777)
    ]
    assert all(crc32c(chunk.data) == chunk.crc for chunk in chunks)
    return b"".join(chunk.data for chunk in chunks)


def keep_newest(snapshots: Snapshots) -> None:
    for older in snapshots.all()[:-1]:
        snapshots.delete(older)


def test_a_received_snapshot_is_there_after_a_restart(tmp_path: Path) -> None:
    snapshots = Snapshots.open(tmp_path / "snapshots", RealFiles())
    assert snapshots.newest() is None
    receiving = begun(snapshots)
    send(receiving)
    received = receiving.finish()
    assert (received.meta, received.size, received.digest) == (META, len(CONTENT), DIGEST)
    assert received.path.read_bytes() == CONTENT
    again = Snapshots.open(tmp_path / "snapshots", RealFiles())
    assert again.all() == [received]
    assert content(again) == CONTENT
    again.verify(received)


def test_a_snapshot_made_here_is_adopted(tmp_path: Path) -> None:
    snapshots = Snapshots.open(tmp_path, RealFiles())
    snapshots.scratch(META).write_bytes(CONTENT)
    adopted = snapshots.adopt(META)
    assert adopted.digest == DIGEST
    assert Snapshots.open(tmp_path, RealFiles()).all() == [adopted]


def test_a_chunk_that_is_not_the_next_is_answered_with_what_is_there() -> None:
    receiving = begun(Snapshots.open(FOLDER, MemoryFiles()))
    first, third = CONTENT[:CHUNK], CONTENT[2 * CHUNK : 3 * CHUNK]
    assert receiving.write(0, first, crc32c(first)) == CHUNK
    assert receiving.write(0, first, crc32c(first)) == CHUNK, "a duplicate"
    assert receiving.write(2 * CHUNK, third, crc32c(third)) == CHUNK, "a gap"
    assert receiving.write(100, third, crc32c(third)) == CHUNK, "an overlap"
    send(receiving)
    assert receiving.finish().digest == DIGEST


def test_a_damaged_chunk_is_refused_and_leaves_nothing() -> None:
    receiving = begun(Snapshots.open(FOLDER, MemoryFiles()))
    with pytest.raises(ChunkRefused, match="damaged"):
        receiving.write(0, b"x" + CONTENT[1:CHUNK], crc32c(CONTENT[:CHUNK]))
    assert receiving.received_bytes == 0
    send(receiving)
    assert receiving.finish().digest == DIGEST


def test_a_chunk_beyond_the_end_is_refused() -> None:
    receiving = begun(Snapshots.open(FOLDER, MemoryFiles()))
    data = bytes(len(CONTENT) + 1)
    with pytest.raises(ChunkRefused, match="ends after"):
        receiving.write(0, data, crc32c(data))


def test_a_snapshot_that_does_not_match_its_digest_is_dropped() -> None:
    snapshots = Snapshots.open(FOLDER, files := MemoryFiles())
    receiving = snapshots.begin(META, len(CONTENT), bytes(32))
    send(receiving)
    with pytest.raises(CorruptSnapshot, match="begin again"):
        receiving.finish()
    assert snapshots.all() == []
    assert files.names(FOLDER) == []


def test_a_snapshot_that_is_not_whole_can_not_be_finished() -> None:
    receiving = begun(Snapshots.open(FOLDER, MemoryFiles()))
    send(receiving, upto=CHUNK)
    with pytest.raises(CorruptSnapshot, match="only 3000 of 10000"):
        receiving.finish()


def test_receiving_goes_on_after_a_restart_from_what_was_noted() -> None:
    files = MemoryFiles()
    receiving = begun(Snapshots.open(FOLDER, files))
    send(receiving, upto=2 * CHUNK)
    receiving.note()
    send(receiving, upto=3 * CHUNK)
    files.crash(Random(5))
    receiving = begun(Snapshots.open(FOLDER, files))
    assert receiving.received_bytes == 2 * CHUNK
    send(receiving)
    assert receiving.finish().digest == DIGEST


def test_long_receiving_is_noted_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "NOTE_EVERY_BYTES", 2 * CHUNK)
    files = MemoryFiles()
    send(begun(Snapshots.open(FOLDER, files)), upto=3 * CHUNK)
    files.crash(Random(5))
    assert begun(Snapshots.open(FOLDER, files)).received_bytes == 2 * CHUNK


def test_another_snapshot_begins_from_nothing_and_removes_what_was_begun() -> None:
    files = MemoryFiles()
    snapshots = Snapshots.open(FOLDER, files)
    receiving = begun(snapshots)
    send(receiving, upto=CHUNK)
    receiving.note()
    other = SnapshotMeta(Position(2000, 7), b"")
    assert snapshots.begin(other, 5, bytes(32)).received_bytes == 0
    assert len(files.names(FOLDER)) == 1
    assert begun(snapshots).received_bytes == 0


def test_a_damaged_note_costs_time_and_nothing_else() -> None:
    files = MemoryFiles()
    receiving = begun(Snapshots.open(FOLDER, files))
    send(receiving, upto=CHUNK)
    receiving.note()
    [note] = [FOLDER / name for name in files.names(FOLDER) if name.endswith(".note")]
    files.flip(note, 20, 1)
    assert begun(Snapshots.open(FOLDER, files)).received_bytes == 0


def test_old_snapshots_are_deleted_and_the_newest_kept() -> None:
    files = MemoryFiles()
    snapshots = Snapshots.open(FOLDER, files)
    for index in (30, 4, 200):
        meta = SnapshotMeta(Position(index, 1), b"")
        receiving = snapshots.begin(meta, len(CONTENT), DIGEST)
        send(receiving)
        receiving.finish()
    oldest = snapshots.all()[0]
    keep_newest(snapshots)
    assert [snapshot.meta.last.index for snapshot in snapshots.all()] == [200]
    assert len(files.names(FOLDER)) == 2
    with pytest.raises(UnknownSnapshot):
        snapshots.chunk(oldest, offset=0, chunk_bytes=1)
    snapshots.delete(oldest)


def test_a_large_snapshot_is_freed_a_piece_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "FREE_BYTES", len(CONTENT) // 4)
    files = MemoryFiles()
    snapshots = Snapshots.open(FOLDER, files)
    receiving = begun(snapshots)
    send(receiving)
    receiving.finish()
    calls: list[str] = []
    files.log = calls.append
    snapshots.free(snapshots.all()[0])
    assert sum("truncate" in call for call in calls) >= 3
    assert files.names(FOLDER) == []


def test_a_snapshot_that_was_taken_out_is_its_takers_alone() -> None:
    files = MemoryFiles()
    snapshots = Snapshots.open(FOLDER, files)
    receiving = begun(snapshots)
    send(receiving)
    whole = receiving.finish()
    taken = snapshots.take_out(whole)
    assert snapshots.all() == []
    snapshots.free(whole)
    snapshots.delete(whole)
    with pytest.raises(UnknownSnapshot):
        snapshots.take_out(whole)
    assert files.content(taken) == CONTENT
    Snapshots.open(FOLDER, files)
    assert files.names(FOLDER) == [], "what nobody came for after a crash is a leftover"


def test_leftovers_are_removed_at_the_start() -> None:
    files = MemoryFiles()
    Snapshots.open(FOLDER, files)
    for name in (
        "1-1.db",
        "2-1.part",
        "3-1.note",
        "4-1.meta.new",
        "5-1.scratch",
        "5-1.scratch-wal",
    ):
        files.create(FOLDER / name)
    Snapshots.open(FOLDER, files)
    assert files.names(FOLDER) == []


def test_a_flipped_bit_is_found() -> None:
    files = MemoryFiles()
    snapshots = Snapshots.open(FOLDER, files)
    receiving = begun(snapshots)
    send(receiving)
    received = receiving.finish()
    meta = received.path.with_suffix(".meta")
    for path, offset in ((received.path, 5000), (received.path, 0)):
        files.flip(path, offset, 4)
        with pytest.raises(CorruptSnapshot):
            snapshots.verify(received)
        files.flip(path, offset, 4)
    for offset in range(len(files.content(meta))):
        files.flip(meta, offset, 2)
        with pytest.raises(CorruptSnapshot):
            snapshots.all()
        files.flip(meta, offset, 2)
    assert snapshots.all() == [received]


def receive_all(files: MemoryFiles) -> None:
    """Receive the snapshot in place of an older one."""
    snapshots = Snapshots.open(FOLDER, files)
    receiving = begun(snapshots)
    send(receiving, upto=2 * CHUNK)
    receiving.note()
    send(receiving)
    receiving.finish()
    keep_newest(snapshots)


def with_an_older_one() -> MemoryFiles:
    files = MemoryFiles()
    snapshots = Snapshots.open(FOLDER, files)
    receiving = snapshots.begin(SnapshotMeta(Position(5, 1), b""), 3, sha256(b"old").digest())
    receiving.write(0, b"old", crc32c(b"old"))
    receiving.finish()
    return files


@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_at_any_call_leaves_a_whole_snapshot(fault: Fault) -> None:
    files = with_an_older_one()
    before = files.calls
    receive_all(files)
    for call in range(1, files.calls - before + 1):
        for power_loss in (True, False):
            files = with_an_older_one()
            files.fail_at(call, fault)
            with pytest.raises((OSError, PowerLoss)):
                receive_all(files)
            if power_loss or fault is Fault.POWER:
                files.crash(Random(call))
            files.forget_faults()
            snapshots = Snapshots.open(FOLDER, files)
            assert content(snapshots) in (b"old", CONTENT)
            for snapshot in snapshots.all():
                snapshots.verify(snapshot)
            receive_all(files)
            files.crash(Random(call))
            assert content(Snapshots.open(FOLDER, files)) == CONTENT
