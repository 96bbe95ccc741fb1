"""Backups by the clock: the leader takes them, since there is one, and keeps no notes of them.

What was backed up when is read from the destination itself: a backup's name says of which cluster,
up to which entry and at what time. So another leader, or the same one after a restart, goes on
where the last one was. Nothing is taken while nobody has written; the oldest go when there are more
than shall be kept.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from raftsql.cluster.runner import Runner
from raftsql.raft.messages import EntryKind
from raftsql.rpc.backup_service import Backups, NoBackup
from raftsql.server.destinations import Destination
from raftsql.server.packing import damage
from raftsql.sql.commands import CommandKind

log = logging.getLogger("raftsql.server")

CHECK_SECONDS: Final = 5.0
AGAIN_SECONDS: Final = 60.0
"""After a failure."""
LOOK_ENTRIES: Final = 1_000
"""Log entries looked at in one go for a write."""

_NAME: Final = re.compile(r"raftsql-([0-9a-f]{16})-(\d{20})-(\d{8}T\d{6})Z\.db")
_TIME: Final = "%Y%m%dT%H%M%S"

_CHANGES: Final = frozenset(
    int(kind)
    for kind in (
        CommandKind.EXECUTE,
        CommandKind.MANY,
        CommandKind.SCRIPT,
        CommandKind.TRANSACTION,
        CommandKind.RESTORE,
    )
)


class Taken(NamedTuple):
    """A backup that is at the destination."""

    upto: int
    at: float
    name: str


class Schedule:
    """One node's part in it."""

    def __init__(
        self,
        runner: Runner,
        backups: Backups,
        to: Destination,
        *,
        every_seconds: float,
        keep: int,
    ) -> None:
        """Nothing is taken before `run`."""
        self._runner = runner
        self._backups = backups
        self._to = to
        self._every_seconds = every_seconds
        self._keep = keep
        self._cluster = f"{runner.config.cluster:016x}"
        self._seen: Taken | None = None
        self._looked = False
        self.failure = ""

    async def run(self) -> None:
        """Take backups when they are due, until cancelled."""
        while True:
            pause = CHECK_SECONDS
            try:
                if self._runner.replica.leads:
                    await self._once()
                    self.failure = ""
                else:
                    self._looked = False
            except (NoBackup, OSError) as error:
                self.failure = str(error)
                log.warning("a scheduled backup failed: %s", error)
                pause = AGAIN_SECONDS
            await asyncio.sleep(min(pause, self._every_seconds))

    async def _once(self) -> None:
        """Look once what there is, then take what is due."""
        if not self._looked:
            self._seen = max(await self._there(), default=None)
            self._looked = True
        seen = self._seen
        if seen is not None and (
            time.time() - seen.at < self._every_seconds or not await self._changed_since(seen.upto)
        ):
            return
        async with self._backups.taken() as (path, index):
            if finding := await asyncio.to_thread(damage, path):
                raise NoBackup(f"this node's database is damaged: {finding}")
            at = datetime.now(UTC)
            name = f"raftsql-{self._cluster}-{index:020d}-{at.strftime(_TIME)}Z.db"
            await asyncio.to_thread(self._to.put, path, name)
        self._seen = Taken(index, at.timestamp(), name)
        log.info("backed up to %s", name)
        await self._let_go()

    async def _there(self) -> list[Taken]:
        """The backups of this cluster, in no order."""
        stored = await asyncio.to_thread(self._to.stored)
        found = [_taken(each.name, self._cluster) for each in stored]
        return [taken for taken in found if taken is not None]

    async def _let_go(self) -> None:
        """Remove the oldest; others' files are left alone."""
        for old in sorted(await self._there())[: -self._keep]:
            await asyncio.to_thread(self._to.delete, old.name)

    async def _changed_since(self, index: int) -> bool:
        """Whether anybody wrote since; what sessions and checksums leave in the log is none."""
        raft_log = self._runner.node.log
        while index < raft_log.applied:
            if index < raft_log.base.index:
                return True
            entries = raft_log.slice(
                index + 1, raft_log.applied, bytes_max=1 << 20, entries_max=LOOK_ENTRIES
            )
            if any(e.kind is EntryKind.COMMAND and e.payload[1] in _CHANGES for e in entries):
                return True
            index = entries[-1].index
            await asyncio.sleep(0)
        return False

    def picture(self) -> dict[str, Any]:
        """For `raftsql status`, and whoever watches."""
        seen = self._seen
        return {
            "name": seen.name if seen else None,
            "index": seen.upto if seen else None,
            "age_seconds": round(time.time() - seen.at) if seen else None,
            "failure": self.failure or None,
        }


def _taken(name: str, cluster: str) -> Taken | None:
    match = _NAME.fullmatch(name)
    if match is None or match[1] != cluster:
        return None
    at = datetime.strptime(match[3], _TIME).replace(tzinfo=UTC)
    return Taken(int(match[2]), at.timestamp(), name)
