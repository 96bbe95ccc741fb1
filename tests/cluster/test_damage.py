"""One bit flips in a file of a node that was killed: what the next start makes of it.

The rule for every file: either a stop whose text names the file and says what to do, or everything
is as it was. What is not covered by a checksum of ours lies under SQLite's: frames of the WAL, from
which on the log applies again, and pages of the database.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from raftsql.cluster.opening import Stores, open_stores
from raftsql.database import snapshot
from raftsql.database.checksum import Summing
from raftsql.database.compaction import Compactor
from raftsql.database.disk import Disk
from raftsql.database.errors import MachineStopped
from raftsql.raft.messages import Entry, HardState, Position
from raftsql.storage.datadir import DataDir, Identity
from raftsql.storage.errors import StorageError
from raftsql.storage.files import RealFiles
from tests.database.conftest import Log

FILES = RealFiles()
COMPACTED = 60


def history() -> list[Entry]:
    log = Log()
    log.sql("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    log.open_session(b"a client")
    for number in range(3, 121):
        text = f"row {number} " + "x" * 900
        log.sql("INSERT INTO t(b) VALUES (?)", [text], session=2, sequence=number)
    return log.entries


ENTRIES = history()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node that compacted half of its log, took a snapshot, applied more, and was killed."""
    folder = tmp_path_factory.mktemp("whole") / "node"
    datadir = DataDir.create(folder, FILES, Identity(cluster=5, node=1, unique="x"))
    stores = open_stores(datadir, FILES)
    stores.journal.save(HardState(1, 1), ENTRIES)
    stores.machine.apply(ENTRIES[:COMPACTED])
    compactor = Compactor(stores.database, Disk())
    durable = compactor.compact().durable
    compactor.start_over()
    compactor.close()
    stores.journal.compact(durable)
    copy = folder / "copy"
    meta = snapshot.take(stores.database, copy, Disk())
    copy.rename(stores.snapshots.scratch(meta))
    stores.snapshots.adopt(meta)
    stores.machine.apply(ENTRIES[COMPACTED:100])
    datadir.note_install(Position(1, 1))
    killed = tmp_path_factory.mktemp("killed") / "node"
    shutil.copytree(folder, killed)
    close(stores)
    return killed


def close(stores: Stores) -> None:
    stores.readers.close()
    stores.machine.close()
    stores.journal.close()
    stores.datadir.close()


def used(folder: Path) -> Any:
    """Start a node and use all that it has; what it holds in the end."""
    datadir = DataDir.open(folder, FILES)
    try:
        stores = open_stores(datadir, FILES)
    except BaseException:
        datadir.close()
        raise
    try:
        journal, machine = stores.journal, stores.machine
        held = journal.read(journal.base.index + 1, journal.last.index, 1 << 30)
        machine.apply([entry for entry in held if entry.index > machine.applied.index])
        summing = Summing(stores.database, cluster=True)
        while (checksum := summing.step()) is None:
            pass
        for kept in stores.snapshots.all():
            stores.snapshots.verify(kept)
        return held, journal.state, machine.applied, checksum.total
    finally:
        close(stores)


PLACES: dict[str, list[float]] = {
    "identity": [0.0, 0.3, 0.99],
    "installing": [0.0, 0.5],
    "journal/*.segment": [0.0, 0.00001, 0.0002, 0.001, 0.002, 0.004, 0.006],
    "database.db": [0.0, 0.0001, 0.0003, 0.02, 0.2, 0.5, 0.8, 0.999],
    "database.db-wal": [0.0, 0.00005, 0.0001, 0.0003, 0.1, 0.5, 0.9, 0.99],
    "snapshots/*": [0.0, 0.0003, 0.3, 0.7, 0.999],
}
"""By file: places in it, as parts of its length. Headers, records, pages, frames and tails."""


CASES = [(pattern, place) for pattern, places in PLACES.items() for place in places]


@pytest.mark.parametrize(("pattern", "place"), CASES)
def test_a_flipped_bit_stops_the_node_or_changes_nothing(
    tmp_path: Path, whole: Path, pattern: str, place: float
) -> None:
    sound, folder = tmp_path / "sound", tmp_path / "damaged"
    shutil.copytree(whole, sound)
    shutil.copytree(whole, folder)
    files = sorted(folder.glob(pattern))
    assert files, f"a node has {pattern}"
    for file in files:
        content = bytearray(file.read_bytes())
        content[int(place * len(content))] ^= 1 << int(place * 997) % 8
        file.write_bytes(content)
    try:
        found = used(folder)
    except (StorageError, MachineStopped) as error:
        text = str(error)
        assert any(str(file) in text for file in files) or "entries" in text, text
        assert any(word in text for word in ("emove", "Delete", "again")), text
    else:
        assert found == used(sound)


def test_a_missing_identity_says_what_to_do(tmp_path: Path, whole: Path) -> None:
    shutil.copytree(whole, tmp_path / "node")
    (tmp_path / "node" / "identity").unlink()
    with pytest.raises(StorageError, match=r"no file .*identity\. Name another folder"):
        used(tmp_path / "node")


@pytest.mark.parametrize("content", [b"hello" * 1000, bytes(8192)], ids=["text", "zeros"])
def test_a_file_that_is_no_database_is_named(tmp_path: Path, whole: Path, content: bytes) -> None:
    folder = tmp_path / "node"
    shutil.copytree(whole, folder)
    (folder / "database.db").write_bytes(content)
    (folder / "database.db-wal").unlink()
    with pytest.raises(MachineStopped, match=r"database\.db: .*let it join anew"):
        used(folder)


def test_a_segment_that_does_not_belong_there_is_named(tmp_path: Path, whole: Path) -> None:
    folder = tmp_path / "node"
    shutil.copytree(whole, folder)
    stray = folder / "journal" / "0000000000000009.segment"
    shutil.copy(folder / "journal" / "0000000000000001.segment", stray)
    with pytest.raises(StorageError, match="take it away and start again") as raised:
        used(folder)
    assert str(stray) in str(raised.value)
    stray.unlink()
    used(folder)


def test_a_file_in_the_place_of_the_data_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("years of work")
    for use in (
        lambda: DataDir.open(tmp_path / "file", FILES),
        lambda: DataDir.create(tmp_path / "file", FILES, Identity(5, 1, "x")),
    ):
        with pytest.raises(StorageError, match="is a file, not a folder"):
            use()
    with pytest.raises(NotADirectoryError, match="has to be a folder"):
        FILES.make_folder(tmp_path / "file")
