"""The checker of registers, by hand-made histories of every kind, right and wrong."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.driver.exactly_once.ledger import Fate
from tests.faults.checkers import registers
from tests.faults.checkers.registers import is_linearizable, shortest, violations
from tests.faults.history import NEVER_ENDED, Operation


def done(
    start: float, end: float, name: str, argument: Any = None, answer: Any = None
) -> Operation:
    return Operation(0, name, "k", argument, start, end, Fate.DONE, answer)


def write(start: float, end: float, value: int) -> Operation:
    return done(start, end, "write", value)


def read(start: float, end: float, value: int | None) -> Operation:
    return done(start, end, "read", answer=value)


def swap(start: float, end: float, expected: int, new: int, found: bool) -> Operation:
    return done(start, end, "swap", (expected, new), found)


def unknown(start: float, value: int) -> Operation:
    return Operation(0, "write", "k", value, start)


RIGHT = {
    "nothing": [],
    "a read of what was never written": [read(0, 1, None)],
    "a read after a write": [write(0, 1, 1), read(2, 3, 1)],
    "a read beside a write may see it": [write(0, 3, 1), read(1, 2, 1)],
    "a read beside a write may miss it": [write(0, 3, 1), read(1, 2, None)],
    "writes beside each other may be in any order": [
        write(0, 9, 1), write(0, 9, 2), read(10, 11, 1),
    ],
    "a doubtful write happened": [unknown(0, 1), read(5, 6, 1)],
    "a doubtful write never happened": [unknown(0, 1), read(5, 6, None)],
    "a doubtful write happened late": [unknown(0, 1), read(5, 6, None), read(7, 8, 1)],
    "a swap that found what it expected": [write(0, 1, 1), swap(2, 3, 1, 2, True), read(4, 5, 2)],
    "a swap that did not": [write(0, 1, 1), swap(2, 3, 7, 2, False), read(4, 5, 1)],
    "a write that certainly never was": [
        Operation(0, "write", "k", 1, 0, 1, Fate.NEVER), read(2, 3, None),
    ],
    "a doubtful read": [write(0, 1, 1), Operation(0, "read", "k", None, 2)],
}  # fmt: skip

WRONG = {
    "a stale read": [write(0, 1, 1), write(2, 3, 2), read(4, 5, 1)],
    "a lost write": [write(0, 1, 1), read(2, 3, None)],
    "a phantom": [write(0, 1, 1), read(2, 3, 9)],
    "reads that go back": [write(0, 9, 1), read(1, 2, 1), read(3, 4, None)],
    "readers who do not agree on an order": [
        write(0, 1, 1), write(2, 9, 2), read(3, 4, 2), read(5, 6, 1),
    ],
    "a refused write that was seen": [
        Operation(0, "write", "k", 1, 0, 1, Fate.NEVER), read(2, 3, 1),
    ],
    "a doubtful write that came and went": [
        unknown(0, 1), read(5, 6, 1), read(7, 8, None),
    ],
    "a read from the future": [read(0, 1, 1), write(2, 3, 1)],
    "two swaps that both found the same": [
        write(0, 1, 1), swap(2, 3, 1, 2, True), swap(4, 5, 1, 3, True),
    ],
    "a swap that should have found it": [write(0, 1, 1), swap(2, 3, 1, 2, False)],
    "a write that happened again later": [
        write(0, 1, 1), write(2, 3, 2), read(4, 5, 2), read(6, 7, 1),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_history_passes(name: str) -> None:
    assert violations(RIGHT[name]) == []


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_history_is_found(name: str) -> None:
    (found,) = violations(WRONG[name])
    assert found.story
    assert not is_linearizable(found.story)


def made(seed: int, count: int, *, clients: int = 6) -> list[Operation]:
    """What clients of a sound register would have seen, some of them without an answer."""
    chance, value, ops, busy = random.Random(seed), None, [], [0.0] * clients
    for new in range(count):
        client = min(range(clients), key=busy.__getitem__)
        start = busy[client] + chance.random()
        moment, end = start + chance.random(), start + 1 + chance.random() * 3
        name = chance.choice(["read", "read", "write", "swap"])
        argument = {"read": None, "write": new, "swap": (value, new)}[name]
        ops.append((moment, Operation(client, name, new // 150, argument, start, end, Fate.DONE)))
        busy[client] = end
    values: dict[int, Any] = {}
    for _, one in sorted(ops, key=lambda pair: pair[0]):
        value = values.get(one.key)
        if one.name == "swap":
            one.argument = (value if chance.random() < 0.5 else -1, one.argument[1])
            one.answer = one.argument[0] == value
        elif one.name == "read":
            one.answer = value
        values[one.key] = registers.after(value, one)
        if chance.random() < 0.02:
            one.fate, one.end, one.answer = Fate.UNKNOWN, NEVER_ENDED, None
    return [one for _, one in ops]


def test_ten_thousand_operations_with_doubtful_ones_are_checked_at_once() -> None:
    assert violations(made(1, 10_000)) == []


@pytest.mark.parametrize("seed", range(20))
def test_one_wrong_answer_among_many_is_found_and_told_by_few(seed: int) -> None:
    operations = made(seed, 300)
    reads = [one for one in operations if one.name == "read" and one.done and one.answer]
    random.Random(seed).choice(reads).answer = -7
    (found,) = violations(operations)
    assert len(found.story) < 20


def test_the_shortest_story_of_a_stale_read_is_two_writes_and_a_read() -> None:
    noise = [write(n, n + 0.5, n) for n in range(10, 40)]
    noise += [read(n + 0.6, n + 0.7, n) for n in range(10, 40)]
    story = shortest([*noise, write(50, 51, 50), write(52, 53, 52), read(54, 55, 50)])
    assert [one.name for one in story] == ["write", "write", "read"]


def test_an_operation_that_no_register_knows_is_an_error() -> None:
    with pytest.raises(ValueError, match="knows no"):
        registers.after(None, done(0, 1, "increment"))
