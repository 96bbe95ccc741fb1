"""A short run of the whole suite, with real processes: the long ones are `make faults`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import hunt
from tests.faults.faults import FAULTS
from tests.faults.network import bridge, halves, one_way, ring
from tests.faults.networks import network
from tests.faults.report import text, write
from tests.faults.run import Run
from tests.faults.schedule import plan
from tests.faults.workloads import WORKLOADS

SECONDS = 12.0
SEED = 35
"""A sleep, a power failure, a newcomer, a majority that is shifted, a partition."""


@pytest.mark.e2e
@pytest.mark.long
@pytest.mark.timeout(240)
def test_every_promise_is_kept_under_mixed_faults(tmp_path: Path) -> None:
    with network() as net:
        outcome = Run(SEED, SECONDS, network=net).run()
    assert outcome.violations == [], text(outcome)
    # It was a fight, and things were done by everybody.
    assert len(outcome.struck) >= 2
    assert all(one.operations for one in outcome.workloads), text(outcome)
    path = write(outcome, tmp_path)
    assert "no violations" in path.read_text()
    assert path.with_suffix(".html").read_text().count("<rect") > 50


@pytest.mark.e2e
@pytest.mark.long
@pytest.mark.timeout(240)
def test_a_planted_bug_is_found_and_told_by_a_short_story() -> None:
    catch = hunt.planted("reads-before-applied", start=1, bound=4)
    assert catch.violation is not None, str(catch)
    assert len(catch.violation.story) < 20
    assert catch.outcome is not None
    assert catch.violation.what in text(catch.outcome)


def test_a_plan_follows_from_its_seed_alone() -> None:
    assert plan(7, 60.0) == plan(7, 60.0)
    assert plan(7, 60.0) != plan(8, 60.0)


@pytest.mark.parametrize("seed", range(30))
def test_a_plan_ends_in_peace_and_no_layer_is_struck_twice_at_once(seed: int) -> None:
    strikes = plan(seed, 60.0)
    assert strikes
    assert all(strike.at + strike.lasts <= 60.0 for strike in strikes if strike.lasts > 3.5)
    for one in strikes:
        for other in strikes:
            if one is not other and FAULTS[one.fault].layer == FAULTS[other.fault].layer:
                assert one.at + one.lasts <= other.at or other.at + other.lasts <= one.at


def test_only_the_faults_that_were_asked_for_are_planned() -> None:
    assert {strike.fault for strike in plan(1, 120.0, ["kill", "isolate"])} == {"kill", "isolate"}


def test_partitions_cut_what_their_names_say() -> None:
    assert halves([1, 2, 3], 1) == {(1, 2), (2, 1), (1, 3), (3, 1)}
    assert one_way(2, [1, 2, 3]) == {(2, 1), (2, 3)}
    assert bridge([1, 2, 3], 2) == {(1, 3), (3, 1)}
    assert bridge([1, 2, 3, 4, 5], 3) == halves([1, 2, 4, 5], 2)
    assert ring([1, 2, 3]) == {(1, 3), (2, 1), (3, 2)}
    assert ring([1, 2, 3, 4]) == {(1, 3), (3, 1), (2, 4), (4, 2)}


def test_every_workload_names_its_promise_and_its_levels() -> None:
    for name, workload in WORKLOADS.items():
        assert workload.name == name
        assert workload.promise
        assert workload.levels


def test_every_fault_says_what_it_is() -> None:
    assert len(FAULTS) >= 20
    assert all(fault.story and fault.layer for fault in FAULTS.values())
