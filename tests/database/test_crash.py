"""Death and faults at every write: position and rows agree, nothing is lost or comes twice."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest

from raftsql.database.errors import MachineStopped
from raftsql.database.machine import Machine
from raftsql.raft.messages import EntryKind
from raftsql.sql.commands import CommandKind, Many, Step, Transaction, encode
from tests.database.conftest import Log, dump
from tests.database.disks import FaultyDisk, restored

CHECKPOINT_AFTER = 3
"""Batches; SQLite's own writes to the database file are in danger too."""


def transaction() -> Transaction:
    """One whose rows came together, the last of which fails; then some come back."""
    insert = "INSERT INTO t(b) VALUES (?)"
    one = encode(Many(insert, [[f"one {n}" + "x" * 500] for n in range(20)]))
    two = encode(Many(insert, [["two"], ["three"], ["one 7" + "x" * 500]]))
    return Transaction(
        [
            Step("", None, 1, 11, 20, False, one),
            Step("SAVEPOINT s", None, 2, 12, 0),
            Step("", None, 3, 13, 2, True, two),
            Step("ROLLBACK TO s", None, 4, 14, 0),
            Step("", None, 5, 15, 2, True, two),
        ]
    )


def scenario() -> tuple[Log, list[int]]:
    """A log, and where its batches end."""
    log = Log()
    log.script("CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE, c DEFAULT (random()))")
    log.open_session(b"client")
    log.plain(EntryKind.MEMBERSHIP, b"three")
    ends = [3]
    sequence = 0
    for number in range(4):
        for _ in range(3):
            sequence += 1
            log.sql(
                "INSERT INTO t(b) VALUES (?)",
                [f"row {sequence}" + "x" * 3000],
                session=2,
                sequence=sequence,
                floor=max(0, sequence - 4),
            )
        log.sql("INSERT OR ROLLBACK INTO t(a) VALUES (1)", session=2, sequence=100 + number)
        log.sql("UPDATE t SET c = random() WHERE a % 2")
        ends.append(len(log.entries))
    log.sql("VACUUM")
    log.many("INSERT INTO t(b) VALUES (?)", [[n] for n in range(50)])
    log.append(CommandKind.TRANSACTION, transaction(), session=2, sequence=200)
    log.append(CommandKind.EXPIRE_SESSIONS, None)
    ends.append(len(log.entries))
    return log, ends


LOG, ENDS = scenario()
State = tuple[dict[str, Any], Any, bytes, int]


def state(machine: Machine) -> State:
    """Everything that must agree with the position."""
    return (
        dump(machine.path),
        machine._writer.sessions.contents(),
        machine.membership,
        machine.clock_ms,
    )


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> list[State]:
    """The state at each position of the log, on a machine to which nothing happens."""
    machine = Machine.open(tmp_path_factory.mktemp("reference") / "a.db")
    states = [state(machine)]
    for entry in LOG.entries:
        machine.apply([entry])
        states.append(state(machine))
    machine.close()
    return states


def run(path: Path, disk: FaultyDisk) -> int:
    """Apply the log in batches until the disk stops it; up to where `apply` has returned."""
    returned = 0
    machine = None
    try:
        machine = Machine.open(path, vfs=disk.name)
        for number, end in enumerate(ENDS):
            machine.apply(LOG.entries[returned:end])
            returned = end
            if number == CHECKPOINT_AFTER:
                machine._writer.statements.own("PRAGMA wal_checkpoint(TRUNCATE)")
    except (MachineStopped, apsw.Error):
        if machine is not None:
            machine.close()
            with pytest.raises(MachineStopped):
                machine.apply(LOG.entries)
        return returned
    machine.close()
    return returned


def check(path: Path, replayed: list[State], *, at_least: int) -> None:
    machine = Machine.open(path)
    found = machine.applied.index
    assert found >= at_least, f"entries after {found} were lost, of {at_least} that were there"
    assert state(machine)[0] == replayed[found][0]
    assert state(machine) == replayed[found]
    machine.apply(LOG.entries)
    assert machine.applied.index == len(LOG.entries)
    assert state(machine) == replayed[-1]
    machine.close()


def calls(folder: Path) -> int:
    disk = FaultyDisk()
    folder.mkdir()
    assert run(folder / "a.db", disk) == len(LOG.entries)
    return disk.calls


def test_a_process_that_dies_at_any_write_loses_nothing_that_was_applied(
    tmp_path: Path, replayed: list[State]
) -> None:
    for number in range(1, calls(tmp_path / "count") + 1):
        folder = tmp_path / f"run {number}"
        folder.mkdir()
        disk = FaultyDisk(die_at=number)
        returned = run(folder / "a.db", disk)
        assert disk.off
        path = restored(disk.after_process_death(), tmp_path / f"after {number}")
        check(path, replayed, at_least=returned)


@pytest.mark.parametrize("kept", ["nothing", "some"])
def test_power_lost_at_any_write_leaves_position_and_rows_agreeing(
    tmp_path: Path, replayed: list[State], kept: str
) -> None:
    start = 1 + ("nothing", "some").index(kept)
    for number in range(start, calls(tmp_path / "count") + 1, 2):
        folder = tmp_path / f"run {number}"
        folder.mkdir()
        disk = FaultyDisk(die_at=number)
        run(folder / "a.db", disk)
        chance = Random(number) if kept == "some" else None
        path = restored(disk.after_power_loss(chance), tmp_path / f"after {number}")
        check(path, replayed, at_least=0)


FAULTS = {
    "EIO": (apsw.IOError, False),
    "ENOSPC": (apsw.FullError, False),
    "short write": (apsw.FullError, True),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_any_write_stops_the_machine_or_changes_nothing(
    tmp_path: Path, replayed: list[State], fault: str
) -> None:
    error, short = FAULTS[fault]
    start = 1 + list(FAULTS).index(fault)
    for number in range(start, calls(tmp_path / "count") + 1, len(FAULTS)):
        folder = tmp_path / f"run {number}"
        folder.mkdir()
        disk = FaultyDisk(fail_at=number, fail_with=error, short=short)
        returned = run(folder / "a.db", disk)
        assert disk.failed
        check(folder / "a.db", replayed, at_least=returned)
