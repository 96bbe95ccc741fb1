"""What a node says last, to whoever finds it stopped: what happened, and what to do about it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

import apsw

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def last_words(failure: BaseException, folder: Path) -> str:
    """The failure, and the way out where there is a plain one."""
    if not is_full(failure):
        return str(failure)
    return (
        f"{failure}. The disk of {folder} is full ({_free_bytes(folder):,} bytes are free): make "
        "room, and start this node again as it was. What it had acknowledged is safe, and it "
        "fetches the rest from the others"
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
