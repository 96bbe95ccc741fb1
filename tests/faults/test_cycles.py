"""The checker of transactions, by hand-made histories of each anomaly."""

from __future__ import annotations

from typing import Any

import pytest

from tests.driver.exactly_once.ledger import Fate
from tests.faults.checkers.cycles import strong_components, violations
from tests.faults.history import NEVER_ENDED, Operation


def appended(key: str, value: int) -> tuple[tuple[str, str, Any], Any]:
    return ("append", key, value), None


def saw(key: str, *values: int) -> tuple[tuple[str, str, Any], Any]:
    return ("read", key, None), list(values)


def transaction(start: float, end: float, *steps: Any, fate: Fate = Fate.DONE) -> Operation:
    argument, answer = [step for step, _ in steps], [answer for _, answer in steps]
    end = NEVER_ENDED if fate is Fate.UNKNOWN else end
    return Operation(0, "transaction", None, argument, start, end, fate, answer)


RIGHT = {
    "nothing": [],
    "one after another": [
        transaction(0, 1, appended("x", 1)),
        transaction(2, 3, saw("x", 1), appended("x", 2)),
        transaction(4, 5, saw("x", 1, 2)),
    ],
    "beside each other, either way": [
        transaction(0, 9, appended("x", 1)),
        transaction(0, 9, appended("x", 2)),
        transaction(0, 9, saw("x")),
        transaction(10, 11, saw("x", 2, 1)),
    ],
    "own appends are seen": [
        transaction(0, 1, appended("x", 1), saw("x", 1), appended("x", 2), saw("x", 1, 2)),
    ],
    "a doubtful one that happened": [
        transaction(0, 0, appended("x", 1), fate=Fate.UNKNOWN),
        transaction(5, 6, saw("x", 1)),
    ],
    "a doubtful one that did not": [
        transaction(0, 0, appended("x", 1), fate=Fate.UNKNOWN),
        transaction(5, 6, saw("x")),
    ],
    "an aborted one that nobody saw": [
        transaction(0, 1, appended("x", 1), fate=Fate.NEVER),
        transaction(5, 6, saw("x")),
    ],
}

WRONG = {
    "aborted read (G1a)": [
        transaction(0, 1, appended("x", 1), fate=Fate.NEVER),
        transaction(2, 3, saw("x", 1)),
    ],
    "intermediate read (G1b)": [
        transaction(0, 9, appended("x", 1), appended("x", 2)),
        transaction(1, 2, saw("x", 1)),
        transaction(10, 11, saw("x", 1, 2)),
    ],
    "incompatible orders": [
        transaction(0, 9, appended("x", 1)),
        transaction(0, 9, appended("x", 2)),
        transaction(1, 2, saw("x", 1)),
        transaction(10, 11, saw("x", 2, 1)),
    ],
    "is 2 times": [transaction(0, 1, appended("x", 1)), transaction(2, 3, saw("x", 1, 1))],
    "by nobody": [transaction(2, 3, saw("x", 7))],
    "lost append": [transaction(0, 1, appended("x", 1)), transaction(2, 3, saw("x"))],
    "own appends": [transaction(0, 1, appended("x", 1), saw("x"))],
    "G0:": [
        transaction(0, 9, appended("x", 1), appended("y", 1)),
        transaction(0, 9, appended("x", 2), appended("y", 2)),
        transaction(10, 11, saw("x", 1, 2)),
        transaction(10, 11, saw("y", 2, 1)),
    ],
    "G1c:": [
        transaction(0, 9, appended("x", 1), saw("y", 2)),
        transaction(0, 9, appended("y", 2), saw("x", 1)),
    ],
    "G-single (a stale read):": [
        transaction(0, 9, appended("x", 1), appended("y", 1)),
        transaction(0, 9, saw("x", 1), saw("y")),
        transaction(10, 11, saw("y", 1)),
    ],
    "G2 (write skew):": [
        transaction(0, 9, saw("x"), appended("y", 1)),
        transaction(0, 9, saw("y"), appended("x", 2)),
        transaction(10, 11, saw("x", 2), saw("y", 1)),
    ],
    "G-single (a stale read) in real time:": [
        transaction(0, 1, appended("x", 1)),
        transaction(2, 3, saw("x")),
        transaction(4, 5, saw("x", 1)),
    ],
    "G0 in real time:": [
        transaction(0, 1, appended("x", 1)),
        transaction(2, 3, appended("x", 2)),
        transaction(4, 5, saw("x", 2, 1)),
    ],
    "G1c in real time:": [  # A read from the future.
        transaction(0, 1, saw("x", 1)),
        transaction(2, 3, appended("x", 1)),
    ],
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_serializable_history_passes(name: str) -> None:
    assert violations(RIGHT[name]) == []


@pytest.mark.parametrize("name", WRONG)
def test_each_anomaly_is_found_by_its_name(name: str) -> None:
    found = violations(WRONG[name])
    assert any(name in each.what for each in found), [each.what for each in found]


@pytest.mark.parametrize("name", [name for name in WRONG if "real time" in name])
def test_without_real_time_a_stale_history_is_still_serializable(name: str) -> None:
    assert violations(WRONG[name], strict=False) == []


def test_a_cycle_is_told_by_its_shortest_way_round() -> None:
    chain = [
        transaction(n * 2, n * 2 + 1, appended("x", n), saw("x", *range(n + 1))) for n in range(50)
    ]
    stale = transaction(200, 201, saw("x", *range(49)))
    (found,) = violations([*chain, stale, transaction(202, 203, saw("x", *range(50)))])
    assert set(map(id, found.story)) == {id(stale), id(chain[49])}


def test_components_are_found_without_recursion() -> None:
    ring = {n: {(n + 1) % 50_000} for n in range(50_000)}
    (component,) = strong_components(ring)
    assert len(component) == 50_000
