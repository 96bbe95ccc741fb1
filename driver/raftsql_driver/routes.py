"""Which node to ask: what is known of the cluster's members and its leader. Pure.

Writes and linearizable reads go to the leader if it is known and can be reached, else to `home`,
the first node that works: it forwards, or says who leads. Session and stale reads stay at home.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

AVOID_S: Final = 1.0
"""So long a node that could not be reached is not asked again while others are there."""


class Routes:
    """The nodes of one cluster, as one process sees them."""

    __slots__ = ("nodes", "leader", "home", "_avoided")

    def __init__(self, nodes: Iterable[str]) -> None:
        self.nodes = list(nodes)
        """Those of the URL first, then the members that the cluster told of."""
        self.leader = ""
        self.home = self.nodes[0]
        self._avoided: dict[str, float] = {}

    def writer(self) -> str:
        """Where a write or a transaction goes."""
        return self.leader or self.home

    def reader(self, level: int) -> str:
        """Where a read of this level goes: the two strict ones to the leader."""
        return self.leader if level < 2 and self.leader else self.home

    def learned(self, leader: str, members: Iterable[str], now: float) -> None:
        """A node said who leads, and who is there.

        One that knows no leader is not believed against another's word: it may be cut off.
        """
        if leader and self._avoided.get(leader, 0.0) <= now:
            self.leader = leader
        for member in members:
            if member and member not in self.nodes:
                self.nodes.append(member)

    def stepped_down(self, node: str) -> None:
        """This node said that it knows no leader: if it led, nobody is known to."""
        if self.leader == node:
            self.leader = ""

    def reached(self, node: str) -> None:
        """A stream to this node is open."""
        self._avoided.pop(node, None)

    def unreachable(self, node: str, now: float) -> None:
        """This node can't be reached, or broke its stream: ask others first."""
        self._avoided = {each: until for each, until in self._avoided.items() if until > now}
        self._avoided[node] = now + AVOID_S
        if self.leader == node:
            self.leader = ""
        if self.home == node:
            self._move_on(now)

    def not_leader(self, node: str, leader: str, now: float) -> None:
        """This node does not lead; it may know who does."""
        if leader and leader != node and self._avoided.get(leader, 0.0) <= now:
            self.learned(leader, [leader], now)
            return
        if self.leader == node:
            self.leader = ""
        if self.home == node:
            self._move_on(now)

    def _move_on(self, now: float) -> None:
        """Take the next node round, preferring those that may work."""
        at = self.nodes.index(self.home) if self.home in self.nodes else -1
        others = self.nodes[at + 1 :] + self.nodes[: at + 1]
        self.home = next((n for n in others if self._avoided.get(n, 0.0) <= now), others[0])
