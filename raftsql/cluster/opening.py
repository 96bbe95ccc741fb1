"""Starting from what is on disk: the one place that decides whether journal and database agree.

The database is opened first, since it may be ahead of the journal (a crash after a snapshot took
its place and before the journal began anew) and never the other way round in a way the journal
can't mend by applying more. A database that is *behind* the journal's beginning has lost what was
durable, and the node must not start.
"""

from __future__ import annotations

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
from raftsql.raft.messages import HardState
from raftsql.raft.node import Node
from raftsql.storage.datadir import DataDir
from raftsql.storage.files import Files
from raftsql.storage.journal import Journal
from raftsql.storage.snapshots import Snapshots


class DatabaseBehind(Exception):
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


def open_stores(datadir: DataDir, files: Files) -> Stores:
    """Open journal, database and snapshots, and settle what a crash left between them."""
    finish(datadir.database, Disk())
    machine = Machine.open(datadir.database)
    journal = Journal.open(datadir.journal, files)
    settle(journal, machine)
    return Stores(
        datadir,
        journal,
        machine,
        Readers(datadir.database),
        Snapshots.open(datadir.snapshots, files),
    )


def settle(journal: Journal, machine: Machine) -> None:
    """Make the journal hold the applied position, or begin there."""
    applied = machine.applied
    if applied.index < journal.base.index:
        raise DatabaseBehind(
            f"the database ends at entry {applied.index}, but the journal begins after "
            f"{journal.base.index}: the database lost what was durable. Remove this node from the "
            "cluster, empty its data directory, and let it join under a new id"
        )
    if applied.index <= journal.last.index and journal.term(applied.index) == applied.term:
        return
    journal.reset(applied)


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
