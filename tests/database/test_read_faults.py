"""A read that fails, in any file and whatever is under way: an error, and never another answer."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from raftsql.database import snapshot
from raftsql.database.checksum import Summing
from raftsql.database.disk import Disk
from raftsql.database.errors import MachineStopped
from raftsql.database.machine import Machine
from raftsql.database.readers import Page, Readers
from tests.database.conftest import Log
from tests.database.disks import FaultyDisk

QUERY = "SELECT count(*), total(length(b)), total(c), group_concat(substr(b, 1, 8)) FROM t"


def history() -> Log:
    """Rows in pages, in overflow pages and in an index, and a session with kept answers."""
    log = Log()
    log.sql("CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE, c DEFAULT (random()))")
    log.open_session(b"client")
    for number in range(3, 40):
        text = f"row {number} " + "x" * (200 * number)
        log.sql("INSERT INTO t(b) VALUES (?)", [text], session=2, sequence=number)
    return log


LOG = history()
CHECKPOINTED, HELD = 20, 30
"""What lies in the database file, and what in the WAL too; later entries are applied in a test."""
REPEATED = HELD - 5
ENTRIES = [*LOG.entries, replace(LOG.entries[REPEATED], index=len(LOG.entries) + 1)]
"""The last one is an old write sent once more: its answer has to be read from the database."""
RIGHT_ANSWERS: list[bytes | None] = []


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose database file and WAL are both needed."""
    folder = tmp_path_factory.mktemp("node")
    machine = Machine.open(folder / "a.db")
    machine.apply(LOG.entries[:CHECKPOINTED])
    machine._writer.statements.own("PRAGMA wal_checkpoint(TRUNCATE)")
    machine.apply(LOG.entries[CHECKPOINTED:HELD])
    machine.close()
    other = Machine.open(tmp_path_factory.mktemp("other") / "a.db")
    RIGHT_ANSWERS[:] = other.apply(ENTRIES)
    other.close()
    assert RIGHT_ANSWERS[-1] == RIGHT_ANSWERS[REPEATED], "a write sent once more has its answer"
    return folder


def start(path: Path, vfs: str) -> Any:
    machine = Machine.open(path, vfs=vfs)
    try:
        return machine.applied, machine.clock_ms, machine._writer.sessions.contents()
    finally:
        machine.close()


def apply(path: Path, vfs: str) -> Any:
    """Nothing when it was applied before; every answer given has to be the right one."""
    machine = Machine.open(path, vfs=vfs)
    try:
        for given, right in zip(machine.apply(ENTRIES), RIGHT_ANSWERS, strict=True):
            assert given in (None, right)
    finally:
        machine.close()
    return checksum(path, "")


def query(path: Path, vfs: str) -> Any:
    readers = Readers(path, vfs=vfs)
    try:
        page = readers.read(QUERY)
        assert isinstance(page, Page), f"a failed read is the node's error, not an answer: {page}"
        return page.rows
    finally:
        readers.close()


def checksum(path: Path, vfs: str) -> Any:
    summing = Summing(path, cluster=True, vfs=vfs)
    while (found := summing.step()) is None:
        pass
    return found.total


def copy(path: Path, vfs: str) -> Any:
    target = path.with_name("copy")
    snapshot.take(path, target, Disk(), vfs=vfs)
    snapshot.verify(target)
    return checksum(target, "")


OPERATIONS: dict[str, Callable[[Path, str], Any]] = {
    "start": start,
    "apply": apply,
    "query": query,
    "checksum": checksum,
    "copy": copy,
}


def outcome(perform: Callable[[Path, str], Any], path: Path, vfs: str) -> Any:
    """What it comes to: an answer, or the error that a failed read may end in."""
    try:
        return perform(path, vfs)
    except (MachineStopped, snapshot.CopyFailed, apsw.Error) as error:
        return error


FAULTS = {"EIO": apsw.IOError, "ENOSPC": apsw.FullError, "damage": apsw.CorruptError}


@pytest.mark.parametrize("file", ["a.db", "a.db-wal"])
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_read_that_fails_is_an_error_or_changes_nothing(
    tmp_path: Path, node: Path, fault: str, operation: str, file: str
) -> None:
    perform = OPERATIONS[operation]
    expected = perform(shutil.copytree(node, tmp_path / "sound") / "a.db", "")
    number, stopped = 0, 0
    while True:
        number += 1
        path = shutil.copytree(node, tmp_path / f"run {number}") / "a.db"
        disk = FaultyDisk(fail_read_at=number, fail_reads_of=file, fail_with=FAULTS[fault])
        found = outcome(perform, path, disk.name)
        if isinstance(found, Exception):
            stopped += 1
            assert disk.failed, f"nothing failed, but {found!r}"
            if operation in ("start", "apply"):
                assert isinstance(found, MachineStopped), repr(found)
                assert str(path) in str(found)
        else:
            assert found == expected
        path.with_name("copy").unlink(missing_ok=True)
        assert perform(path, "") == expected, f"read {number} left something behind"
        shutil.rmtree(path.parent)
        if not disk.failed:
            break
    assert stopped, "no failed read was noticed"
