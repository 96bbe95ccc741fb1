"""Runs reads: in place while they are short, in a thread when they turn out not to be.

Most reads take microseconds, and a thread would cost them more than they need; a long one would
keep the loop from its heartbeats. Nobody can tell beforehand, so every read starts in place with a
bound on the steps it may take, and starts again in a thread if it comes to that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from raftsql.cluster.requests import Read
from raftsql.database.reader import (
    BYTES_MAX,
    ROWS_MAX,
    Expired,
    HoldEnded,
    InUse,
    Limits,
    ReadBroken,
    ReadBusy,
    ReadCut,
)
from raftsql.database.readers import Page, Query, Rest
from raftsql.sql.commands import Failed, Why, encode

if TYPE_CHECKING:
    from raftsql.cluster.runner import Runner


def _at_once() -> bool:
    return True


IN_PLACE = Limits(ROWS_MAX, BYTES_MAX, _at_once)
"""Cut at the first look at the clock, which SQLite takes after about a millisecond of work."""

TOGETHER_MAX = 64
"""So many reads run in one turn of the loop. Then the answers leave, and heartbeats get in; clients
ask again while the next reads run (decision 0181)."""

AGAIN_SECONDS = 0.002
"""A page that another call of the same moment makes takes about so long."""


class Querying:
    """The reads that run now."""

    def __init__(self, runner: Runner, pool: ThreadPoolExecutor) -> None:
        """`pool` runs those that are not short."""
        self._runner = runner
        self._pool = pool

    def run(self, reads: list[Read]) -> None:
        """Run reads whose moment has come; what is too many for one turn, in the turns to come."""
        if len(reads) > TOGETHER_MAX * 3 // 2:
            self._runner.loop.call_soon(self.run, reads[TOGETHER_MAX:])
            reads = reads[:TOGETHER_MAX]
        plain = [r for r in reads if r.moment is None and r.hold is None and not r.page_rows]
        if len(plain) == len(reads) and len(reads) > 1:
            self._together(reads)
            return
        for read in reads:
            self._alone(read)

    def _together(self, reads: list[Read]) -> None:
        """At one moment, which is cheaper; one by one if any of them is long."""
        queries = [Query(read.sql, read.parameters, read.mine) for read in reads]
        try:
            pages = self._runner.readers.read_many(queries, limits=IN_PLACE)
        except (ReadCut, ReadBusy):
            for read in reads:
                self._alone(read)
            return
        except ReadBroken as error:
            self._broken(error)
            return
        seen = self._seen()
        for read, page in zip(reads, pages, strict=True):
            _reply(read, page, seen)

    def _alone(self, read: Read) -> None:
        try:
            page = self._execute(read, IN_PLACE._replace(rows_max=read.page_rows or ROWS_MAX))
        except HoldEnded as error:
            _gone(read, error)
        except ReadCut:
            self._in_thread(read)
        except ReadBusy as error:
            read.reply.refused(Why.OVERLOADED, str(error))
        except ReadBroken as error:
            self._broken(error)
        else:
            _reply(read, page, self._seen())

    def _execute(self, read: Read, limits: Limits) -> Page | Failed:
        if read.hold is not None:
            moment = read.hold(self._runner.readers.open_moment())
            read.hold, read.moment = None, moment
        if read.moment is not None:
            return read.moment.read(read.sql, read.parameters, mine=read.mine, limits=limits)
        return self._runner.readers.read(read.sql, read.parameters, mine=read.mine, limits=limits)

    def _in_thread(self, read: Read) -> None:
        limits = Limits(read.page_rows or ROWS_MAX, BYTES_MAX, self._expired(read))
        self._beside(read, partial(self._execute, read, limits), Why.OVERLOADED)

    def _beside(
        self,
        read: Read,
        job: Callable[[], Page | Failed],
        cut: Why,
        give_up: Callable[[], None] = lambda: None,
    ) -> None:
        """Run it in a thread, and once more if another call works at the same moment just now.

        A client may ask for the next rows of one result and begin another, in one transaction.
        """

        def ran(done: asyncio.Future[Page | Failed]) -> None:
            if not done.cancelled() and isinstance(done.exception(), InUse):
                if not (self._expired(read)() or self._runner.replica.stopped):
                    again = partial(self._beside, read, job, cut, give_up)
                    self._runner.loop.call_later(AGAIN_SECONDS, again)
                    return
                give_up()
            self._ran(read, done, cut)

        self._runner.loop.run_in_executor(self._pool, job).add_done_callback(ran)

    def _expired(self, read: Read) -> Expired:
        now_ms, deadline = self._runner.now_ms, read.deadline_ms
        return lambda: read.cancelled or 0 < deadline <= now_ms()

    def _ran(self, read: Read, done: asyncio.Future[Page | Failed], cut: Why) -> None:
        """`cut` is why it was given up when its client was not the one who wished so."""
        try:
            page = done.result()
        except HoldEnded as error:
            _gone(read, error)
        except ReadCut as error:
            late = 0 < read.deadline_ms <= self._runner.now_ms()
            why = Why.CANCELLED if read.cancelled else Why.TIMEOUT if late else cut
            read.reply.refused(why, str(error))
        except ReadBusy as error:
            read.reply.refused(Why.OVERLOADED, str(error))
        except asyncio.CancelledError:
            read.reply.refused(Why.SHUTTING_DOWN, "the node stops")
        except ReadBroken as error:
            self._broken(error)
        except BaseException as error:
            self._runner.fail(error)
        else:
            _reply(read, page, self._seen())

    def _broken(self, error: ReadBroken) -> None:
        self._runner.fail(error.reason(self._runner.stores.database))

    def next_page(self, rest: Rest, read: Read) -> None:
        """Go on with a result; `read` carries the reply and the bounds of this page."""
        limits = Limits(read.page_rows or ROWS_MAX, BYTES_MAX, self._expired(read))
        self._beside(read, partial(rest.next_page, limits), Why.CURSOR_GONE, rest.close)

    def _seen(self) -> _Seen:
        """Asked right after a read, of what it has seen."""
        runner = self._runner
        # Of a database that was just replaced the core has not heard yet.
        index = max(runner.node.handed_out, runner.machine.applied.index)
        age_ms = runner.replica.reading.age_ms()
        return _Seen(index, -1 if age_ms is None else age_ms)


class _Seen(NamedTuple):
    """The state that a read has seen."""

    upto: int
    """It is not newer than this index: the client's next token."""
    age_ms: int
    """It may be as old as this; -1 where that is not known."""


def _reply(read: Read, page: Page | Failed, seen: _Seen) -> None:
    if isinstance(page, Failed):
        read.reply.result(encode(page), 0)
    else:
        read.reply.page(page, *seen)


def _gone(read: Read, error: HoldEnded) -> None:
    """What the read belongs to has ended; asking again would not help."""
    why = Why.CURSOR_GONE if read.moment is None else Why.TRANSACTION_GONE
    read.reply.refused(why, str(error))
