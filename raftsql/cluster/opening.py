"""Starting from what is on disk: the one place that decides whether journal and database agree.

The journal may be ahead of the database, which then applies more. The other way round happens in
one case alone: a snapshot took the database's place, and a crash came before the journal began
anew. A note tells of that (`DataDir.note_install`); without one the journal has been lost, or an
older one was put there, and with it votes and acknowledged entries. A database that is *behind* the
journal's beginning has lost what was durable too. In both cases the node must not start.

The journal is made before the database. So where there is a database, there has been a journal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from raftsql.database.disk import Disk
from raftsql.database.installation import finish
from raftsql.database.machine import Machine
from raftsql.database.readers import Readers
from raftsql.raft.config import Config
from raftsql.raft.log import Log
from raftsql.raft.membership import Membership, decode, first_membership_entry
from raftsql.raft.messages import NOBODY, HardState, Position
from raftsql.raft.node import Node
from raftsql.storage.datadir import DataDir
from raftsql.storage.errors import REPLACE_THE_NODE, JournalLost, StorageError
from raftsql.storage.files import Files
from raftsql.storage.journal import Journal
from raftsql.storage.snapshots import Snapshots


class DatabaseBehind(StorageError):
    """The database has lost what the journal relies on; the node must be replaced."""


@dataclass(slots=True)
class Stores:
    """What a node keeps on disk, opened and in agreement."""

    datadir: DataDir
    journal: Journal
    machine: Machine
    readers: Readers
    snapshots: Snapshots

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.datadir.database


def open_stores(datadir: DataDir, files: Files, *, timed: Files | None = None) -> Stores:
    """Open journal, database and snapshots, and settle what a crash left between them.

    The journal uses `timed`, where given: the same files, looked at by a clock.
    """
    _keep_utc()
    finish(datadir.database, Disk())
    installed = datadir.noted_install()
    must_exist = files.exists(datadir.database)
    journal = Journal.open(datadir.journal, timed or files, must_exist=must_exist)
    machine = Machine.open(datadir.database)
    settle(journal, machine, installed=installed)
    if installed is not None:
        datadir.forget_install(installed)
    return Stores(
        datadir,
        journal,
        machine,
        Readers(datadir.database, access=lambda: machine.access),
        Snapshots.open(datadir.snapshots, files),
    )


def _keep_utc() -> None:
    """Put the process into UTC: SQL's `localtime` is its zone, which has to be every node's."""
    os.environ["TZ"] = "UTC"
    time.tzset()


def settle(journal: Journal, machine: Machine, *, installed: Position | None = None) -> None:
    """Make the journal hold the applied position, or begin there if a snapshot brought it."""
    applied = machine.applied
    if applied.index < journal.base.index:
        raise DatabaseBehind(
            f"the database ends at entry {applied.index}, but the journal begins after "
            f"{journal.base.index}: the database lost what was durable. {REPLACE_THE_NODE}"
        )
    if applied.index <= journal.last.index and journal.term(applied.index) == applied.term:
        return
    if applied != installed:
        raise JournalLost(
            f"the database holds entry {applied.index} of term {applied.term}, but the journal "
            f"ends at {journal.last.index} of term {journal.last.term}, or holds another one there"
        )
    state = journal.state
    # The term of what was installed is known to this node, whose vote in it can't be in doubt: a
    # vote leaves when it is durable.
    journal.reset(applied, state if state.term >= applied.term else HardState(applied.term, NOBODY))


def found_cluster(stores: Stores, membership: Membership) -> None:
    """Write the first entry of a new cluster's log."""
    assert stores.journal.last.index == 0, "a cluster is founded on an empty log"
    stores.journal.save(HardState(term=1, vote=0), [first_membership_entry(membership)])


def open_node(config: Config, stores: Stores, *, now: int, chance: Callable[[int], int]) -> Node:
    """A core that stands where the disk says."""
    journal, machine = stores.journal, stores.machine
    log = Log(
        base=journal.base,
        runs=journal.runs(),
        last_index=journal.last.index,
        applied=machine.applied.index,
        read=journal.read,
    )
    membership = decode(machine.membership) if machine.membership else Membership()
    return Node(config, state=journal.state, log=log, membership=membership, now=now, chance=chance)
