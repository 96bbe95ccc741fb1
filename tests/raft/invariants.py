"""What must be true of all nodes together at every moment, whatever a script does (Raft 5, fig. 3).

Only what a real run could also produce is judged: a script may start nodes with any logs, so the
past of a log that a script made up is taken as given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raftsql.raft.messages import Envelope, NodeId, VoteReply
from raftsql.raft.ready import RoleName

if TYPE_CHECKING:
    from tests.raft.replica import Replica


class Invariants:
    """Remembers what was seen, and compares every later picture with it."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self.leaders: dict[int, NodeId] = {}
        self.committed: dict[int, int] = {}
        self.seen: dict[NodeId, tuple[int, int]] = {}
        self.votes: dict[tuple[NodeId, int], NodeId] = {}
        self.reads: dict[tuple[NodeId, int], int] = {}
        """What was committed anywhere when a read was asked for."""

    def restarted(self, replica: Replica) -> None:
        """A node that restarts knows what is durable, which may be less than it once knew."""
        self.seen.pop(replica.id, None)

    def sent(self, envelope: Envelope) -> None:
        """A node gives its vote once a term, whatever happened to it in between."""
        message = envelope.message
        if isinstance(message, VoteReply) and message.granted and not message.pre:
            given = self.votes.setdefault((envelope.source, message.term), envelope.target)
            assert given == envelope.target, (
                f"node {envelope.source} votes for {given} and {envelope.target} in {message.term}"
            )

    def asked(self, node: NodeId, request: int) -> None:
        """A client asks to read, and must see all that is committed by now, wherever."""
        self.reads[node, request] = max(self.committed, default=0)

    def check(self, replicas: dict[NodeId, Replica]) -> None:
        """Compare every running node with all that was seen."""
        for replica in replicas.values():
            if replica.node is not None:
                self._check_alone(replica)
                self._check_leader(replica)
                self._check_committed(replica)
                self._check_reads(replica)

    def _check_alone(self, replica: Replica) -> None:
        node, log = replica.running, replica.running.log
        assert log.base.index <= log.applied <= log.committed <= log.last.index, (
            f"pointers out of order on node {node.id}"
        )
        assert log.applied <= log.stored <= log.last.index, f"stored out of order on {node.id}"
        assert log.last.term <= node.term, "no entry is of a later term than the node's"
        assert log.stored <= log.base.index or replica.disk.holds(log.position(log.stored)), (
            f"what node {node.id} calls stored is not durable"
        )
        term, committed = self.seen.get(node.id, (0, 0))
        assert node.term >= term, "terms never go back"
        assert log.committed >= committed, "the commit index never goes back"
        self.seen[node.id] = (node.term, log.committed)

    def _check_leader(self, replica: Replica) -> None:
        node = replica.running
        if node.status().role is RoleName.LEADER:
            first = self.leaders.setdefault(node.term, node.id)
            assert first == node.id, f"one leader a term: {first} and {node.id} lead {node.term}"

    def _check_committed(self, replica: Replica) -> None:
        log = replica.running.log
        for index in range(log.base.index, log.committed + 1):
            term = log.term(index)
            assert term is not None
            known = self.committed.setdefault(index, term)
            assert known == term, f"entry {index} was committed as {known} and as {term}"

    def _check_reads(self, replica: Replica) -> None:
        for request, index in replica.granted.items():
            must = self.reads.get((replica.id, request), 0)
            assert index >= must, f"read {request} sees {index}, but {must} was committed before it"
