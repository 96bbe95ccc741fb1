"""`raftsql recover`: a way out when a quorum is dead for good. Offline, and never by itself.

It rewrites the membership of one surviving node's data directory, so that the nodes named are a
majority again. What only dead nodes had acknowledged is lost, and two survivors recovered apart
become two clusters: so the operator names the members, and this says what may be lost.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from raftsql.cluster.opening import Stores, open_stores
from raftsql.database.errors import MachineStopped
from raftsql.raft.membership import Member, Membership, decode
from raftsql.raft.messages import Entry, EntryKind, HardState
from raftsql.server.settings import address
from raftsql.storage.datadir import DataDir
from raftsql.storage.errors import StorageError
from raftsql.storage.files import RealFiles


class CannotRecover(Exception):
    """Nothing was changed; the message says why."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """What must be said."""
    parser.add_argument(
        "--data-dir", type=Path, required=True, metavar="DIR", help="of the surviving node"
    )
    parser.add_argument(
        "--members", required=True, metavar="N=HOST:PORT,...",
        help="the new voters by number; the node of --data-dir must be among them",
    )  # fmt: skip
    parser.add_argument(
        "--yes", action="store_true", help="do it; without this it only says what it would do"
    )


def run(options: argparse.Namespace) -> int:
    """Look, say, and (with --yes) do; the exit code."""
    try:
        wanted = _members(options.members)
        datadir = DataDir.open(options.data_dir, RealFiles())
        try:
            stores = open_stores(datadir, RealFiles())
            try:
                return _recover(stores, wanted, sure=options.yes)
            finally:
                stores.readers.close()
                stores.machine.close()
                stores.journal.close()
        finally:
            datadir.close()
    except (CannotRecover, StorageError, MachineStopped) as error:
        print(f"raftsql recover: {error}", file=sys.stderr)
        return 1


def _members(text: str) -> dict[int, str]:
    wanted: dict[int, str] = {}
    for part in text.split(","):
        number, equals, place = part.strip().partition("=")
        try:
            if not equals or int(number) <= 0:
                raise ValueError
            wanted[int(number)] = address(place)
        except ValueError:
            raise CannotRecover(f"--members: {part.strip()!r} is not N=HOST:PORT") from None
    return wanted


def newest_membership(stores: Stores) -> Membership:
    """The membership in force at the end of this node's log, committed or not."""
    found = decode(stores.machine.membership) if stores.machine.membership else Membership()
    index = stores.machine.applied.index + 1
    while index <= stores.journal.last.index:
        for entry in stores.journal.read(index, stores.journal.last.index, 4 << 20):
            index = entry.index + 1
            if entry.kind is EntryKind.MEMBERSHIP:
                found = decode(entry.payload)
    return found


def _recover(stores: Stores, wanted: dict[int, str], *, sure: bool) -> int:
    me, journal = stores.datadir.identity.node, stores.journal
    known = newest_membership(stores)
    if me not in wanted:
        raise CannotRecover(f"this is the data directory of node {me}: name it in --members")
    strangers = [node for node in wanted if node not in known.members]
    if strangers:
        raise CannotRecover(
            f"node {strangers[0]} is no member of this cluster: recover with survivors only, and "
            "let new nodes join afterwards"
        )
    dropped = [node for node in known.voters if node not in wanted]
    unapplied = journal.last.index - stores.machine.applied.index
    print(f"node {me}: the log ends at entry {journal.last.index} of term {journal.last.term}")
    print(f"  members now      {_names(known)}")
    print(f"  members then     {', '.join(f'{n}={a}' for n, a in sorted(wanted.items()))}")
    print(f"  never to return  {', '.join(map(str, dropped)) or 'nobody'}")
    print(f"  not known to be committed, and kept: at most {unapplied} entries")
    print("  lost: whatever was acknowledged by the dropped nodes and is not in this log. Of all")
    print("  survivors, recover the one whose log ends last, and empty the others' directories.")
    if not sure:
        print("nothing was changed; run it again with --yes to do this")
        return 0
    if 2 * sum(node in wanted for node in known.voters) > len(known.voters):
        raise CannotRecover(
            "the members named are a majority already: start them, and remove the others with "
            "`raftsql remove`"
        )
    if len(wanted) > 1:
        raise CannotRecover(
            "recover one node alone (--members with this node only); then let the others join it "
            "with empty data directories. Two logs can't be trusted to agree"
        )
    _rewrite(stores, known, wanted)
    print(f"done. Start node {me} as before; it leads alone until others join")
    return 0


def _rewrite(stores: Stores, known: Membership, wanted: dict[int, str]) -> None:
    """Append the new membership in a new term: this node's log is the cluster's from now on."""
    journal = stores.journal
    members = {node: Member(place, known.members[node].identity) for node, place in wanted.items()}
    gone = tuple({*known.removed, *(node for node in known.members if node not in wanted)})
    term = max(journal.state.term, journal.last.term) + 1
    entry = Entry(
        term, journal.last.index + 1, EntryKind.MEMBERSHIP, Membership(members, gone).encode()
    )
    journal.save(HardState(term, 0), [entry])


def _names(membership: Membership) -> str:
    return ", ".join(
        f"{node}={member.address}{'' if member.voter else ' (learner)'}"
        for node, member in sorted(membership.members.items())
    )
