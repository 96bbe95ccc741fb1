"""Starts a coroutine at once, without a task: its first step runs inside the call.

A task's first step waits for the loop's next round, and whoever blocks the loop until then (an
fsync in place) delays what could have been on its way. Python 3.12 has eager tasks for this.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Coroutine
from typing import Any

Done = Callable[[BaseException | None], None]


def start(coroutine: Coroutine[Any, Any, None], done: Done) -> None:
    """Run until the first wait; later, or before this returns, call `done` with how it ended.

    The coroutine may await futures of the running loop, and must not need a current task.
    """
    try:
        future: Future[Any] | None = coroutine.send(None)
    except StopIteration:
        done(None)
    except BaseException as error:
        done(error)
    else:
        assert future is not None, "the coroutine waits for a future, not for the loop's next round"
        # The protocol between a future and the task that awaits it: the awaiter takes note.
        future._asyncio_future_blocking = False
        future.add_done_callback(lambda _: start(coroutine, done))
