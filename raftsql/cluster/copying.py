"""Copies of this node's database for another node, taken beside the writer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from raftsql.database import snapshot
from raftsql.database.disk import Disk
from raftsql.raft.messages import SnapshotMeta

if TYPE_CHECKING:
    from raftsql.cluster.runner import Runner


def copied(runner: Runner, target: Path) -> SnapshotMeta:
    """Copy the whole database to `target`, in a thread; SentAway when it is being replaced."""
    target.unlink(missing_ok=True)
    with runner.marking.guests.stay() as guest:
        copy = snapshot.Copy(runner.stores.database, target, Disk())
        try:
            while copy.step():
                guest.check()
            return copy.finish()
        except BaseException:
            copy.abandon()
            raise
