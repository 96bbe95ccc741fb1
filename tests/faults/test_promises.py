"""The checkers of the smaller promises, by hand-made histories."""

from __future__ import annotations

from typing import Any

import pytest

from tests.driver.exactly_once.ledger import Fate
from tests.faults.checkers import promises
from tests.faults.history import History, Operation


def done(
    name: str, start: float, end: float, argument: Any = None, answer: Any = None, **more: Any
) -> Operation:
    client, key = more.get("client", 0), more.get("key")
    return Operation(client, name, key, argument, start, end, Fate.DONE, answer)


def refused(name: str, argument: Any, **more: Any) -> Operation:
    return Operation(0, name, more.get("key"), argument, 0, 1, Fate.NEVER)


def doubtful(name: str, argument: Any, **more: Any) -> Operation:
    return Operation(0, name, more.get("key"), argument, 0)


ADDED = done("add", 0, 1, 7)


@pytest.mark.parametrize(
    "history",
    [
        [ADDED, done("look", 2, 3, answer=[7])],
        [ADDED, done("look", 0.5, 3, answer=[])],
        [doubtful("add", 7), done("look", 2, 3, answer=[])],
        [doubtful("add", 7), done("look", 2, 3, answer=[7])],
        [refused("add", 7), done("look", 2, 3, answer=[])],
    ],
)
def test_a_right_set_passes(history: list[Operation]) -> None:
    assert promises.sets(history) == []


@pytest.mark.parametrize(
    ("history", "what"),
    [
        ([ADDED, done("look", 2, 3, answer=[])], "lacks [7]"),
        ([ADDED, done("look", 2, 3, answer=[7, 7])], "2 times"),
        ([done("look", 2, 3, answer=[7])], "by nobody"),
        ([refused("add", 7), done("look", 2, 3, answer=[7])], "refused"),
    ],
)
def test_a_wrong_set_is_found(history: list[Operation], what: str) -> None:
    (found,) = promises.sets(history)
    assert what in found.what
    assert found.story[-1].name == "look"


def test_a_set_whose_reads_need_not_be_current_may_lack_the_newest() -> None:
    assert promises.sets([ADDED, done("look", 2, 3, answer=[])], current=False) == []


@pytest.mark.parametrize(("balances", "wrong"), [([5, 5], 0), ([4, 5], 1), ([11, -1], 1)])
def test_a_bank_is_held_to_its_total_and_to_no_debts(balances: list[int], wrong: int) -> None:
    assert len(promises.bank([done("look", 0, 1, answer=balances)], 10)) == wrong


PAID = (1, 0, 1, 5)


@pytest.mark.parametrize(
    ("asked", "rows", "end", "wrong"),
    [
        (done("transfer", 0, 1, key=1), [PAID], {0: 5, 1: 15}, 0),
        (done("transfer", 0, 1, key=1), [], {0: 10, 1: 10}, 1),
        (done("transfer", 0, 1, key=1), [PAID, PAID], {0: 0, 1: 20}, 1),
        (done("transfer", 0, 1, key=1), [PAID], {0: 0, 1: 20}, 1),
        (doubtful("transfer", None, key=1), [], {0: 10, 1: 10}, 0),
        (doubtful("transfer", None, key=1), [PAID], {0: 5, 1: 15}, 0),
        (refused("transfer", None, key=1), [PAID], {0: 5, 1: 15}, 1),
    ],
)
def test_each_transfer_happened_as_its_caller_was_told_and_leads_to_the_balances(
    asked: Operation, rows: list[Any], end: dict[int, int], wrong: int
) -> None:
    assert len(promises.transfers([asked], {0: 10, 1: 10}, rows, end)) == wrong


def session(*steps: tuple[str, Any]) -> list[Operation]:
    return [
        done(name, n, n, value if name == "write" else None, value if name == "look" else None)
        for n, (name, value) in enumerate(steps)
    ]


@pytest.mark.parametrize(
    ("steps", "wrong"),
    [
        ([("write", 1), ("look", {0: 1})], 0),
        ([("write", 1), ("look", {0: 0})], 1),
        ([("look", {1: 5}), ("look", {1: 5})], 0),
        ([("look", {1: 5}), ("look", {1: 4})], 1),
        ([("look", {1: 5}), ("look", {})], 1),
    ],
)
def test_a_session_never_goes_back(steps: list[tuple[str, Any]], wrong: int) -> None:
    assert len(promises.sessions(session(*steps))) == wrong


def test_sessions_of_different_clients_promise_each_other_nothing() -> None:
    one = done("look", 0, 1, answer={5: 9}, client=1)
    other = done("look", 2, 3, answer={5: 1}, client=2)
    assert promises.sessions([one, other]) == []


@pytest.mark.parametrize(
    ("start", "answer", "wrong"), [(1.5, 0, 0), (2.5, 0, 1), (2.5, 1, 0), (9.0, 1, 1), (9.0, 2, 0)]
)
def test_a_bounded_read_misses_nothing_older_than_its_bound(
    start: float, answer: int, wrong: int
) -> None:
    writes = [done("write", 0, 1, 1), done("write", 4, 5, 2)]
    look = done("look", start, start + 0.1, 1.0, answer)
    assert len(promises.staleness([*writes, look])) == wrong


def test_a_write_that_raised_nothing_is_covered_by_the_one_that_did() -> None:
    writes = [done("write", 0, 1, 2), done("write", 0, 2, 1)]
    assert promises.staleness([*writes, done("look", 9, 9, 1.0, 2)]) == []


@pytest.mark.parametrize(("done_at", "stopped_at", "wrong"), [(1, 2, 0), (2, 1, 1), (2, 2, 0)])
def test_one_bound_parts_what_was_stopped_from_what_was_not(
    done_at: int, stopped_at: int, wrong: int
) -> None:
    stopped = refused("burn", stopped_at)
    stopped.place = promises.STOPPED
    assert len(promises.limits([done("burn", 0, 1, done_at), stopped], 9)) == wrong


def test_what_is_surely_too_much_has_to_be_stopped() -> None:
    (found,) = promises.limits([done("burn", 0, 1, 10)], 9)
    assert "not stopped" in found.what
    assert promises.limits([done("burn", 0, 1, 9)], 9) == []


def test_an_unknown_fate_has_no_end() -> None:
    history = History(began=0.0)
    operation = history.begin(1, "write", "k", 1)
    history.end(operation, Fate.UNKNOWN)
    assert operation.end > history.now()
    assert "unknown" in str(operation)
