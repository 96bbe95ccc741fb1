"""The state machine of a script's node: it remembers every entry that it was given."""

from __future__ import annotations

from collections.abc import Sequence

from raftsql.raft.membership import Membership, decode
from raftsql.raft.messages import ORIGIN, Entry, EntryKind, Position, SnapshotMeta


class Machine:
    """Applied entries in order, durable as soon as they are applied."""

    def __init__(self, entries: Sequence[Entry] = (), founding: Membership | None = None) -> None:
        """Start with these applied; `founding` is in force where no entry says otherwise."""
        self.entries = list(entries)
        self.founding = Membership() if founding is None else founding

    @property
    def position(self) -> Position:
        """The newest applied entry."""
        if not self.entries:
            return ORIGIN
        return Position(self.entries[-1].index, self.entries[-1].term)

    @property
    def membership(self) -> Membership:
        """What was in force at the newest applied entry."""
        for entry in reversed(self.entries):
            if entry.kind is EntryKind.MEMBERSHIP:
                return decode(entry.payload)
        return self.founding

    def apply(self, entries: Sequence[Entry]) -> None:
        """Apply what follows."""
        for entry in entries:
            assert entry.index == len(self.entries) + 1, "entries are applied in order, once each"
            self.entries.append(entry)

    def forget_after(self, index: int) -> None:
        """Lose the newest applied entries, as a database that syncs lazily may in a crash."""
        del self.entries[index:]

    def snapshot(self) -> SnapshotMeta:
        """What a copy of this machine stands for."""
        return SnapshotMeta(self.position, self.membership.encode())

    def copy(self) -> Machine:
        """The copy itself."""
        return Machine(self.entries, self.founding)
