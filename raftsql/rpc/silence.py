"""Nodes that pass their clients' requests on, and are cut off before these have ended.

A connection does not tell: TCP is silent about a partition for long. But a leader hears its peers
many times a second. What the clients of a silent peer have begun can't go on, and a transaction of
theirs that holds the writer keeps everybody else waiting. So their stream is ended, as a client's
that is gone. They are told by their own node, which does not hear this one either, that nobody
knows what became of it.
"""

from __future__ import annotations

from raftsql.raft.leader import Leader
from raftsql.raft.messages import NodeId
from raftsql.raft.node import Node

LOOK_SECONDS = 0.25
"""How often it is looked who is silent."""
LOOKS = 3
"""A node that has slept finds everybody silent, until it has read its mail."""


def is_silent(node: Node, peer: NodeId) -> bool:
    """Whether this node leads, and has not heard the peer for so long that the peer does not take
    it for its leader any more. A leader that hears no quorum has stepped down before that."""
    role, bound_ms = node.role, node.config.election_ms
    if not isinstance(role, Leader) or peer not in role.progress:
        return False
    return node.now - role.progress[peer].heard_at > 2 * bound_ms


class Watched:
    """Counts the looks at which the peer behind a stream was silent, one after the other."""

    __slots__ = ("_looks",)

    def __init__(self) -> None:
        self._looks = 0

    def is_lost(self, *, silent: bool) -> bool:
        """Take in another look; whether there were enough of them."""
        self._looks = self._looks + 1 if silent else 0
        return self._looks >= LOOKS
