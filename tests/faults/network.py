"""The network between the nodes: what any kind of it can do to the packets on one directed link.

Namespaces are the real thing, for which one has to be root on Linux; proxies do nearly the same
anywhere, to connections instead of packets. A client reaches every node always: faults are between
nodes, so that a leader who is cut off still has somebody to tell old news to.
"""

from __future__ import annotations

from typing import Final, Protocol

Link = tuple[int, int]
"""From a node to a node."""

LINKS_VARIABLE: Final = "RAFTSQL_FAULTS_LINKS"
"""In a node's environment: the addresses through which it reaches others, where there are any."""


class Network(Protocol):
    """What a fault needs of it."""

    name: str

    def address(self, node: int) -> str:
        """Where everybody finds the node, now or when it is made."""

    def wrap(self, node: int, command: list[str]) -> list[str]:
        """The command that runs a node's program where the node lives."""

    def flags(self, node: int) -> list[str]:
        """What the node has to be told to live there."""

    def environment(self, node: int) -> dict[str, str]:
        """What stands in the node's environment for the same."""

    def cut(self, links: set[Link]) -> None:
        """Nothing passes on exactly these links, until told otherwise."""

    def lose(self, percent: int) -> None:
        """So many of a hundred packets between nodes vanish; 0: none."""

    def delay(self, links: set[Link], seconds: float) -> None:
        """What passes these links, and only these, takes so much longer, or nearly."""

    def close(self) -> None:
        """Leave nothing behind."""


def halves(nodes: list[int], alone: int) -> set[Link]:
    """All links between the first `alone` nodes and the others, both ways."""
    left, right = nodes[:alone], nodes[alone:]
    return {link for a in left for b in right for link in ((a, b), (b, a))}


def one_way(source: int, nodes: list[int]) -> set[Link]:
    """The node hears everybody, and nobody hears it."""
    return {(source, other) for other in nodes if other != source}


def bridge(nodes: list[int], middle: int) -> set[Link]:
    """Only the node in the middle sees everybody; the others form two sides that do not."""
    others = [node for node in nodes if node != middle]
    return halves(others, len(others) // 2)


def ring(nodes: list[int]) -> set[Link]:
    """Each node sees its two neighbours only; with three nodes, one neighbour and one way round."""
    count = len(nodes)
    place = {node: at for at, node in enumerate(nodes)}
    if count <= 3:
        return {(a, b) for a in nodes for b in nodes if (place[b] - place[a]) % count == 2}
    return {
        (a, b)
        for a in nodes
        for b in nodes
        if a != b and (place[b] - place[a]) % count not in (1, count - 1)
    }
