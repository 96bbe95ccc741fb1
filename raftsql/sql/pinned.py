"""Chance that is the same on every node: a small generator of our own, seeded by the command.

It is splitmix64 (Steele, Lea and Flood, 2014), written out here so that no version of Python or of
SQLite can change what a seed stands for.
"""

from __future__ import annotations

from typing import Final

_MASK: Final = (1 << 64) - 1


class Chance:
    """Numbers and bytes that follow from the seed and how often it was asked."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def _next(self) -> int:
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return mixed ^ (mixed >> 31)

    def random(self) -> int:
        """A signed integer of 64 bits."""
        word = self._next()
        return word - (1 << 64) if word >> 63 else word

    def blob(self, size: int) -> bytes:
        """`size` bytes."""
        words = (size + 7) // 8
        return b"".join(self._next().to_bytes(8, "little") for _ in range(words))[:size]
