"""Whether transactions over lists are strictly serializable: no cycle of who must come before whom.

Values are appended to lists, each value once. A list that was read tells the order of its writers,
and so, in Adya's words, which transaction wrote after which (ww), which read what another wrote
(wr), and which read before another wrote (rw). With the times of calls (one that had ended before
another began comes before it), any cycle among these is a violation; its kinds of steps name the
anomaly. What is no cycle is looked for apart: reads of what was aborted, of the middle of a
transaction, lists that do not agree, values that are there twice, or not at all.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.driver.exactly_once.ledger import Fate
from tests.faults.history import Operation, Violation

Key = Any
Place = tuple[Key, Any]
Kinds = dict[int, str]
"""By the operation a step leads to: which kind of step it is."""


def steps(operation: Operation) -> list[tuple[str, Key, Any]]:
    """What a transaction did: ("append", key, value), or ("read", key, the list it saw)."""
    if not operation.done:
        return [step for step in operation.argument if step[0] == "append"]
    return [
        (name, key, tuple(seen) if name == "read" else value)
        for (name, key, value), seen in zip(operation.argument, operation.answer, strict=True)
    ]


@dataclass(slots=True)
class Facts:
    """What a history tells, before any cycle is looked for."""

    operations: list[Operation]
    writers: dict[Place, int] = field(default_factory=dict)
    """Who appended a value: the place of the transaction among `operations`."""
    orders: dict[Key, tuple[Any, ...]] = field(default_factory=dict)
    """The longest list that anybody saw."""
    found: list[Violation] = field(default_factory=list)

    def wrong(self, what: str, *story: Operation) -> None:
        self.found.append(Violation(what, list(story)))


def violations(operations: Iterable[Operation], *, strict: bool = True) -> list[Violation]:
    """All that is wrong; without `strict`, the times of calls mean nothing."""
    facts = Facts(list(operations))
    _note_writers(facts)
    reads = list(_reads(facts))
    for at, key, seen in reads:
        _look_at(facts, at, key, seen)
        if len(seen) > len(facts.orders.get(key, ())):
            facts.orders[key] = seen
    for at, key, seen in reads:
        order = facts.orders.get(key, ())
        if order[: len(seen)] != seen:
            longest = next(r for r, k, s in reads if k == key and s == order)
            facts.wrong(
                f"incompatible orders of list {key!r}: {seen} and {order}",
                facts.operations[at],
                facts.operations[longest],
            )
    _look_for_lost(facts, reads)
    if not facts.found:
        facts.found += _cycles(facts, reads, strict=strict)
    return facts.found


def _note_writers(facts: Facts) -> None:
    for at, operation in enumerate(facts.operations):
        for name, key, value in operation.argument:
            if name == "append":
                assert (key, value) not in facts.writers, "a value is appended once"
                facts.writers[key, value] = at


def _reads(facts: Facts) -> Iterator[tuple[int, Key, tuple[Any, ...]]]:
    """What was read of others: the lists without what the transaction itself had put there."""
    for at, operation in enumerate(facts.operations):
        own: dict[Key, list[Any]] = {}
        for name, key, value in steps(operation):
            mine = own.setdefault(key, [])
            if name == "append":
                mine.append(value)
                continue
            seen = value
            if mine:
                if list(seen[-len(mine) :]) != mine:
                    facts.wrong(f"own appends {mine} are not at the end of {seen}", operation)
                    continue
                seen = seen[: -len(mine)]
            yield at, key, seen


def _look_at(facts: Facts, at: int, key: Key, seen: tuple[Any, ...]) -> None:
    """Whether one list alone may be."""
    reader = facts.operations[at]
    for value, times in Counter(seen).items():
        if times > 1:
            facts.wrong(f"{value!r} is {times} times in list {key!r}", reader)
        writer = facts.writers.get((key, value))
        if writer is None:
            facts.wrong(f"{value!r} in list {key!r} was appended by nobody", reader)
        elif facts.operations[writer].fate is Fate.NEVER:
            facts.wrong(f"aborted read (G1a): {value!r}", facts.operations[writer], reader)
    if seen:
        _look_at_last(facts, at, key, seen[-1])


def _look_at_last(facts: Facts, at: int, key: Key, last: Any) -> None:
    writer = facts.writers.get((key, last))
    if writer is None or writer == at:
        return
    theirs = [
        value
        for name, k, value in facts.operations[writer].argument
        if (name, k) == ("append", key)
    ]
    if theirs[-1] != last:
        facts.wrong(
            f"intermediate read (G1b): {last!r} of {theirs}",
            facts.operations[writer],
            facts.operations[at],
        )


def _look_for_lost(facts: Facts, reads: list[tuple[int, Key, tuple[Any, ...]]]) -> None:
    """An append that was acknowledged, and that a later read of its list does not have, at all."""
    latest: dict[Key, tuple[float, int]] = {}
    for at, key, _ in reads:
        latest[key] = max(latest.get(key, (0.0, at)), (facts.operations[at].start, at))
    for (key, value), writer in facts.writers.items():
        one = facts.operations[writer]
        if not one.done or value in facts.orders.get(key, ()) or key not in latest:
            continue
        start, reader = latest[key]
        if one.end < start:
            what = f"lost append: {value!r} in list {key!r}"
            facts.wrong(what, one, facts.operations[reader])


def _cycles(
    facts: Facts, reads: list[tuple[int, Key, tuple[Any, ...]]], *, strict: bool
) -> list[Violation]:
    edges = _edges(facts, reads)
    graph = {at: set(targets) for at, targets in edges.items()}
    if strict:
        _add_times(facts, graph)
    found = []
    for component in strong_components(graph):
        members = {at for at in component if at >= 0}
        if len(members) > 1:
            found.append(_told(facts, edges, members, strict=strict))
    return found


def _edges(facts: Facts, reads: list[tuple[int, Key, tuple[Any, ...]]]) -> dict[int, Kinds]:
    edges: dict[int, Kinds] = {at: {} for at in range(len(facts.operations))}

    def add(source: int | None, target: int | None, kind: str) -> None:
        if source is not None and target is not None and source != target:
            edges[source].setdefault(target, kind)

    for key, order in facts.orders.items():
        writers = [facts.writers.get((key, value)) for value in order]
        for before, after in pairwise(writers):
            add(before, after, "ww")
    for at, key, seen in reads:
        order = facts.orders.get(key, ())
        if seen:
            add(facts.writers.get((key, seen[-1])), at, "wr")
        if len(seen) < len(order):
            add(at, facts.writers.get((key, order[len(seen)])), "rw")
    return edges


def _add_times(facts: Facts, graph: dict[int, set[int]]) -> None:
    """Steps from each end to all later starts, by a chain of moments (the negative numbers)."""
    ends = sorted((one.end, at) for at, one in enumerate(facts.operations) if one.done)
    for moment, (_, at) in enumerate(ends, 1):
        graph[-moment] = {-moment - 1} if moment < len(ends) else set()
        graph[at].add(-moment)
    starts = sorted((one.start, at) for at, one in enumerate(facts.operations))
    moment = 0
    for start, at in starts:
        while moment < len(ends) and ends[moment][0] < start:
            moment += 1
        if moment:
            graph[-moment].add(at)


def strong_components(graph: dict[int, set[int]]) -> list[list[int]]:
    """Tarjan's, without recursion."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    waiting: list[int] = []
    is_waiting: set[int] = set()
    found: list[list[int]] = []
    for root in graph:
        if root in index:
            continue
        work = [(root, iter(graph[root]))]
        index[root] = low[root] = len(index)
        waiting.append(root)
        is_waiting.add(root)
        while work:
            at, targets = work[-1]
            for target in targets:
                if target not in index:
                    index[target] = low[target] = len(index)
                    waiting.append(target)
                    is_waiting.add(target)
                    work.append((target, iter(graph[target])))
                    break
                if target in is_waiting:
                    low[at] = min(low[at], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[at])
                if low[at] == index[at]:
                    component = []
                    while not component or component[-1] != at:
                        component.append(waiting.pop())
                        is_waiting.discard(component[-1])
                    found.append(component)
    return found


def _told(facts: Facts, edges: dict[int, Kinds], members: set[int], *, strict: bool) -> Violation:
    """The shortest cycle among these, and what it is called."""
    shortest: list[tuple[int, str]] = []
    for start in members:
        cycle = _shortest_back(facts, edges, members, start, strict=strict)
        if cycle and (not shortest or len(cycle) < len(shortest)):
            shortest = cycle
    kinds = [kind for _, kind in shortest]
    story = [facts.operations[at] for at, _ in shortest]
    return Violation(f"{_named(kinds)}: a cycle of {', '.join(kinds)}", story)


def _shortest_back(
    facts: Facts, edges: dict[int, Kinds], members: set[int], start: int, *, strict: bool
) -> list[tuple[int, str]]:
    """From `start` to itself: each operation with the kind of the step that leaves it."""
    came: dict[int, tuple[int, str]] = {}
    queue = deque([start])
    while queue:
        at = queue.popleft()
        for target, kind in _leaving(facts, edges, members, at, strict=strict):
            if target in came:
                continue
            came[target] = (at, kind)
            if target == start:
                cycle = [came[start]]
                while cycle[-1][0] != start:
                    cycle.append(came[cycle[-1][0]])
                return cycle[::-1]
            queue.append(target)
    return []


def _leaving(
    facts: Facts, edges: dict[int, Kinds], members: set[int], at: int, *, strict: bool
) -> Iterator[tuple[int, str]]:
    for target, kind in edges[at].items():
        if target in members:
            yield target, kind
    if strict and facts.operations[at].done:
        end = facts.operations[at].end
        for target in members:
            if facts.operations[target].start > end:
                yield target, "time"


def _named(kinds: list[str]) -> str:
    """Adya's name of a cycle, by its steps."""
    timed = " in real time" if "time" in kinds else ""
    against = kinds.count("rw")
    if against == 0:
        return ("G1c" if "wr" in kinds else "G0") + timed
    return ("G-single (a stale read)" if against == 1 else "G2 (write skew)") + timed
