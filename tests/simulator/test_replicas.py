"""A sample of the worlds of whole replicas, in every run of the tests; more of them by hand:
`python -m tests.simulator.replicas --seeds 1000`."""

from __future__ import annotations

from functools import cache

import pytest

from tests.simulator.replicas.mutants import hunt
from tests.simulator.replicas.world import simulate

SEEDS = (*range(1, 25), 41, 59)

world = cache(simulate)


@pytest.mark.parametrize("seed", SEEDS)
def test_whole_replicas_keep_their_promises_whatever_happens(seed: int) -> None:
    outcome = world(seed)
    assert outcome.failure is None, (
        f"{outcome.failure}\npython -m tests.simulator.replicas --seed {seed}\n{outcome.details}"
    )


def test_the_worlds_are_not_barren() -> None:
    """In some, nodes crash too often for anything to be done before all is healed: in few."""
    outcomes = [world(seed) for seed in SEEDS]
    assert sum(outcome.counts > 0 for outcome in outcomes) >= 0.8 * len(outcomes)
    assert min(sum(o.transactions for o in outcomes), sum(o.reads for o in outcomes)) > 500


@pytest.mark.parametrize("name", ["a retried write is applied again"])
def test_a_planted_bug_is_caught(name: str) -> None:
    assert hunt(name, bound=20) is not None


def test_a_seed_is_a_history() -> None:
    first, second = simulate(7), simulate(7)
    assert (first.digest, first.counts, first.reads) == (
        second.digest,
        second.counts,
        second.reads,
    )
