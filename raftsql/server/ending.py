"""What a node says last, to whoever finds it stopped: what happened, and what to do about it."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from raftsql.cluster.opening import DatabaseBehind
from raftsql.database.errors import DatabaseDamaged, Diverged
from raftsql.storage.errors import CorruptJournal, JournalLost

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

BEYOND_REPAIR: Final = (CorruptJournal, JournalLost, DatabaseBehind, DatabaseDamaged, Diverged)
"""What the disk lost, or may have: the node is replaced, and no other start makes it whole."""

FAILED: Final = 1
TO_BE_REPLACED: Final = 3
"""The exit code by which whoever restarts nodes knows that it is of no use."""


class Whereabouts(NamedTuple):
    """Which node speaks, and where the others are: what the commands that replace it name."""

    folder: Path
    node: int = 0
    others: Sequence[str] = ()
    join: bool = True
    """Whether its settings name others to join: without, an empty node would found a cluster."""
    numbered: bool = False
    """Whether its settings give it its number, which is not given twice."""


def last_words(failure: BaseException, place: Whereabouts) -> str:
    """The failure, and the way out where there is a plain one."""
    if must_be_replaced(failure):
        return f"{failure}\n{_way_out(place)}"
    if not is_full(failure):
        return str(failure)
    return (
        f"{failure}. The disk of {place.folder} is full ({_free_bytes(place.folder):,} bytes are"
        " free): make room, and start this node again as it was. What it had acknowledged is"
        " safe, and it fetches the rest from the others"
    )


def must_be_replaced(failure: BaseException | None) -> bool:
    """Whether another start would be of no use, or not safe."""
    return isinstance(failure, BEYOND_REPAIR)


def exit_code(failure: BaseException) -> int:
    """What the process ends with."""
    return TO_BE_REPLACED if must_be_replaced(failure) else FAILED


def _way_out(place: Whereabouts) -> str:
    """The commands, as docs/operating.md has them."""
    folder, url = place.folder.absolute(), next(iter(place.others), "HOST:PORT")
    start = "start it with the settings it had"
    if place.numbered:
        start += ", but without node_id: a number is not given twice"
    if not place.join:
        start += f", and with --join {','.join(place.others) or 'HOST:PORT'}"
    return (
        'To replace this node (docs/operating.md, "A damaged node"):\n'
        f"    raftsql remove {place.node or 'N'} --url {url}\n"
        f"    mv {folder} {folder}.damaged\n"
        f"then {start}"
    )


def is_full(failure: BaseException | None) -> bool:
    """Whether there was no room, for the journal or for SQLite; translated errors are seen through.

    A folder is not asked how full it is: what ran out may be a quota, or free again by now.
    """
    while failure is not None:
        if isinstance(failure, apsw.FullError):
            return True
        if isinstance(failure, OSError) and failure.errno in FULL:
            return True
        failure = failure.__cause__
    return False


def _free_bytes(folder: Path) -> int:
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize
