"""Reads on their way to the moment that their level promises.

A linearizable read gathers with the others that arrived since the last lap; one question to the
core covers them all, and its answer is the index that must be applied before they may run. The
others know at once what they wait for. Those that wait for nothing run when the message that they
came in was taken: together they cost less than one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import assert_never

from raftsql.cluster.requests import Read, Stage, out_of_time
from raftsql.raft.node import Node
from raftsql.raft.ready import ReadGranted
from raftsql.sql.commands import Level, Why

WAITING_MAX = 50_000
"""Reads that wait for their moment; one more is told that the node is overloaded."""

Serve = Callable[[list[Read]], None]


class Reading:
    """The reads of this node's clients that do not run yet."""

    def __init__(self, node: Node, serve: Serve, now_ms: Callable[[], int]) -> None:
        """`serve` runs reads whose moment has come; `now_ms` is the core's clock, read anew: after
        a pause the core itself may not have looked yet."""
        self._node = node
        self._serve = serve
        self._now_ms = now_ms
        self._gathered: dict[bool, list[Read]] = {False: [], True: []}
        """By whether the leader's lease is enough."""
        self._asked: dict[int, tuple[list[Read], int]] = {}
        """By request: who waits, and when the core was asked."""
        self._waiting: list[Read] = []
        """Those that wait for their index to be applied."""
        self._ready: list[Read] = []
        """Those that wait for nothing but the lap."""
        self._in_flight = 0
        """Reads that the core was asked about."""
        self._request = 0
        self.level_at_ms: int | None = None
        """This node held at that time, by its own clock, all that was committed in the cluster."""
        self._level_later: tuple[int, int] | None = None

    def __len__(self) -> int:
        gathered = len(self._gathered[False]) + len(self._gathered[True])
        return self._in_flight + len(self._waiting) + len(self._ready) + gathered

    def take(self, read: Read) -> None:
        """A new read: let it wait for what its level promises."""
        if len(self) >= WAITING_MAX:
            read.reply.refused(Why.OVERLOADED, "too many reads wait already; try again later")
            return
        match read.level:
            case Level.LINEARIZABLE:
                self._gathered[False].append(read)
            case Level.LEASE:
                self._gathered[True].append(read)
            case Level.SESSION:
                read.index = read.token
                self._put(read)
            case Level.STALE:
                if self._is_fresh_enough(read):
                    self._put(read)
                else:
                    self._gathered[False].append(read)
            case _:
                assert_never(read.level)

    def _is_fresh_enough(self, read: Read) -> bool:
        if not read.max_staleness_ms:
            return True
        age = self.age_ms()
        return age is not None and age <= read.max_staleness_ms

    def age_ms(self) -> int | None:
        """At most so long ago this node held all that was committed; None: not known."""
        if self.level_at_ms is None:
            return None
        return max(0, self._now_ms() - self.level_at_ms)

    def _put(self, read: Read) -> None:
        (self._ready if read.index <= self._node.log.applied else self._waiting).append(read)

    def run_ready(self) -> None:
        """Run those that wait for nothing: when all of a client's message was taken, or with the
        lap."""
        if self._ready:
            ready, self._ready = self._ready, []
            self._serve(ready)

    def ask(self) -> None:
        """One question to the core for all that gathered since the last lap."""
        for lease in (False, True):
            reads = self._gathered[lease]
            if reads:
                self._gathered[lease] = []
                self._request += 1
                self._in_flight += len(reads)
                self._asked[self._request] = (reads, self._node.now)
                self._node.read(self._request, self._node.now, lease=lease)

    def keep_level(self) -> None:
        """Ask although nobody waits, so that the age of stale reads is known."""
        if not self._asked:
            self._request += 1
            self._asked[self._request] = ([], self._node.now)
            self._node.read(self._request, self._node.now)

    def granted(self, grants: Iterable[ReadGranted]) -> None:
        """The core has said from which index on they may run."""
        for request, index in grants:
            reads, asked_at = self._asked.pop(request, ([], 0))
            self._in_flight -= len(reads)
            for read in reads:
                read.index = max(read.index, index)
                if read.watcher is not None:
                    read.watcher.reached(Stage.GRANTED, index)
            self._note_level(index, asked_at)
            self._wait(reads)

    def _note_level(self, index: int, asked_at: int) -> None:
        """All that was committed when the question was asked is at or below `index`."""
        if index <= self._node.log.applied:
            self.level_at_ms = max(self.level_at_ms or asked_at, asked_at)
        elif self._level_later is None:
            self._level_later = (index, asked_at)

    def refused(self, requests: Iterable[int]) -> None:
        """The core could not vouch for them."""
        for request in requests:
            reads, _ = self._asked.pop(request, ([], 0))
            self._in_flight -= len(reads)
            for read in reads:
                if read.level is Level.STALE:
                    self._too_stale(read)
                else:
                    read.reply.refused(Why.NOT_LEADER, "no leader could be asked")

    def _too_stale(self, read: Read) -> None:
        age = self.age_ms()
        known = "of unknown age" if age is None else f"up to {age} ms old"
        read.reply.refused(
            Why.TOO_STALE,
            f"the data here is {known}, more than {read.max_staleness_ms} ms; "
            "no leader could be asked",
        )

    def _wait(self, reads: list[Read]) -> None:
        applied = self._node.log.applied
        now = [read for read in reads if read.index <= applied]
        if now:
            self._serve(now)
        if len(now) < len(reads):
            self._waiting += [read for read in reads if read.index > applied]

    def applied(self) -> None:
        """More has been applied: run those that waited for it."""
        if self._level_later is not None and self._level_later[0] <= self._node.log.applied:
            self.level_at_ms = max(self.level_at_ms or 0, self._level_later[1])
            self._level_later = None
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._wait(waiting)

    def expire(self, now_ms: int) -> None:
        """Answer those whose client has stopped waiting."""
        for reads, _ in self._asked.values():
            before = len(reads)
            self._drop_late(reads, now_ms)
            self._in_flight -= before - len(reads)
        self._drop_late(self._waiting, now_ms)

    def _drop_late(self, reads: list[Read], now_ms: int) -> None:
        late = [read for read in reads if 0 < read.deadline_ms <= now_ms]
        if late:
            reads[:] = [read for read in reads if not 0 < read.deadline_ms <= now_ms]
        for read in late:
            read.reply.refused(*out_of_time(read, "the read could run"))

    def stop(self) -> None:
        """The node stops."""
        groups = [*self._gathered.values(), self._waiting, self._ready]
        for reads in [*groups, *(reads for reads, _ in self._asked.values())]:
            for read in reads:
                read.reply.refused(Why.SHUTTING_DOWN, "the node stops")
            reads.clear()
        self._in_flight = 0
