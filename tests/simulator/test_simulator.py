"""A sample of worlds, and the simulator's own promises. `make simulate SEEDS=10000` runs more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulator.mutants import MUTANTS, hunt
from tests.simulator.run import simulate

ROOT = Path(__file__).parents[2]
SEEDS_A_TEST = 25
QUICK = [
    "acknowledges_before_the_disk",
    "change_before_an_own_commit",
    "commits_old_terms_by_counting",
    "counts_its_own_disk_early",
    "half_is_a_majority",
    "no_pre_vote",
    "shipping_gets_stuck",
    "truncates_without_a_conflict",
    "votes_before_the_disk",
]
"""Planted bugs that the first few seeds catch; `make simulate-mutants` hunts them all."""


@pytest.mark.parametrize("start", range(1, 301, SEEDS_A_TEST))
def test_no_rule_breaks_in_any_world(start: int) -> None:
    outcomes = [simulate(seed) for seed in range(start, start + SEEDS_A_TEST)]
    assert [f"seed {o.seed}: {o.failure}" for o in outcomes if o.failure] == []
    assert sum(outcome.commits for outcome in outcomes) > SEEDS_A_TEST, "something must happen"


def test_the_same_seed_has_the_same_history() -> None:
    assert [simulate(seed) for seed in (5, 6)] == [simulate(seed) for seed in (5, 6)]


def test_different_seeds_have_different_histories() -> None:
    assert len({simulate(seed).digest for seed in range(1, 6)}) == 5


def test_the_history_does_not_depend_on_how_python_hashes() -> None:
    program = "from tests.simulator.run import simulate; print(simulate(11), simulate(12))"
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert len(told) == 1


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_caught(name: str) -> None:
    assert hunt(name, start=1, bound=40).seed is not None


def test_a_planted_bug_is_taken_out_again() -> None:
    with MUTANTS["truncates_without_a_conflict"].plant():
        assert any(simulate(seed).failure for seed in range(1, 10))
    assert not any(simulate(seed).failure for seed in range(1, 10))
