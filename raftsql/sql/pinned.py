"""What a command's seed is made into: the numbers that random() and randomblob() give.

The generator is splitmix64, small enough to be ours for ever: no release of Python or of a
library can change what an old log replays to. A test holds its published numbers (decision 0023).
"""

from __future__ import annotations

import hashlib
from typing import Final

WORDS_BYTES_MAX: Final = 1_024
"""Up to here randomblob() is made of words; a key or an identifier is far below."""

_MASK: Final = (1 << 64) - 1
_GAMMA: Final = 0x9E3779B97F4A7C15


class Chance:
    """A stream of numbers that depends on its seed alone (splitmix64)."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def word(self) -> int:
        """The next 64 bits, as a number without sign."""
        self._state = state = (self._state + _GAMMA) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        return state ^ (state >> 31)

    def random(self) -> int:
        """What SQL's random() gives: any 64-bit integer but the lowest, so that abs() works."""
        drawn = self.word()
        return drawn if drawn < 1 << 63 else -(drawn & ((1 << 63) - 1))

    def blob(self, size_bytes: int) -> bytes:
        """What SQL's randomblob() gives: at least one byte. The caller bounds the size above.

        A long one is SHAKE-128 of two words drawn here, because a loop in Python would hold up
        every node for seconds.
        """
        size_bytes = max(1, size_bytes)
        if size_bytes > WORDS_BYTES_MAX:
            return hashlib.shake_128(self._words(2)).digest(size_bytes)
        return self._words((size_bytes + 7) // 8)[:size_bytes]

    def _words(self, count: int) -> bytes:
        return b"".join([self.word().to_bytes(8, "little") for _ in range(count)])
