"""Three nodes as docs/operating.md starts them: by one command line, at first and ever after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.operations.nodes import FAST
from tests.server.processes import Cluster, Node, until


def voters(node: Node) -> list[int]:
    """The numbers of those with a vote, as a node knows them."""
    return [m["node_id"] for m in node.status().get("members", []) if m["voter"]]


@contextmanager
def documented(folder: Path) -> Iterator[Cluster]:
    """A cluster, which ends with the block. Its log is short, so that new nodes get snapshots."""
    made = Cluster(folder)
    for _ in range(3):
        made.node(*FAST, "--bootstrap-expect", "3", "--log-tail-entries", "1")
    for node in made.nodes:
        node.flags += ["--join", ",".join(one.address for one in made.nodes)]
    try:
        for node in made.nodes:
            node.start()
        until(lambda: len(voters(made.nodes[0])) == 3, "three voters")
        yield made
    finally:
        made.end()
