"""Latencies counted in buckets whose width grows with the value, as HdrHistogram does.

A list of all latencies would be exact, but it can't be sent by every process or kept for every row
of a long run. Here each value is off by less than one part in 128, from a nanosecond to hours, and
histograms of several processes can be added.
"""

from __future__ import annotations

from collections.abc import Iterable

SUB_BITS = 7
"""Each power of two is cut into this many bits of buckets: the error is below 2 ** -7."""
NANOSECONDS = 1_000_000_000


def bucket(value: int) -> int:
    """The number of the bucket that a whole number of nanoseconds falls into."""
    shift = max(0, value.bit_length() - SUB_BITS - 1)
    return (shift << SUB_BITS) + (value >> shift)


def highest(number: int) -> int:
    """The largest value that falls into a bucket."""
    shift = max(0, (number >> SUB_BITS) - 1)
    return ((number - (shift << SUB_BITS) + 1) << shift) - 1


class Histogram:
    """How often each latency was seen."""

    __slots__ = ("_counts", "count", "worst")

    def __init__(self, seconds: Iterable[float] = ()) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.worst = 0.0
        for one in seconds:
            self.record(one)

    def record(self, seconds: float) -> None:
        """Count one more."""
        number = bucket(max(0, int(seconds * NANOSECONDS)))
        self._counts[number] = self._counts.get(number, 0) + 1
        self.count += 1
        self.worst = max(self.worst, seconds)

    def add(self, other: Histogram) -> None:
        """Count all of another one too."""
        for number, count in other._counts.items():
            self._counts[number] = self._counts.get(number, 0) + count
        self.count += other.count
        self.worst = max(self.worst, other.worst)

    def quantile(self, share: float) -> float:
        """The seconds within which such a share of the requests was answered; 0 of none."""
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"a share is between 0 and 1, not {share}")
        wanted = share * self.count
        seen = 0
        for number, count in sorted(self._counts.items()):
            seen += count
            if seen >= wanted:
                return min(self.worst, highest(number) / NANOSECONDS)
        return self.worst

    def packed(self) -> dict[str, object]:
        """As JSON can carry it."""
        return {"worst": self.worst, "counts": sorted(self._counts.items())}

    @classmethod
    def unpacked(cls, packed: dict[str, object]) -> Histogram:
        """The other way."""
        found = cls()
        found._counts = dict(packed["counts"])  # type: ignore[call-overload]
        found.count = sum(found._counts.values())
        found.worst = float(packed["worst"])  # type: ignore[arg-type]
        return found
