"""What clients were told, and whether one single list per key could have told them that.

Every value is written once, and a write's answer is its place in the list. So the truth about a
key is a list that only grows, known here piece by piece from answers, and each answer either fits
what is known or proves a wrong:

- nothing acknowledged is lost, nothing that certainly failed appears, nothing appears twice, and
  nothing that was never written (phantom);
- a linearizable read is a beginning of that list which holds everything that was acknowledged, or
  seen by another read, before it began.

Acknowledgement and answer are taken at the server, so the order in time is stricter than a
client's. Knows nothing of Raft: it serves any state machine that can append and read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Known:
    """What is known of one key's list."""

    values: list[int | None] = field(default_factory=list)
    """By place; None where only a later place is known."""
    floor: int = 0
    """Every linearizable read that begins now must be at least so long."""


class Oracle:
    """All keys, and the outcome of every write."""

    def __init__(self) -> None:
        self.known: dict[int, Known] = {}
        self.written: dict[int, int] = {}
        """The key of every value that was ever asked to be written."""
        self.failed: set[int] = set()
        """Values whose writers were told that they certainly did not happen."""
        self.acknowledged: dict[int, int] = {}
        """The place of every acknowledged value."""
        self.reads = 0

    def invoked(self, key: int, value: int) -> None:
        """A client is about to write."""
        assert value not in self.written, "the simulator writes each value once"
        self.written[value] = key

    def acked(self, key: int, value: int, place: int) -> None:
        """A client was told that its value is at this place."""
        assert value not in self.failed, f"client: {value} failed, and then was acknowledged"
        told = self.acknowledged.setdefault(value, place)
        assert told == place, f"client: {value} was applied twice, at {told} and {place}"
        known = self._key(key)
        self._learn(key, known, place, value)
        known.floor = max(known.floor, place)

    def certainly_failed(self, key: int, value: int) -> None:
        """A client was told that nothing will ever come of it."""
        assert value not in self.acknowledged, f"client: {value} was acknowledged, and then failed"
        assert value not in self._key(key).values, f"client: {value} failed but was read"
        self.failed.add(value)

    def begin_read(self, key: int) -> int:
        """How long the list must at least be that a read beginning now returns."""
        return self._key(key).floor

    def end_read(self, key: int, floor: int, values: Sequence[int]) -> None:
        """A read that began at `floor` was answered."""
        self.reads += 1
        assert len(values) >= floor, (
            f"client: a stale read of key {key}: {len(values)} values, but {floor} were known "
            "before it began"
        )
        known = self._key(key)
        self._compare(key, known, values)
        known.floor = max(known.floor, len(values))

    def end(self, lists: Mapping[int, Sequence[int]]) -> None:
        """The final state of a node, when nothing is under way any more."""
        for key, known in self.known.items():
            values = lists.get(key, ())
            assert len(values) >= known.floor, f"client: acknowledged values of key {key} are lost"
            self._compare(key, known, values)
            assert len(set(values)) == len(values), f"client: key {key} has a value twice"
        for value, place in self.acknowledged.items():
            assert lists[self.written[value]][place - 1] == value, f"client: {value} is lost"

    def _key(self, key: int) -> Known:
        known = self.known.get(key)
        if known is None:
            known = self.known[key] = Known()
        return known

    def _compare(self, key: int, known: Known, values: Sequence[int]) -> None:
        common = min(len(values), len(known.values))
        if tuple(known.values[:common]) != tuple(values[:common]):
            for place in range(common):
                self._learn(key, known, place + 1, values[place])
        for place in range(common, len(values)):
            self._learn(key, known, place + 1, values[place])

    def _learn(self, key: int, known: Known, place: int, value: int) -> None:
        while len(known.values) < place:
            known.values.append(None)
        before = known.values[place - 1]
        if before == value:
            return
        assert before is None, f"client: place {place} of key {key} is {before} and {value}"
        assert self.written.get(value) == key, f"client: {value} is a phantom"
        assert value not in self.failed, f"client: {value} certainly failed, but is there"
        known.values[place - 1] = value
