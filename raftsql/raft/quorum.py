"""Majorities. Small, because every clever version of this arithmetic has once been wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable


def majority(voters: int) -> int:
    """How many of so many voters are more than half of them."""
    return voters // 2 + 1


def agreed(values: Collection[int]) -> int:
    """The highest value that a majority has reached, given what each voter has reached.

    Of no voters nothing is agreed: the answer is 0, the lowest value there is.
    """
    if not values:
        return 0
    return sorted(values, reverse=True)[majority(len(values)) - 1]


def won(votes: Iterable[bool | None]) -> bool | None:
    """True when a majority said yes, False when a majority can't any more, None while open."""
    cast = list(votes)
    needed = majority(len(cast))
    if sum(vote is True for vote in cast) >= needed:
        return True
    if sum(vote is not False for vote in cast) < needed:
        return False
    return None
