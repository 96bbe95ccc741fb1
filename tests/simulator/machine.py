"""The state machine of the simulated cluster: lists that only grow, and the sessions of clients.

Small, deterministic, and enough to see any wrong order: a write appends a value of its own to the
list of a key, and its answer is the place where it went. Values are immutable, so that a
checkpoint or a snapshot is a copy of two small dictionaries.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from raftsql.raft.membership import Membership, decode
from raftsql.raft.messages import ORIGIN, Entry, EntryKind, Position


@dataclass(slots=True)
class Write:
    """What a client asks for: append `value` to the list of `key`, once."""

    client: int
    sequence: int
    key: int
    value: int
    padding: int = 0

    def encode(self) -> bytes:
        """As the log holds it."""
        text = f"{self.client} {self.sequence} {self.key} {self.value}"
        return text.encode() + b" " * self.padding


@dataclass(slots=True)
class Machine:
    """Lists by key, and each client's last sequence with its answer."""

    position: Position = ORIGIN
    membership: Membership = field(default_factory=Membership)
    lists: dict[int, tuple[int, ...]] = field(default_factory=dict)
    sessions: dict[int, tuple[int, int]] = field(default_factory=dict)

    def copy(self) -> Machine:
        """The state as it is now, for a checkpoint or a snapshot."""
        return Machine(self.position, self.membership, dict(self.lists), dict(self.sessions))

    def apply(self, entry: Entry) -> int | None:
        """Do what the entry says; a write's answer is its place, None when it is too old."""
        assert entry.index == self.position.index + 1, (
            f"applied: entry {entry.index} follows {self.position.index}"
        )
        self.position = Position(entry.index, entry.term)
        if entry.kind is EntryKind.MEMBERSHIP:
            self.membership = decode(entry.payload)
        elif entry.kind is EntryKind.COMMAND:
            return self._write(entry.payload)
        return None

    def _write(self, payload: bytes) -> int | None:
        client, sequence, key, value = map(int, payload.split())
        last, answer = self.sessions.get(client, (0, 0))
        if sequence <= last:
            return answer if sequence == last else None
        self.lists[key] = (*self.lists.get(key, ()), value)
        place = len(self.lists[key])
        self.sessions[client] = (sequence, place)
        return place
