"""What a crash may leave between journal and database, and what a node makes of it."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree, rmtree

import pytest

from raftsql.cluster.opening import DatabaseBehind, Stores, open_stores, settle
from raftsql.database.machine import Machine
from raftsql.raft.messages import ORIGIN, Entry, EntryKind, HardState, Position
from raftsql.storage.datadir import DataDir, Identity, is_data_dir
from raftsql.storage.errors import JournalLost
from raftsql.storage.files import RealFiles
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


def test_a_database_ahead_of_the_journal_begins_it_anew_where_an_install_was_noted(
    journal: Journal, machine: Machine
) -> None:
    """The crash came after a snapshot took its place, and before the journal heard of it."""
    journal.save(HardState(1, 3), entries(1, 3))
    machine.apply(entries(1, 9))
    settle(journal, machine, installed=Position(9, 1))
    assert journal.base == journal.last == Position(9, 1)
    assert journal.state == HardState(1, 3)


def test_a_journal_of_another_history_begins_anew_where_an_install_was_noted(
    journal: Journal, machine: Machine
) -> None:
    journal.save(HardState(2, 0), entries(1, 9, term=1))
    machine.apply([*entries(1, 3, term=1), *entries(4, 5, term=2)])
    settle(journal, machine, installed=Position(5, 2))
    assert journal.base == Position(5, 2)


def test_the_term_is_never_below_what_was_installed(journal: Journal, machine: Machine) -> None:
    journal.save(HardState(1, 3), entries(1, 3))
    machine.apply(entries(1, 9, term=4))
    settle(journal, machine, installed=Position(9, 4))
    assert journal.state == HardState(4, 0)
    journal.save(HardState(5, 1), entries(10, 10, term=5))


@pytest.mark.parametrize("installed", [None, Position(8, 1), Position(9, 2)])
@pytest.mark.parametrize("held", [0, 3, 8], ids=["empty", "older", "a bit older"])
def test_a_journal_that_lost_entries_is_not_begun_anew(
    journal: Journal, machine: Machine, held: int, installed: Position | None
) -> None:
    journal.save(HardState(1, 3), entries(1, held))
    machine.apply(entries(1, 9))
    with pytest.raises(JournalLost, match=r"holds entry 9 of term 1, but .* under a new id"):
        settle(journal, machine, installed=installed)
    assert (journal.last.index, journal.state.vote) == (held, 3)


def test_a_journal_with_another_entry_there_is_not_begun_anew(
    journal: Journal, machine: Machine
) -> None:
    journal.save(HardState(2, 0), entries(1, 9, term=1))
    machine.apply([*entries(1, 3, term=1), *entries(4, 5, term=2)])
    with pytest.raises(JournalLost, match="or holds another one there"):
        settle(journal, machine)


def started(folder: Path) -> Stores:
    """The stores of a node that founded its cluster, or starts again."""
    files = RealFiles()
    if is_data_dir(folder, files):
        datadir = DataDir.open(folder, files)
    else:
        datadir = DataDir.create(folder, files, Identity(cluster=5, node=1, unique="x"))
    try:
        return open_stores(datadir, files)
    except BaseException:
        datadir.close()
        raise


def stopped(stores: Stores) -> None:
    stores.readers.close()
    stores.machine.close()
    stores.journal.close()
    stores.datadir.close()


def after_a_run(folder: Path, applied: int) -> None:
    """What lies on disk after a node applied so many entries, and voted for another in term 7."""
    stores = started(folder)
    stores.journal.save(HardState(1, 0), entries(1, 9))
    stores.machine.apply(entries(1, applied))
    stores.journal.save(HardState(7, 2), [])
    stopped(stores)


@pytest.mark.parametrize("applied", [0, 9])
def test_a_journal_that_was_emptied_or_removed_stops_every_start(
    tmp_path: Path, applied: int
) -> None:
    after_a_run(tmp_path, applied)
    rmtree(tmp_path / "journal")
    for _ in range(2):
        with pytest.raises(JournalLost, match=r"holds no journal, .* under a new id") as raised:
            started(tmp_path)
        assert str(tmp_path / "journal") in str(raised.value)
    assert segments(tmp_path) == []


def test_an_older_journal_in_its_place_stops_every_start(tmp_path: Path) -> None:
    stopped(started(tmp_path))
    copytree(tmp_path / "journal", tmp_path / "older")
    after_a_run(tmp_path, 9)
    rmtree(tmp_path / "journal")
    copytree(tmp_path / "older", tmp_path / "journal")
    for _ in range(2):
        with pytest.raises(JournalLost, match="the journal ends at 0"):
            started(tmp_path)


def test_a_first_start_that_ended_anywhere_is_gone_on_with(tmp_path: Path) -> None:
    """The journal is made before the database, so either both are there or only the journal."""
    stores = started(tmp_path)
    stopped(stores)
    stores.database.unlink()
    again = started(tmp_path)
    assert again.machine.applied == again.journal.last == ORIGIN
    stopped(again)


def test_a_crash_between_an_install_and_its_reset_is_gone_on_from(tmp_path: Path) -> None:
    after_a_run(tmp_path, 3)
    stores = started(tmp_path)
    stores.datadir.note_install(Position(20, 6))
    stores.machine.apply([*entries(4, 9), *entries(10, 20, term=6)])
    stopped(stores)
    for _ in range(2):
        again = started(tmp_path)
        assert again.journal.base == again.machine.applied == Position(20, 6)
        assert again.journal.state == HardState(7, 2)
        assert again.datadir.noted_install() is None
        stopped(again)


def test_a_note_of_an_install_vouches_for_its_own_position_only(tmp_path: Path) -> None:
    after_a_run(tmp_path, 3)
    stores = started(tmp_path)
    stores.datadir.note_install(Position(20, 6))
    stores.datadir.forget_install(Position(12, 6))
    stores.machine.apply([*entries(4, 9), *entries(10, 21, term=6)])
    stopped(stores)
    with pytest.raises(JournalLost, match="holds entry 21 of term 6"):
        started(tmp_path)


def segments(folder: Path) -> list[str]:
    return [path.name for path in (folder / "journal").glob("*.segment")]


def test_a_database_that_lost_what_was_durable_may_not_start(
    journal: Journal, machine: Machine
) -> None:
    journal.save(HardState(1, 0), entries(1, 9))
    journal.compact(Position(5, 1))
    machine.apply(entries(1, 2))
    with pytest.raises(DatabaseBehind, match="it joins under a new id"):
        settle(journal, machine)


def test_what_a_command_did_is_kept_with_its_place(journal: Journal, machine: Machine) -> None:
    journal.save(HardState(1, 0), [command(1, 1, "CREATE TABLE t (x)")])
    machine.apply([command(1, 1, "CREATE TABLE t (x)")])
    settle(journal, machine)
    assert journal.last == machine.applied
