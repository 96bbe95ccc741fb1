"""Copies of this node's database for another node, taken beside the writer."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from raftsql.database import snapshot
from raftsql.database.disk import Disk
from raftsql.raft.messages import SnapshotMeta

if TYPE_CHECKING:
    from raftsql.cluster.runner import Runner


REST = 1.0
"""How long a copy rests after a step, in times of that step: the disk belongs to the journal, whose
syncs queue behind whatever else is written. A copy takes twice as long so; nobody waits for it."""


def paced(
    step: Callable[[], int],
    *,
    clock: Callable[[], float] = time.perf_counter,
    rest: Callable[[float], None] = time.sleep,
) -> int:
    """Do a step, and rest in proportion unless it was the last; what the step returned."""
    began = clock()
    remaining = step()
    if remaining:
        rest(REST * (clock() - began))
    return remaining


def copied(runner: Runner, target: Path) -> SnapshotMeta:
    """Copy the whole database to `target`, in a thread; SentAway when it is being replaced."""
    target.unlink(missing_ok=True)
    with runner.marking.guests.stay() as guest:
        copy = snapshot.Copy(runner.stores.database, target, Disk())
        try:
            while paced(copy.step):
                guest.check()
            return copy.finish()
        except BaseException:
            copy.abandon()
            raise
