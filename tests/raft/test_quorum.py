"""Majorities, compared with counting every subset of up to seven voters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product

import pytest

from raftsql.raft.quorum import agreed, majority, won

COUNTS = range(1, 8)


def majorities(voters: Sequence[int]) -> Iterator[frozenset[int]]:
    """Every set of more than half of the voters, by counting."""
    for size in range(len(voters) + 1):
        for chosen in combinations(voters, size):
            if 2 * size > len(voters):
                yield frozenset(chosen)


@pytest.mark.parametrize("count", COUNTS)
def test_a_majority_is_the_smallest_set_of_more_than_half(count: int) -> None:
    assert majority(count) == min(len(chosen) for chosen in majorities(range(count)))


@pytest.mark.parametrize("count", COUNTS)
def test_two_majorities_always_meet(count: int) -> None:
    every = list(majorities(range(count)))
    assert all(one & other for one in every for other in every)


@pytest.mark.parametrize("count", COUNTS)
def test_agreed_is_the_highest_value_that_some_majority_has_reached(count: int) -> None:
    every = list(majorities(range(count)))
    heights = range(4 if count <= 5 else 3)
    for values in product(heights, repeat=count):
        reached = max(min(values[voter] for voter in chosen) for chosen in every)
        assert agreed(values) == reached


def test_nothing_is_agreed_by_nobody() -> None:
    assert agreed([]) == 0


@pytest.mark.parametrize("count", COUNTS)
def test_an_election_is_decided_exactly_when_no_further_vote_can_change_it(count: int) -> None:
    every = list(majorities(range(count)))
    for votes in product((True, False, None), repeat=count):
        sure = any(all(votes[voter] is True for voter in chosen) for chosen in every)
        possible = any(all(votes[voter] is not False for voter in chosen) for chosen in every)
        assert won(votes) is (True if sure else None if possible else False)


def test_nobody_is_elected_by_nobody() -> None:
    assert won([]) is False
