"""The checksums of this node: one for each VERIFY in the log, at exactly its index.

At the marker the moment is taken, which is quick, and held; the sum is made in a thread. The last
few are kept for whoever compares the nodes, and so few are under way at a time that the moments
they hold don't keep the WAL from being emptied for long.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

import apsw

from raftsql.cluster.guests import Guest, Guests, SentAway
from raftsql.database.checksum import Checksum, Summing
from raftsql.database.errors import DatabaseDamaged, MachineStopped

KEPT_MAX: Final = 8
"""Moments whose sums can still be asked for; the oldest goes first."""
UNDER_WAY_MAX: Final = 2
"""Each holds its moment, and with it the WAL."""


class NoSum(Exception):
    """There is no checksum of that moment here; why."""


class Sums:
    """The sums of one node, by index."""

    def __init__(self, guests: Guests) -> None:
        """None yet."""
        self._guests = guests
        self._thread = ThreadPoolExecutor(UNDER_WAY_MAX, thread_name_prefix="checksum")
        self._sums: OrderedDict[int, Future[Checksum]] = OrderedDict()
        self._stopped = False
        self._lock = threading.Lock()
        """Held while a sum is begun, so that none is after the stop."""
        self.damage: DatabaseDamaged | None = None
        """Set when the database was found damaged: this node has to stop, once it has said so."""

    def begin(self, path: Path, index: int) -> None:
        """Take the moment: called where the log is applied, right after `index` and before more."""
        if index in self._sums:
            return
        taken = threading.Event()
        with self._lock:
            under_way = sum(not sum_.done() for sum_ in self._sums.values())
            if self._stopped:
                self._keep(index, _refused("the node stops"))
                return
            if under_way >= UNDER_WAY_MAX:
                self._keep(index, _refused("too many checksums were under way at that moment"))
                return
            self._keep(index, self._thread.submit(self._sum, path, index, taken))
        # The thread opens the file itself, since it is its guest; nothing more is applied before.
        taken.wait()

    def _keep(self, index: int, sum_: Future[Checksum]) -> None:
        self._sums[index] = sum_
        while len(self._sums) > KEPT_MAX:
            self._sums.popitem(last=False)

    def _sum(self, path: Path, index: int, taken: threading.Event) -> Checksum:
        try:
            with self._guests.stay() as guest:
                summing = Summing(path, cluster=True)
                try:
                    found = summing.position.index
                    assert found == index, f"the sum of entry {index} would be of {found}"
                    taken.set()
                    return self._finish(summing, guest)
                finally:
                    summing.close()
        except DatabaseDamaged as error:
            self.damage = error
            raise NoSum(str(error)) from error
        except (SentAway, MachineStopped, apsw.Error, OSError) as error:
            raise NoSum(str(error)) from error
        finally:
            taken.set()

    def _finish(self, summing: Summing, guest: Guest) -> Checksum:
        while True:
            found = summing.step()
            if found is not None:
                return found
            guest.check()
            if self._stopped:
                raise NoSum("the node stops")

    def known(self, index: int) -> bool:
        """Whether the marker was met here: its sum is made, or on its way."""
        return index in self._sums

    async def of(self, index: int) -> Checksum:
        """The sum of a marker that was met; NoSum when there is none."""
        sum_ = self._sums.get(index)
        if sum_ is None:
            raise NoSum("this node has no checksum of that moment: it was started since, or filled")
        return await asyncio.shield(asyncio.wrap_future(sum_))

    def stop(self) -> None:
        """The node stops. What was begun ends soon, and is not cancelled: where the log is applied
        its moment is waited for."""
        with self._lock:
            self._stopped = True
        self._thread.shutdown(wait=True)


def _refused(why: str) -> Future[Checksum]:
    refusal: Future[Checksum] = Future()
    refusal.set_exception(NoSum(why))
    return refusal
