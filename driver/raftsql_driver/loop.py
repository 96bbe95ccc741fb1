"""The one background thread of a process, whose event loop carries all blocking connections.

A thread hands its request over through a queue and one wake-up for all that waits, and then sleeps
on a lock of its own until the loop's reader opens it.

A forked child has no such thread, whatever its memory says: it starts its own when it needs one.
gRPC does not survive a fork either, not even unused (a child that inherits its live threads' state
may crash): all streams are closed before a fork, and opened again by whoever needs one.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import threading
import time
from _thread import allocate_lock
from collections import deque
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from raftsql_driver.cluster import Cluster, cluster_of
from raftsql_driver.errors import InterfaceError
from raftsql_driver.flows import Ask, Lost, Pause, Send, Wait
from raftsql_proto.frames import Cancel

if TYPE_CHECKING:
    from raftsql_driver.address import Address
    from raftsql_driver.stream import Stream, Ticket

T = TypeVar("T")
COLLECTIONS_MAX: Final = 3
"""A program that uses grpc.aio by itself keeps its threads: then it is no use to go on."""
NATIVE_THREADS_S: Final = 0.2
"""They end within milliseconds, unless they are not gRPC's."""
CLOSE_S: Final = 2.0
"""How long the end of the process waits for streams to close."""


class LockTicket:
    """A future for one sleeping thread."""

    __slots__ = ("outcome", "_lock")

    def __init__(self) -> None:
        self.outcome: Any = None
        self._lock = allocate_lock()
        self._lock.acquire()

    def done(self) -> bool:
        """Whether the answer is here."""
        return self.outcome is not None

    def set_result(self, outcome: Any, /) -> None:
        """Wake the thread."""
        self.outcome = outcome
        self._lock.release()

    def wait(self, seconds: float) -> bool:
        """Sleep until the answer is here; False when it took too long."""
        if self.outcome is not None:
            return True
        return self._lock.acquire(timeout=max(0.0, min(seconds, threading.TIMEOUT_MAX)))


class Background:
    """An event loop in a thread, and what other threads have for it."""

    def __init__(self) -> None:
        self.loop = _new_loop()
        self.clusters: list[Cluster] = []
        self._inbox: deque[tuple[Stream, Any, Ticket | None]] = deque()
        self._awake = False
        self._thread = threading.Thread(target=self._work, name="raftsql", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def hand_over(self, stream: Stream, frame: Any, ticket: Ticket | None) -> None:
        """Submit a frame to a stream, from any thread."""
        self._inbox.append((stream, frame, ticket))
        if not self._awake:
            try:
                self._awake = True
                self.loop.call_soon_threadsafe(self._empty)
            except BaseException:  # KeyboardInterrupt: others must not trust in a lost wake-up.
                self._awake = False
                raise

    def _empty(self) -> None:
        # The flag falls first: what is put in after the last look wakes the loop again.
        self._awake = False
        inbox = self._inbox
        while inbox:
            stream, frame, ticket = inbox.popleft()
            stream.submit(frame, ticket)

    def run(self, coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
        """Run a coroutine in the loop and wait for its result; not while the process forks."""
        with _fork_gate:
            return self._run(coroutine, seconds)

    def _run(self, coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return future.result(max(0.0, seconds))
        except CancelledError:
            raise InterfaceError("the process is about to end") from None
        except BaseException:
            future.cancel()
            raise

    def cluster(self, address: Address) -> Cluster:
        """The cluster at this address, shared by all blocking connections."""

        async def find() -> Cluster:
            cluster = cluster_of(address, self.loop)
            if cluster not in self.clusters:
                self.clusters.append(cluster)
            cluster.use()
            return cluster

        return self.run(find(), 60.0)

    def ask(self, cluster: Cluster, step: Ask) -> Any:
        """Carry out an `Ask` for a thread."""
        stream = cluster.streams.get(step.node)
        if stream is None or (step.serial and step.serial != stream.serial):
            if step.serial:
                return Lost(f"the stream to {step.node} was lost", sent=False)
            left = step.deadline - time.monotonic()
            try:
                opened = self.run(cluster.open(step.node), left)
            except TimeoutError:
                return Lost(f"{step.node} could not be reached in time", sent=False)
            if isinstance(opened, Lost):
                return opened
            stream = opened
        step.serial = stream.serial
        ticket = LockTicket()
        self.hand_over(stream, step.frame, ticket)
        return self._answer(stream, ticket, step.frame.id, step.deadline)

    def _answer(self, stream: Stream, ticket: LockTicket, number: int, deadline: float) -> Any:
        try:
            if ticket.wait(deadline - time.monotonic()):
                return ticket.outcome
        except BaseException:  # KeyboardInterrupt: the caller gives up.
            self.hand_over(stream, Cancel(number), None)
            raise
        self.hand_over(stream, Cancel(number), None)
        return ticket.outcome or Lost("no answer in time", sent=True, late=True)

    def send(self, cluster: Cluster, step: Send) -> LockTicket:
        """Carry out a `Send` for a thread."""
        ticket = LockTicket()
        stream = cluster.streams.get(step.node)
        if stream is None or stream.serial != step.serial:
            ticket.set_result(Lost(f"the stream to {step.node} was lost", sent=False))
        else:
            answered = hasattr(step.frame, "id") and type(step.frame) is not Cancel
            self.hand_over(stream, step.frame, ticket if answered else None)
        return ticket

    def wait(self, cluster: Cluster, step: Wait) -> Any:
        """Carry out a `Wait` for a thread."""
        stream = cluster.streams.get(step.node)
        if stream is None or step.ticket.done():
            step.ticket.wait(step.deadline - time.monotonic())
            return step.ticket.outcome or Lost("the stream was lost", sent=True)
        return self._answer(stream, step.ticket, step.frame.id, step.deadline)

    def pause(self, cluster: Cluster, step: Pause) -> None:
        """Carry out a `Pause` for a thread."""
        ticket = LockTicket()
        cluster.pausing.add(ticket)
        try:
            ticket.wait(step.seconds)
        finally:
            cluster.pausing.discard(ticket)

    def close_streams(self) -> None:
        """Close all streams; the next request opens what it needs."""

        async def close() -> None:
            for cluster in self.clusters:
                await cluster.close()

        with suppress(TimeoutError, InterfaceError):  # Then the nodes will notice by themselves.
            self._run(close(), CLOSE_S)

    def stop(self) -> None:
        """Close all streams and end the thread."""
        self.close_streams()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(CLOSE_S)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


_current: Background | None = None
_guard = threading.Lock()
_fork_gate = threading.RLock()
"""Held while the process forks: no stream is opened then."""
_left_behind: list[Background] = []
"""Of the parent process: kept, since taking them apart here could harm what they share."""


def background() -> Background:
    """This process's background loop, started when it is first needed."""
    global _current
    with _guard:
        if _current is None:
            _current = Background()
        return _current


def _stop() -> None:
    global _current
    stopped, _current = _current, None
    if stopped is not None:
        stopped.stop()


def _before_fork() -> None:
    _fork_gate.acquire()
    if _current is not None and any(cluster.streams for cluster in _current.clusters):
        _current.close_streams()
        for _ in range(COLLECTIONS_MAX):
            # What gRPC left in cycles of references keeps its threads alive.
            gc.collect()
            if not any("_poll_wrapper" in thread.name for thread in threading.enumerate()):
                break
        _await_native_threads()


def _await_native_threads() -> None:
    """Wait until gRPC's own threads have ended: one of them might hold a lock of the allocator."""
    end = time.monotonic() + NATIVE_THREADS_S
    with suppress(OSError):  # Only Linux tells.
        while len(os.listdir("/proc/self/task")) > threading.active_count():
            if time.monotonic() > end:
                return
            time.sleep(0.001)


def _after_fork_in_parent() -> None:
    _fork_gate.release()


def _after_fork_in_child() -> None:
    global _current, _guard, _fork_gate
    if _current is not None:
        _left_behind.append(_current)
    _current = None
    _guard, _fork_gate = threading.Lock(), threading.RLock()


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
