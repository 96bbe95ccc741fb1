"""What a crash may leave between journal and database, and what a node makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from raftsql.cluster.opening import DatabaseBehind, settle
from raftsql.database.machine import Machine
from raftsql.raft.messages import Entry, EntryKind, HardState, Position
from raftsql.storage.journal import Journal
from tests.cluster.stage import command
from tests.simulator.faulty_files import MemoryFiles


def entries(first: int, last: int, term: int = 1) -> list[Entry]:
    return [Entry(term, index, EntryKind.NOOP, b"") for index in range(first, last + 1)]


@pytest.fixture
def journal() -> Journal:
    files = MemoryFiles()
    files.make_folder(Path("/journal"))
    return Journal.open(Path("/journal"), files)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine.open(tmp_path / "database.db")


def test_a_database_within_the_journal_applies_the_rest(journal: Journal, machine: Machine) -> None:
    journal.save(HardState(1, 0), entries(1, 9))
    machine.apply(entries(1, 4))
    settle(journal, machine)
    assert (journal.base.index, journal.last.index) == (0, 9)


def test_a_database_ahead_of_the_journal_begins_it_anew(journal: Journal, machine: Machine) -> None:
    """The crash came after a snapshot took its place, and before the journal heard of it."""
    journal.save(HardState(1, 0), entries(1, 3))
    machine.apply(entries(1, 9))
    settle(journal, machine)
    assert journal.base == journal.last == Position(9, 1)


def test_a_journal_of_another_history_begins_anew_too(journal: Journal, machine: Machine) -> None:
    journal.save(HardState(2, 0), entries(1, 9, term=1))
    machine.apply([*entries(1, 3, term=1), *entries(4, 5, term=2)])
    settle(journal, machine)
    assert journal.base == Position(5, 2)


def test_a_database_that_lost_what_was_durable_may_not_start(
    journal: Journal, machine: Machine
) -> None:
    journal.save(HardState(1, 0), entries(1, 9))
    journal.compact(Position(5, 1))
    machine.apply(entries(1, 2))
    with pytest.raises(DatabaseBehind, match="let it join under a new id"):
        settle(journal, machine)


def test_what_a_command_did_is_kept_with_its_place(journal: Journal, machine: Machine) -> None:
    journal.save(HardState(1, 0), [command(1, 1, "CREATE TABLE t (x)")])
    machine.apply([command(1, 1, "CREATE TABLE t (x)")])
    settle(journal, machine)
    assert journal.last == machine.applied
