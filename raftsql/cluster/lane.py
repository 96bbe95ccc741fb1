"""A lane: jobs done one after another, beside the event loop or, when they are small, in it.

The journal has one, and so has the database. A thread costs a job two hand-overs (about 60 µs and a
quarrel over the interpreter), which is more than a small job takes; a big one would keep the loop,
and so the heartbeats, waiting. So each job says whether it is small, and order is kept either way.
What looks small and is not, is found out as it runs: it stops with `Longer`, and goes on in the
thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from raftsql.cluster.patience import Longer, in_full

T = TypeVar("T")

Job = tuple[Callable[[], Any], Callable[[Any], None]]


class Lane:
    """Jobs in order. `failed` hears of the first that raises; nothing is done after it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        name: str,
        failed: Callable[[BaseException], None],
    ) -> None:
        """Start the thread."""
        self._loop = loop
        self._failed = failed
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._under_way = 0
        self._broken = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def free(self) -> bool:
        """Whether a job given now would begin at once."""
        return self._under_way == 0

    def do(self, job: Callable[[], T], then: Callable[[T], None], *, small: bool) -> None:
        """Do a job; `then` hears its result in the event loop, perhaps before this returns."""
        if self._broken:
            return
        if small and self.free:
            try:
                result = job()
            except Longer as longer:
                job = longer.rest
            except BaseException as error:
                self._break(error)
                return
            else:
                self._tell(then, result)
                return
        self._under_way += 1
        self._jobs.put((job, then))

    def _run(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, then = item
            try:
                result = in_full(job)
            except BaseException as error:
                self._loop.call_soon_threadsafe(self._break, error)
                return
            self._loop.call_soon_threadsafe(self._done, then, result)

    def _done(self, then: Callable[[Any], None], result: Any) -> None:
        self._under_way -= 1
        if not self._broken:
            self._tell(then, result)

    def _tell(self, then: Callable[[Any], None], result: Any) -> None:
        """Whoever can't take a result is broken, and must not go on as if it had none."""
        try:
            then(result)
        except Exception as error:
            self._break(error)

    def _break(self, error: BaseException) -> None:
        if not self._broken:
            self._broken = True
            self._failed(error)

    async def close(self) -> None:
        """Let the jobs that were given end, and the thread with them."""
        self._jobs.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
