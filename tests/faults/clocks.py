"""A node's clocks: the wall clock jumps, the steady one runs a little fast or slow."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.faults.knobs import Knobs


def install(knobs: Knobs) -> None:
    """From now on this process reads its time through the knobs."""
    from raftsql.cluster.runner import Runner

    wall, wall_ns = time.time, time.time_ns
    time.time = lambda: wall() + knobs.wall_ms / 1000
    time.time_ns = lambda: wall_ns() + knobs.wall_ms * 1_000_000
    right = Runner.__init__

    def init(self: Any, *arguments: Any, **more: Any) -> None:
        right(self, *arguments, **more)
        self.loop = Skewed(self.loop, knobs)

    Runner.__init__ = init  # type: ignore[method-assign]


class Skewed:
    """An event loop whose clock never goes back, and runs at a speed that can be changed.

    What is to happen at a time happens when this clock shows it.
    """

    def __init__(self, loop: Any, knobs: Knobs) -> None:
        self._loop, self._knobs = loop, knobs
        self._ppm = 0
        self._true = self._told = loop.time()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def time(self) -> float:
        """What this clock shows now."""
        true = self._loop.time()
        self._told += (true - self._true) * (1 + self._ppm / 1_000_000)
        self._true = true
        self._ppm = self._knobs.steady_ppm
        told: float = self._told
        return told

    def call_at(self, when: float, callback: Callable[..., Any], *arguments: Any) -> Any:
        """Call when this clock shows so, if its speed stays what it is."""
        wait = (when - self.time()) / (1 + self._ppm / 1_000_000)
        return self._loop.call_at(self._loop.time() + wait, callback, *arguments)
