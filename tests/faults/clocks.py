"""A node's clocks: the wall clock jumps, the steady one runs a little fast or slow."""

from __future__ import annotations

import time
from typing import Any

from tests.faults.knobs import Knobs


def install(knobs: Knobs) -> None:
    """From now on this process reads its time through the knobs."""
    from raftsql.cluster.runner import Runner

    wall, wall_ns = time.time, time.time_ns
    time.time = lambda: wall() + knobs.wall_ms / 1000
    time.time_ns = lambda: wall_ns() + knobs.wall_ms * 1_000_000
    steady, right = Steady(knobs), Runner.now_ms

    def now_ms(self: Any) -> int:
        return steady.at(right(self))

    Runner.now_ms = now_ms  # type: ignore[method-assign]


class Steady:
    """A clock that never goes back, at a speed that can be changed."""

    def __init__(self, knobs: Knobs) -> None:
        self._knobs = knobs
        self._ppm = 0
        self._true = self._told = 0.0

    def at(self, true_ms: int) -> int:
        """What this clock shows when it is so late in truth."""
        self._told += (true_ms - self._true) * (1 + self._ppm / 1_000_000)
        self._true = true_ms
        self._ppm = self._knobs.steady_ppm
        return int(self._told)
