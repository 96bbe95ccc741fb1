"""What a node counts of itself while it works: as cheap as counting can be.

Whatever can be asked for at any time (terms, indexes, lengths of queues) is not counted here but
read when somebody looks. What is gone by then is: how long things took, and how often they
happened. Durations go into buckets that double from one microsecond on, so that the bucket is the
length of a number and nothing has to be searched.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from raftsql.raft.messages import NOBODY
from raftsql.raft.ready import RoleChange, RoleName
from raftsql.storage.files import File, Files, Lock

BUCKETS: Final = 28
"""The last one holds everything from a minute on."""


class Durations:
    """A histogram: bucket n holds what took less than 2**n microseconds, and not less than half."""

    __slots__ = ("counts", "total_us")

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self.counts = [0] * BUCKETS
        self.total_us = 0

    def add(self, microseconds: int, times: int = 1) -> None:
        """Something took so long, so many times."""
        self.counts[min(microseconds.bit_length(), BUCKETS - 1)] += times
        self.total_us += microseconds * times

    def since(self, began: float) -> None:
        """Something took from then until now, by `time.perf_counter`."""
        self.add(int((time.perf_counter() - began) * 1e6))

    @property
    def count(self) -> int:
        """How often it happened."""
        return sum(self.counts)

    def cumulated(self) -> Iterator[tuple[float, int]]:
        """For each bound in seconds, how many took less. The last bucket has none."""
        so_far = 0
        for bits, count in enumerate(self.counts[:-1]):
            so_far += count
            yield (1 << bits) / 1e6, so_far


class Meters:
    """A node's durations and events, from its start on."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self.sync = Durations()
        """One sync of the journal's file."""
        self.save = Durations()
        """One batch written to the journal, its sync included."""
        self.commit = Durations()
        """On the leader: from a batch's way to the disk until a majority has it."""
        self.apply = Durations()
        """One batch of committed entries, applied to the database."""
        self.elections = 0
        """Times that this node campaigned."""
        self.leader_changes = 0
        """Times that this node learnt of another leader, or of the same one in a new term."""
        self.snapshots_installed = 0
        self.snapshots_taken = 0
        self.snapshots_shipped = 0
        self.snapshots_failed = 0
        """Those that did not reach their peer."""
        self._under_way: deque[tuple[int, float]] = deque()
        self._leads = (NOBODY, 0)

    def role_changed(self, change: RoleChange) -> None:
        """Another leader, term or role."""
        if change.role is RoleName.CANDIDATE:
            self.elections += 1
        if change.role is not RoleName.LEADER:
            self._under_way.clear()
        if change.leader != NOBODY and self._leads != (change.leader, change.term):
            self._leads = (change.leader, change.term)
            self.leader_changes += 1

    def proposed(self, last: int) -> None:
        """The leader writes a batch, up to this entry."""
        self._under_way.append((last, time.perf_counter()))

    def committed(self, index: int) -> None:
        """Everything up to this entry is stored by a majority."""
        under_way = self._under_way
        while under_way and under_way[0][0] <= index:
            self.commit.since(under_way.popleft()[1])


class TimedFiles:
    """Files whose syncs are timed; for the journal, whose every batch waits for one."""

    def __init__(self, files: Files, sync: Durations) -> None:
        """What `files` does, but with `sync` hearing how long."""
        self._files = files
        self._sync = sync

    def create(self, path: Path) -> File:
        """Open a new, empty file."""
        return _TimedFile(self._files.create(path), self._sync)

    def open(self, path: Path) -> File:
        """Open an existing file."""
        return _TimedFile(self._files.open(path), self._sync)

    def exists(self, path: Path) -> bool:
        """Whether a file or folder has this name."""
        return self._files.exists(path)

    def names(self, folder: Path) -> list[str]:
        """The names in a folder, sorted."""
        return self._files.names(folder)

    def make_folder(self, path: Path) -> None:
        """Create a folder, unless it is there."""
        self._files.make_folder(path)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name."""
        self._files.rename(source, target)

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        self._files.unlink(path)

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder durable."""
        self._files.sync_folder(path)

    def lock(self, path: Path) -> Lock | None:
        """Lock a file against other processes."""
        return self._files.lock(path)


class _TimedFile:
    """What the file does, without a step between where it counts: its methods are handed on."""

    __slots__ = ("_durations", "_file", "close", "preallocate", "read", "size", "truncate", "write")

    def __init__(self, file: File, durations: Durations) -> None:
        self._file = file
        self._durations = durations
        self.read, self.write, self.size = file.read, file.write, file.size
        self.preallocate, self.truncate, self.close = file.preallocate, file.truncate, file.close

    def sync(self) -> None:
        began = time.perf_counter()
        self._file.sync()
        self._durations.since(began)
