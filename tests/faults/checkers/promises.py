"""The smaller promises, each checked by one pass over what clients saw."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from tests.driver.exactly_once.ledger import Fate
from tests.faults.history import Operation, Violation, by_key


def sets(operations: Iterable[Operation], *, current: bool = True) -> list[Violation]:
    """`add` puts a value into a set, `look` answers all of it; nothing is ever taken out.

    Nothing is there twice, nothing that was never asked for, nothing that was refused. Where reads
    are `current`, each has all that had been acknowledged before it began.
    """
    found: list[Violation] = []
    for key, ops in by_key(operations).items():
        added = {one.argument: one for one in ops if one.name == "add"}
        sure = sorted((one for one in added.values() if one.done), key=lambda one: one.end)
        for look in (one for one in ops if one.name == "look" and one.done):
            found += _strange(key, look, added)
            if current:
                seen = set(look.answer)
                lost = [one for one in sure if one.end < look.start and one.argument not in seen]
                if lost:
                    what = f"set {key!r} lacks {[one.argument for one in lost][:9]}"
                    found.append(Violation(what, [lost[0], look]))
    return found


def _strange(key: Any, look: Operation, added: dict[Any, Operation]) -> list[Violation]:
    found = []
    for value, times in Counter(look.answer).items():
        if times > 1:
            found.append(Violation(f"{value!r} is {times} times in set {key!r}", [look]))
        if value not in added:
            found.append(Violation(f"{value!r} in set {key!r} was added by nobody", [look]))
        elif added[value].fate is Fate.NEVER:
            what = f"{value!r} is in set {key!r}, and adding it was refused"
            found.append(Violation(what, [added[value], look]))
    return found


def bank(operations: Iterable[Operation], total: int) -> list[Violation]:
    """Every `look` answers all balances: none is below zero, and their sum is always the same."""
    found = []
    for look in operations:
        if look.name != "look" or not look.done:
            continue
        if sum(look.answer) != total:
            found.append(Violation(f"the balances make {sum(look.answer)}, not {total}", [look]))
        if min(look.answer) < 0:
            found.append(Violation(f"a balance is below zero: {min(look.answer)}", [look]))
    return found


def transfers(
    operations: Iterable[Operation], start: dict[int, int], rows: list[Any], end: dict[int, int]
) -> list[Violation]:
    """What was paid, as the table of transfers has it in the end, and as its callers were told.

    `rows` are (number, source, target, amount) in the order in which they happened.
    """
    asked = {one.key: one for one in operations if one.name == "transfer"}
    times = Counter(number for number, *_ in rows)
    found = []
    for number, one in asked.items():
        right = {Fate.DONE: {1}, Fate.UNKNOWN: {0, 1}, Fate.NEVER: {0}}[one.fate]
        if times[number] not in right:
            what = f"transfer {number} happened {times[number]} times and was {one.fate.value}"
            found.append(Violation(what, [one]))
    balances = dict(start)
    for _, source, target, amount in rows:
        balances[source] -= amount
        balances[target] += amount
    if balances != end:
        found.append(Violation(f"the transfers lead to {balances}, and the balances are {end}"))
    return found


def sessions(operations: Iterable[Operation]) -> list[Violation]:
    """One client after another: it sees what it wrote, and nothing ever goes back for it.

    `write` raises the client's own number to its argument; `look` answers all clients' numbers.
    """
    found = []
    by_client: dict[int, list[Operation]] = {}
    for one in operations:
        by_client.setdefault(one.client, []).append(one)
    for client, ops in by_client.items():
        seen: dict[Any, tuple[int, Operation]] = {}
        for one in ops:
            if not one.done:
                continue
            told = {client: one.argument} if one.name == "write" else one.answer
            if one.name == "look":
                for key, (least, why) in seen.items():
                    if told.get(key, 0) < least:
                        what = f"a session saw {key!r} at {least}, and then at {told.get(key, 0)}"
                        found.append(Violation(what, [why, one]))
            for key, number in told.items():
                if number > seen.get(key, (-1, one))[0]:
                    seen[key] = (number, one)
    return found


STOPPED: Final = "stopped for its fuel"
"""Where a `burn` says this as its place, its work was too much."""


def limits(operations: Iterable[Operation], too_much: int) -> list[Violation]:
    """Whether a `burn` is stopped follows from its argument alone: one bound parts all of them.

    Of more than `too_much` it is known without looking at the others.
    """
    ops = list(operations)
    done = [one for one in ops if one.done]
    stopped = [one for one in ops if one.place == STOPPED]
    if not done:
        return []
    most = max(done, key=lambda one: one.argument)
    if most.argument > too_much:
        return [Violation(f"a write of {most.argument} turns was not stopped", [most])]
    least = min(stopped, key=lambda one: one.argument, default=most)
    if most.argument <= least.argument:
        return []
    what = f"a write of {least.argument} turns was stopped, and one of {most.argument} was not"
    return [Violation(what, [least, most])]


def staleness(operations: Iterable[Operation], margin: float = 0.0) -> list[Violation]:
    """A `look` with a bound (its argument, seconds) sees all that was acknowledged before then.

    `write` raises the number to its argument, one at a time; `margin` is the part of the bound by
    which clocks may differ.
    """
    ops = list(operations)
    writes = sorted((one for one in ops if one.name == "write" and one.done), key=lambda o: o.end)
    ends = [one.end for one in writes]
    highest: list[Operation] = []
    for one in writes:
        higher = not highest or one.argument > highest[-1].argument
        highest.append(one if higher else highest[-1])
    found = []
    for look in ops:
        if look.name != "look" or not look.done:
            continue
        at = bisect_left(ends, look.start - look.argument * (1 + margin))
        if at and look.answer < highest[at - 1].argument:
            late = look.start - highest[at - 1].end
            what = f"a read within {look.argument} s missed what was {late:.3f} s old"
            found.append(Violation(what, [highest[at - 1], look]))
    return found
