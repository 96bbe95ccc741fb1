"""Whether a series of measurements is flat: a straight line through what is left after warm-up.

Compaction makes saw teeth, and another program on the machine makes outliers. So the line goes
through the means of blocks, and its slope is the median of the slopes of all pairs of them (Theil
and Sen): a few blocks that are far off do not move it. What counts is how much higher the line's
end is than its beginning, against a part of the level, or an amount that nobody would miss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import fmean, median
from typing import Final

WARM_UP: Final = 0.25
"""The part of a soak in which caches fill and the first compactions come."""
BLOCKS: Final = 12
SECONDS_AN_HOUR: Final = 3600.0

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Bound:
    """How much something may grow in a soak: the larger of a part of its level and an amount."""

    part: float
    amount: float

    def of(self, level: float) -> float:
        return max(self.part * level, self.amount)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a series went on after warm-up."""

    level: float
    """Its median."""
    growth: float
    """By how much the line rises from its beginning to its end."""
    bound: float
    hourly: float
    """By how much it would rise in an hour."""

    @property
    def is_flat(self) -> bool:
        """Falling is no problem."""
        return self.growth <= self.bound


def judge(points: Points, bound: Bound) -> Verdict:
    """Whether a series that was measured at these times is flat."""
    first, last = points[0][0], points[-1][0]
    warm = [point for point in points if point[0] >= first + (last - first) * WARM_UP]
    level = median(value for _, value in warm)
    seconds = warm[-1][0] - warm[0][0]
    slope = _slope(_blocks(warm))
    return Verdict(level, slope * seconds, bound.of(level), slope * SECONDS_AN_HOUR)


def _blocks(points: Points) -> list[tuple[float, float]]:
    """The mean time and value of each of so many parts, as equal as they can be."""
    count = min(BLOCKS, len(points))
    cuts = [len(points) * at // count for at in range(count + 1)]
    parts = [points[begin:end] for begin, end in pairwise(cuts)]
    return [(fmean(at for at, _ in part), fmean(value for _, value in part)) for part in parts]


def _slope(points: Points) -> float:
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if b[0] > a[0]]
    return median(slopes) if slopes else 0.0
