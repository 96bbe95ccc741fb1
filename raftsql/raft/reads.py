"""Reads that must see every write acknowledged before they began (ReadIndex, thesis 6.4).

On the leader, reads gather until the next round; a round is one probe to everybody, and all reads
that wait share it. On a follower, reads gather until the next asking, and the leader treats each
asking as one read of its own. In both, numbers name what an answer belongs to, so that a late or
repeated answer can never confirm a read that came after it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from raftsql.raft.messages import NodeId


@dataclass(frozen=True, slots=True)
class LocalRead:
    """A read of this node's own clients."""

    request: int


@dataclass(frozen=True, slots=True)
class RemoteRead:
    """A follower's asking on behalf of its clients."""

    node: NodeId
    round: int


Reader = LocalRead | RemoteRead


@dataclass(frozen=True, slots=True)
class Round:
    """Reads that are served at `read_index` once a quorum has answered `probe`."""

    probe: int
    read_index: int
    readers: list[Reader]


class ReadQueue:
    """The leader's reads: those that wait for a round, and the rounds under way."""

    __slots__ = ("waiting", "rounds")

    def __init__(self) -> None:
        """Nobody waits."""
        self.waiting: list[Reader] = []
        self.rounds: deque[Round] = deque()

    def begin(self, *, probe: int, read_index: int) -> None:
        """All that wait share the round that `probe` opens."""
        assert self.waiting, "a round without reads proves nothing to anybody"
        self.rounds.append(Round(probe, read_index, self.waiting))
        self.waiting = []

    def confirmed(self, probe: int) -> list[Round]:
        """The rounds that a quorum's answer to `probe` or later has decided."""
        done: list[Round] = []
        while self.rounds and self.rounds[0].probe <= probe:
            done.append(self.rounds.popleft())
        return done

    def local(self) -> list[int]:
        """Requests of this node's own clients that are still open."""
        readers = [reader for round_ in self.rounds for reader in round_.readers]
        return [r.request for r in (*readers, *self.waiting) if isinstance(r, LocalRead)]


class Asking:
    """A follower's reads: those that wait, and those of the one asking under way.

    While an answer is awaited new reads gather for the next asking. The count of rounds starts
    anywhere and lives as long as the node, so that no earlier answer can fit a later asking.
    """

    __slots__ = ("round", "asked", "asked_at", "waiting", "lease_enough")

    def __init__(self, first_round: int) -> None:
        """Nobody waits."""
        self.round = first_round
        self.asked: list[int] = []
        self.asked_at = 0
        self.waiting: list[int] = []
        self.lease_enough = True
        """Whether all that wait are content with the leader's lease."""

    def wait(self, request: int, *, lease: bool) -> None:
        """A read of this node's clients goes with the next asking."""
        self.waiting.append(request)
        self.lease_enough = self.lease_enough and lease

    def begin(self, now: int) -> tuple[int, bool]:
        """The next asking, for all that wait and for those whose answer never came."""
        lease = self.lease_enough and not self.asked
        self.round += 1
        self.asked += self.waiting
        self.waiting, self.asked_at, self.lease_enough = [], now, True
        return self.round, lease

    def answered(self, round_: int) -> list[int]:
        """The requests that an answer to this asking decides: none if it is an old one."""
        if round_ != self.round:
            return []
        done, self.asked = self.asked, []
        return done

    def give_up(self) -> list[int]:
        """All requests, none of which can be answered by the leader that was asked."""
        done = self.asked + self.waiting
        self.asked, self.waiting, self.lease_enough = [], [], True
        return done
