"""The messages of a node: those that may leave, and those that wait for the disk.

A message that says what is not durable yet is held until the save is done that holds it. It is
dropped then if the node's term has moved on: what it says is nobody's business any more.
"""

from __future__ import annotations

from collections import deque

from raftsql.raft.messages import AppendAccepted, Envelope


class Outbox:
    """Messages on their way out of one node."""

    __slots__ = ("_ready", "_held")

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._ready: list[Envelope] = []
        self._held: deque[tuple[int, Envelope]] = deque()
        """By the number of the save that they wait for, in its order."""

    def put(self, envelope: Envelope) -> None:
        """It says nothing that isn't durable."""
        self._ready.append(envelope)

    def take(self) -> list[Envelope]:
        """What may leave now."""
        messages, self._ready = self._ready, []
        return messages

    def hold(self, number: int, envelope: Envelope) -> None:
        """It waits until save `number` is done."""
        if self._supersedes_last(number, envelope):
            self._held.pop()
        place = len(self._held)
        while place > 0 and self._held[place - 1][0] > number:
            place -= 1
        self._held.insert(place, (number, envelope))

    def _supersedes_last(self, number: int, envelope: Envelope) -> bool:
        """Of acknowledgements that wait for the same save, the newest says it all."""
        if not self._held or not isinstance(envelope.message, AppendAccepted):
            return False
        held_number, held = self._held[-1]
        return (
            held_number == number
            and held.target == envelope.target
            and isinstance(held.message, AppendAccepted)
            and held.message.term == envelope.message.term
            and held.message.match <= envelope.message.match
            and held.message.probe <= envelope.message.probe
        )

    def release(self, number: int, term: int) -> None:
        """Save `number` is done, and the node's term is this one."""
        while self._held and self._held[0][0] <= number:
            _, envelope = self._held.popleft()
            if envelope.message.term == term:
                self._ready.append(envelope)

    def drop_acknowledgements(self) -> None:
        """What waits to be acknowledged is in the log no more."""
        self._held = deque(
            held for held in self._held if not isinstance(held[1].message, AppendAccepted)
        )
