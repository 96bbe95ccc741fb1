"""The readers: a bounded pool of read-only connections, and the moments that clients hold.

WAL lets any number of readers see one moment each, while the writer goes on. What a held moment
costs is the WAL, which can't start over before the oldest of them is let go: so the connections
and the holds are bounded, and whoever holds is expected to bound the time.

Nothing here waits and nothing here is a thread: when no connection is free that is said at once
(ReadBusy), and the caller bounds its queue. Any thread may call, since what is shared is taken and
given back by single operations of a deque; a hold belongs to one thread at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from raftsql.database.reader import (
    NOTHING_MINE,
    USUAL,
    HoldEnded,
    InUse,
    Limits,
    Mine,
    ReadBusy,
    ReadCut,
    Reader,
    Running,
)
from raftsql.raft.messages import Position
from raftsql.sql.access import Access, nobody_yet
from raftsql.sql.commands import Column, Failed, Parameters

CONNECTIONS_MAX: Final = 72
"""Each has a file, a cache of up to 2 MB of pages and one of statements."""
IDLE_MAX: Final = 24
"""Connections that wait for work; more are closed when they have none."""
HELD_MAX: Final = 64
"""Less than the connections, so that those who page big results never lock out short reads."""
RESTS_MAX: Final = 8
"""Results that one moment may have half read at a time."""


class Query(NamedTuple):
    """One of several reads that run together."""

    sql: str
    parameters: Parameters = None
    mine: Mine = NOTHING_MINE


class Page(NamedTuple):
    """The first rows of a result, or the next ones."""

    columns: list[Column]
    rows: bytes
    """msgpack: a list of rows, each a list of values."""
    length: int
    more: Rest | None
    """Holds the moment and the place for the next page; None when this was the last."""


class Moment:
    """A connection kept at the moment it sees.

    Whoever works with it takes it out of its slot first, so that closing from another thread never
    meets it at work.
    """

    def __init__(self, readers: Readers, reader: Reader) -> None:
        self._readers = readers
        self._slot = deque([reader])
        self._cut = False
        self._left = False
        self._dropped: deque[Running] = deque()
        self.running: set[Running] = set()
        """Results half read; they end with the moment, if it is closed before."""

    def enter(self) -> Reader:
        """Take the connection to work with it."""
        try:
            return self._slot.pop()
        except IndexError:
            if self._cut:
                raise HoldEnded(
                    "what was held is closed: perhaps the database was replaced"
                ) from None
            raise InUse("what was held is in use by another call") from None

    def leave(self, reader: Reader) -> None:
        """Put it back; this is when what was asked for meanwhile happens."""
        while True:
            while self._dropped:
                self.end(self._dropped.popleft())
            is_over = self._left and not self.running
            self._slot.append(reader)
            if self._cut or is_over:
                self.close()
            # Whoever asked for something since the look above has not found the connection here.
            elif self._dropped or (self._left and not self.running):
                try:
                    reader = self._slot.pop()
                except IndexError:
                    return  # Whoever has it leaves it here too.
                continue
            return

    def end(self, running: Running) -> None:
        """End a result; by whoever has the connection."""
        if running in self.running:
            self.running.discard(running)
            running.close()

    def finish(self) -> None:
        """Nothing more is begun at the moment: let go of it when what is half read has ended."""
        self._left = True
        self._look()

    def drop(self, running: Running) -> None:
        """The rest of this result is not wanted: end it now, or when the connection is left."""
        self._dropped.append(running)
        self._look()

    def _look(self) -> None:
        try:
            reader = self._slot.pop()
        except IndexError:
            return
        self.leave(reader)

    def close(self) -> None:
        """Let go of the moment: now, or as soon as the call that uses it ends."""
        self._cut = True
        try:
            reader = self._slot.pop()
        except IndexError:
            return
        for running in self.running:
            running.close()
        self.running.clear()
        self._readers.let_go(self, reader)


class Rest:
    """The rows of a result that no page has shown yet, as they were when it began."""

    def __init__(self, moment: Moment, running: Running, sql: str, *, alone: bool) -> None:
        self._moment = moment
        self._running = running
        self._sql = sql
        self._alone = alone
        """Whether the moment is held for this result only, and ends with it."""
        moment.running.add(running)

    def next_page(self, limits: Limits = USUAL) -> Page | Failed:
        """Go on where the last page ended; after the last one, or an error, all is let go."""
        reader = self._moment.enter()
        going_on = False
        try:
            if self._running not in self._moment.running:
                raise ReadCut("this result was closed")
            part = reader.next(self._running, self._sql, limits)
            if isinstance(part, Failed):
                return part
            going_on = part.rest is not None
            return Page(part.columns, part.rows, part.length, self if going_on else None)
        finally:
            if not going_on:
                self._moment.end(self._running)
            self._moment.leave(reader)
            if not going_on and self._alone:
                self._moment.close()

    def close(self) -> None:
        """No further page is wanted."""
        if self._alone:
            self._moment.close()
            return
        self._moment.drop(self._running)


class OpenMoment(Moment):
    """A moment at which several statements run: a transaction that has not written yet.

    It may go on as a writing one only if nothing was applied after `position`.
    """

    def __init__(self, readers: Readers, reader: Reader, position: Position) -> None:
        super().__init__(readers, reader)
        self.position = position
        """What was applied at this moment: nothing later is seen."""

    def read(
        self,
        sql: str,
        parameters: Parameters = None,
        *,
        mine: Mine = NOTHING_MINE,
        limits: Limits = USUAL,
    ) -> Page | Failed:
        """Run one query at this moment."""
        if len(self.running) >= RESTS_MAX:
            raise ReadBusy("too many results of this transaction are half read: read or close one")
        reader = self.enter()
        try:
            part = reader.first(sql, parameters, mine, limits)
            if isinstance(part, Failed):
                return part
            columns, rows, length, running = part
            more = None if running is None else Rest(self, running, sql, alone=False)
            return Page(columns, rows, length, more)
        finally:
            self.leave(reader)


M = TypeVar("M", bound=Moment)


class Readers:
    """Reads of one database file, as many at a time as there are connections."""

    def __init__(
        self,
        path: Path,
        *,
        connections_max: int = CONNECTIONS_MAX,
        held_max: int = HELD_MAX,
        vfs: str = "",
        access: Callable[[], Access] = nobody_yet,
    ) -> None:
        assert held_max < connections_max, "holds must leave a connection for short reads"
        self._path = path
        self._vfs = vfs
        self._access = access
        """Tells who may read what, as it is when a query begins."""
        self._idle: deque[Reader] = deque()
        self._unopened: deque[None] = deque([None] * connections_max)
        self._free_holds: deque[None] = deque([None] * held_max)
        self._moments: set[Moment] = set()
        self._out: set[Reader] = set()
        self._closed = False

    def read(
        self,
        sql: str,
        parameters: Parameters = None,
        *,
        mine: Mine = NOTHING_MINE,
        limits: Limits = USUAL,
    ) -> Page | Failed:
        """Run one query on the newest moment; a result above a page stays held in `more`."""
        reader = self._take()
        held = False
        try:
            part = reader.first(sql, parameters, mine, limits)
            if isinstance(part, Failed):
                return part
            columns, rows, length, running = part
            if running is None:
                return Page(columns, rows, length, None)
            more = self._rest(reader, running, sql)
            held = True
            return Page(columns, rows, length, more)
        finally:
            if not held:
                self._give_back(reader)

    def read_many(self, queries: Sequence[Query], *, limits: Limits = USUAL) -> list[Page | Failed]:
        """Run queries that wait together at one moment: cheaper than each at its own.

        A result above a page keeps its connection; those after it see a moment not older. What
        is raised is raised for all of them.
        """
        pages: list[Page | Failed] = []
        try:
            self._fill(pages, queries, limits)
        except BaseException:
            for page in pages:
                if isinstance(page, Page) and page.more is not None:
                    page.more.close()
            raise
        return pages

    def _fill(self, pages: list[Page | Failed], queries: Sequence[Query], limits: Limits) -> None:
        while len(pages) < len(queries):
            reader = self._take()
            held = False
            try:
                reader.begin()
                while len(pages) < len(queries) and not held:
                    sql, parameters, mine = queries[len(pages)]
                    part = reader.first(sql, parameters, mine, limits)
                    if isinstance(part, Failed):
                        pages.append(part)
                        continue
                    columns, rows, length, running = part
                    more = None if running is None else self._rest(reader, running, sql)
                    held = more is not None
                    pages.append(Page(columns, rows, length, more))
            finally:
                if not held:
                    self._give_back(reader)

    def open_moment(self) -> OpenMoment:
        """Hold the newest moment, for a transaction whose statements all see it."""
        reader = self._take()
        moment: OpenMoment | None = None
        try:
            reader.begin()
            moment = self._hold(OpenMoment(self, reader, reader.position()))
        finally:
            if moment is None:
                self._give_back(reader)
        return moment

    @property
    def holds(self) -> int:
        """How many moments are held: each keeps the WAL from starting over."""
        return len(self._moments)

    @property
    def outstanding(self) -> int:
        """How many connections are in use; none is open any more when it is 0 after `close`."""
        return len(self._out)

    def close(self) -> None:
        """End all reads: idle and held ones now, running ones with ReadCut as they notice."""
        self._closed = True
        for moment in list(self._moments):
            moment.close()
        for reader in list(self._out):
            reader.cut()
        self._close_idle()

    def let_go(self, moment: Moment, reader: Reader) -> None:
        """Called by a moment that ends: its connection is free for others."""
        self._moments.discard(moment)
        self._free_holds.append(None)
        self._give_back(reader)

    def _rest(self, reader: Reader, running: Running, sql: str) -> Rest:
        try:
            moment = self._hold(Moment(self, reader))
        except ReadBusy:
            running.close()
            raise
        return Rest(moment, running, sql, alone=True)

    def _take(self) -> Reader:
        if self._closed:
            raise ReadBusy("the database is being replaced or closed")
        try:
            reader = self._idle.pop()
        except IndexError:
            reader = self._open()
        self._out.add(reader)
        return reader

    def _open(self) -> Reader:
        try:
            self._unopened.pop()
        except IndexError:
            raise ReadBusy("every reader is in use") from None
        try:
            return Reader(self._path, vfs=self._vfs, access=self._access)
        except BaseException:
            self._unopened.append(None)
            raise

    def _give_back(self, reader: Reader) -> None:
        try:
            reader.commit()
        except BaseException:
            # Whatever became of it, nobody shall get it again.
            reader.close()
            self._unopened.append(None)
            raise
        else:
            self._put_by(reader)
        finally:
            if self._closed:
                self._close_idle()
            self._out.discard(reader)

    def _put_by(self, reader: Reader) -> None:
        if len(self._idle) < IDLE_MAX:
            self._idle.append(reader)
            return
        reader.close()
        self._unopened.append(None)

    def _close_idle(self) -> None:
        while self._idle:
            try:
                reader = self._idle.pop()
            except IndexError:
                return
            reader.close()

    def _hold(self, moment: M) -> M:
        try:
            self._free_holds.pop()
        except IndexError:
            raise ReadBusy("too many results and transactions are held open") from None
        self._moments.add(moment)
        return moment
