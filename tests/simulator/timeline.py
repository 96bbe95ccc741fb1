"""Simulated time: one heap of things to happen, and nothing else makes time pass.

Times are whole microseconds of the world's own clock, which no node can see: each node has a
`Clock` that started at its own moment and runs at its own rate.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MS = 1000
"""Microseconds in a millisecond."""


class Timeline:
    """What will happen, in order of time; what is to happen at one moment keeps its order."""

    __slots__ = ("now", "steps", "_heap", "_count")

    def __init__(self) -> None:
        self.now = 0
        self.steps = 0
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0

    def after(self, delay_us: int, call: Callable[..., None], *arguments: Any) -> None:
        """Let `call` happen after the delay."""
        self._count += 1
        heapq.heappush(self._heap, (self.now + delay_us, self._count, call, arguments))

    def run(self, until_us: int, *, steps_max: int) -> None:
        """Let everything happen that is due until then."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= until_us:
            self.now, _, call, arguments = pop(heap)
            self.steps += 1
            if self.steps > steps_max:
                raise AssertionError(f"liveness: the world is too busy after {self.steps} steps")
            call(*arguments)
        self.now = until_us


@dataclass(slots=True)
class Clock:
    """A monotonic clock in milliseconds, as one machine sees it."""

    timeline: Timeline
    offset_ms: int
    rate: float

    def now(self) -> int:
        """What the machine reads now."""
        return self.offset_ms + int(self.timeline.now * self.rate / MS)

    def wait_us(self, until_ms: int) -> int:
        """How long, in the world's time, until this clock shows `until_ms`."""
        due = (until_ms - self.offset_ms) * MS / self.rate
        return max(0, int(due) + 1 - self.timeline.now)
