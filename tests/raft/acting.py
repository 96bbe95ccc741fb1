"""Short ways to put one node on the stage and play the others."""

from __future__ import annotations

from raftsql.raft.messages import Entry, EntryKind, Message, Position, VoteRequest
from tests.raft.harness import Cluster
from tests.raft.wire import Pattern


def command(index: int, term: int) -> Entry:
    """A command at this place."""
    return Entry(term, index, EntryKind.COMMAND, f"{index}@{term}".encode())


def commands(*places: tuple[int, int]) -> list[Entry]:
    """Commands at these places, each (index, term)."""
    return [command(index, term) for index, term in places]


def terms(cluster: Cluster, node: int) -> list[int | None]:
    """The term of each entry of a log."""
    log = cluster[node].log
    return [log.term(index) for index in range(1, log.last.index + 1)]


def answers(cluster: Cluster, source: int, target: int, message: Message) -> list[Message]:
    """What a node sends when this message arrives."""
    cluster.wire.take(Pattern())
    cluster.message(source, target, message)
    return [envelope.message for envelope in cluster.wire.take(Pattern())]


def follower(*log: int, term: int | None = None, vote: int = 0) -> Cluster:
    """Node 1 of three, the others played by the test; no lease it might know of runs any more."""
    cluster = Cluster()
    cluster.founding = Cluster(1, 2, 3).founding
    cluster.start(1, log=log, term=term, vote=vote)
    cluster.advance(300)
    return cluster


def leading(*nodes: int) -> Cluster:
    """A cluster that the first of these nodes leads in term 2."""
    cluster = Cluster(*nodes)
    cluster.elect(nodes[0])
    return cluster


def vote_request(term: int, index: int, last_term: int) -> VoteRequest:
    """A candidate asks; its log ends at this place."""
    return VoteRequest(term, Position(index, last_term), pre=False, forced=False)
