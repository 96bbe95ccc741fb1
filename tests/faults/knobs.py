"""What a running node can be told of its disk and clock: a small file, mapped by both sides.

The harness writes, the node's test entry point (`node`) looks at every call: there is no message to
be lost, and a paused or busy node needs no thread to listen.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Final

LAYOUT: Final = struct.Struct("<BBHqq")
"""fsync fails, the disk is full, milliseconds a sync takes longer, the wall clock's error in
milliseconds, the steady clock's in millionths."""


class Knobs:
    """The settings of one node's faults."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(LAYOUT.size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), LAYOUT.size)

    def close(self) -> None:
        self._map.close()

    def _field(self, at: int) -> int:
        return int(LAYOUT.unpack(self._map[:])[at])

    def _set(self, at: int, value: int) -> None:
        fields = list(LAYOUT.unpack(self._map[:]))
        fields[at] = value
        self._map[:] = LAYOUT.pack(*fields)

    @property
    def sync_fails(self) -> bool:
        return bool(self._map[0])

    @sync_fails.setter
    def sync_fails(self, fails: bool) -> None:
        self._set(0, fails)

    @property
    def full(self) -> bool:
        return bool(self._map[1])

    @full.setter
    def full(self, full: bool) -> None:
        self._set(1, full)

    @property
    def slow_ms(self) -> int:
        return self._field(2)

    @slow_ms.setter
    def slow_ms(self, milliseconds: int) -> None:
        self._set(2, milliseconds)

    @property
    def wall_ms(self) -> int:
        return self._field(3)

    @wall_ms.setter
    def wall_ms(self, milliseconds: int) -> None:
        self._set(3, milliseconds)

    @property
    def steady_ppm(self) -> int:
        return self._field(4)

    @steady_ppm.setter
    def steady_ppm(self, millionths: int) -> None:
        self._set(4, millionths)
