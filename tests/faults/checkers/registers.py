"""Whether registers are linearizable: each operation seems to happen at one moment of its own.

Wing and Gong's search with Lowe's memory of states, as Porcupine has it: take any operation that
may come next (nobody else had ended before it began), see whether its answer fits the value there
is now, go on; come back when stuck. What was tried before (the set of those taken, and the value)
is not tried again. Keys are checked apart, since what is linearizable apart is so together. An
operation whose fate is unknown may be taken at any time from its start on, or never.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from tests.driver.exactly_once.ledger import Fate
from tests.faults.history import NEVER_ENDED, Operation, Violation, by_key

STATES_MAX: Final = 2_000_000
"""States that a key's search may see; a history beyond it is too hard, and that is a failure."""

IMPOSSIBLE: Final = object()


class TooHard(Exception):
    """The search saw too many states to go on."""


def after(value: Any, operation: Operation) -> Any:
    """The register's value after the operation, or IMPOSSIBLE where its answer does not fit.

    `read` answers the value. `write` sets its argument. `swap` has (expected, new) and answers
    whether it found what it expected.
    """
    match operation.name:
        case "read":
            return value if operation.answer == value else IMPOSSIBLE
        case "write":
            return operation.argument
        case "swap":
            expected, new = operation.argument
            if operation.done and operation.answer != (value == expected):
                return IMPOSSIBLE
            return new if value == expected else value
    raise ValueError(f"a register knows no {operation.name}")


def relevant(operations: Iterable[Operation]) -> list[Operation]:
    """Those that say anything: a read without an answer or a write that never was says nothing."""
    return [
        one for one in operations if one.done or (one.fate is Fate.UNKNOWN and one.name != "read")
    ]


def is_linearizable(operations: list[Operation], initial: Any = None) -> bool:
    """Whether one register's history is."""
    ops = sorted(relevant(operations), key=lambda one: one.start)
    must = sum(1 << at for at, one in enumerate(ops) if one.done)
    seen: set[tuple[int, Any]] = set()
    # Each frame: those taken so far, the value now, and who may come next and was not tried yet.
    stack = [(0, initial, _candidates(ops, 0))]
    while stack:
        taken, value, nexts = stack[-1]
        if taken & must == must:
            return True
        if not nexts:
            stack.pop()
            continue
        at = nexts.pop()
        now = after(value, ops[at])
        if now is IMPOSSIBLE:
            continue
        state = (taken | 1 << at, now)
        if state in seen:
            continue
        seen.add(state)
        if len(seen) > STATES_MAX:
            raise TooHard(f"{len(ops)} operations of one key made {STATES_MAX} states")
        stack.append((*state, _candidates(ops, state[0])))
    return not must


def _candidates(ops: list[Operation], taken: int) -> list[int]:
    """Who may come next, the likeliest last: nobody untaken ended before it began."""
    found: list[int] = []
    first_end = float("inf")
    at = _first_untaken(taken)
    while at < len(ops):
        one = ops[at]
        if one.start > first_end:
            break
        if not taken >> at & 1:
            found.append(at)
            first_end = min(first_end, one.end)
        at += 1
    # Doubtful ones are tried last: most of them never happened, or happened at their time.
    return sorted(found, key=lambda at: (not ops[at].done, ops[at].end), reverse=True)


def _first_untaken(taken: int) -> int:
    return (~taken & taken + 1).bit_length() - 1


def violations(operations: Iterable[Operation], initial: Any = None) -> list[Violation]:
    """What is not linearizable, key by key, each with the fewest operations that show it."""
    found = []
    for key, ops in by_key(operations).items():
        try:
            fits = is_linearizable(ops, initial)
        except TooHard as error:
            found.append(Violation(f"register {key!r} could not be checked: {error}", ops[:20]))
            continue
        if not fits:
            found.append(Violation(f"register {key!r} is not linearizable", shortest(ops, initial)))
    return found


def shortest(operations: list[Operation], initial: Any = None) -> list[Operation]:
    """A smaller history that is wrong for the same reason.

    Only what leaves a right history right is taken out: all that came after some moment, a read, or
    a value with its write and all who saw it. (A write alone may not go: those who read it would
    seem to be wrong.)
    """
    kept = _until_it_is_wrong(relevant(operations), initial)
    kept = _still_wrong(
        kept, [one for one in kept if one.name == "swap" and one.answer is False], initial
    )
    for values in _values(kept):
        kept = _still_wrong(kept, [one for one in kept if touched(one) & values], initial)
    for one in list(kept):
        if one.name == "read":
            kept = _still_wrong(kept, [one], initial)
    return kept


def _until_it_is_wrong(operations: list[Operation], initial: Any) -> list[Operation]:
    """What had been seen when it became wrong; what was under way then may still have happened."""
    ends = sorted(one.end for one in operations if one.done)
    low, high = 0, len(ends) - 1
    while low < high:
        middle = (low + high) // 2
        if is_linearizable(_before(operations, ends[middle]), initial):
            low = middle + 1
        else:
            high = middle
    return _before(operations, ends[low]) if ends else operations


def _before(operations: list[Operation], moment: float) -> list[Operation]:
    found = []
    for one in operations:
        if one.end <= moment:
            found.append(one)
        elif one.start < moment and one.name != "read":
            found.append(replace(one, end=NEVER_ENDED, fate=Fate.UNKNOWN, answer=None))
    return found


def touched(operation: Operation) -> set[Any]:
    """The values that an operation wrote, saw or expected."""
    if operation.name == "read":
        return {operation.answer}
    if operation.name == "write":
        return {operation.argument}
    return set(operation.argument)


def _values(operations: list[Operation]) -> list[set[Any]]:
    """Groups of values that stand or fall together, since an operation touches several."""
    groups: list[set[Any]] = []
    for one in operations:
        own = touched(one)
        joined = [group for group in groups if group & own]
        groups = [group for group in groups if not group & own]
        groups.append(own.union(*joined))
    # What was there in the beginning was written by nobody, and can't be taken out.
    return [group for group in groups if None not in group]


def _still_wrong(
    operations: list[Operation], without: list[Operation], initial: Any
) -> list[Operation]:
    """The operations without these, if they are wrong still; else all of them."""
    gone = set(map(id, without))
    fewer = [one for one in operations if id(one) not in gone]
    try:
        return operations if not gone or is_linearizable(fewer, initial) else fewer
    except TooHard:
        return operations
