"""Many clients of a peer in one thread, as cheap as they can be.

What a peer's own client would cost must not be held against the peer: here a request costs one
`send`, one `recv` and a few microseconds of Python, with no tasks and no parsing.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from benchmarks.histogram import Histogram
from benchmarks.results import Measured
from benchmarks.usage import own_cpu_seconds
from benchmarks.wire import RECEIVE_BYTES, SILENCE_SECONDS_MAX, Failed, Wire


def crowd(
    connect: Callable[[], Wire],
    requests: Callable[[], Sequence[bytes]],
    *,
    clients: int,
    seconds: float,
) -> Measured:
    """So many connections, each asking again as soon as it has its answer.

    One turn is a sequence of requests, each sent when the one before is answered.
    """
    with ExitStack() as stack:
        wires = [connect() for _ in range(clients)]
        for wire in wires:
            stack.callback(wire.socket.close)
        for wire in wires:
            for request in requests():
                wire.send(request)
                wire.wait()
        turns = [_Turns(wire, requests) for wire in wires]
        began, cpu = time.perf_counter(), own_cpu_seconds()
        _until(turns, began + seconds)
        elapsed, cpu = time.perf_counter() - began, own_cpu_seconds() - cpu
    latencies = [took for one in turns for took in one.latencies]
    return Measured(len(latencies), elapsed, Histogram(latencies), cpu)


class _Turns:
    """What one connection does in turn, and how long each took."""

    __slots__ = ("_began", "_requests", "_step", "_turn", "latencies", "wire")

    def __init__(self, wire: Wire, requests: Callable[[], Sequence[bytes]]) -> None:
        self.wire = wire
        self.latencies: list[float] = []
        self._requests = requests

    def begin(self, now: float) -> None:
        """The first request of a turn."""
        self._began, self._turn, self._step = now, self._requests(), 1
        self.wire.send(self._turn[0])

    def answered(self, stop_at: float) -> bool:
        """Go on after an answer; whether there is anything more to wait for."""
        if self._step < len(self._turn):
            self.wire.send(self._turn[self._step])
            self._step += 1
            return True
        now = time.perf_counter()
        self.latencies.append(now - self._began)
        if now >= stop_at:
            return False
        self.begin(now)
        return True


def _until(turns: list[_Turns], stop_at: float) -> None:
    """Take turns until the time is over and every answer is there."""
    waiting = {one.wire.socket.fileno(): one for one in turns}
    with select.epoll() as poll:
        for number, one in waiting.items():
            poll.register(number, select.EPOLLIN)
            one.begin(time.perf_counter())
        while waiting:
            events = poll.poll(SILENCE_SECONDS_MAX)
            if not events:
                raise Failed(f"no answer for {SILENCE_SECONDS_MAX:.0f} s")
            for number, _ in events:
                one = waiting[number]
                received = one.wire.socket.recv(RECEIVE_BYTES)
                if not received:
                    raise Failed("the server closed the connection")
                if one.wire.feed(received) and not one.answered(stop_at):
                    poll.unregister(number)
                    del waiting[number]
