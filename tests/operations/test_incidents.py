"""A node is lost, or a quorum: docs/operating.md is followed to the letter, on real nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import raftsql as driver
from tests.operations.documented import documented, voters
from tests.operations.nodes import FAST
from tests.operations.page import Operator, block, section
from tests.server.processes import Cluster, Node, until

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(180)]

ROWS = 300
LOST, REPLACING = "Losing a quorum", "Replacing a node"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with documented(tmp_path) as made:
        with driver.connect(made.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE item(id INTEGER PRIMARY KEY)")
            connection.executemany("INSERT INTO item VALUES (?)", [(n,) for n in range(ROWS)])
        yield made


def before(cluster: Cluster, node: Node, **places: str) -> Operator:
    """Who sits before a node's machine; `places` has the page's other words."""

    def systemctl(verb: str) -> None:
        if verb == "start":
            node.start()
        else:
            assert node.stop() == 0

    def serve(words: list[str]) -> None:
        """As it is typed there, but for the times, which are those of tests."""
        assert words[:2] == ["--data-dir", str(node.folder)]
        assert words[2:4] == ["--listen", node.address]
        node.flags = [*words[4:], *FAST]
        node.start()

    folder = cluster.folder / f"operator{len(list(cluster.folder.glob('operator*')))}"
    data = {"/var/lib/raftsql/data": str(node.folder)}
    return Operator(folder, places | data, systemctl, serve=serve)


def holds_everything(cluster: Cluster) -> None:
    with driver.connect(cluster.url, autocommit=True, timeout=20) as connection:
        counted = connection.execute("SELECT count(*) FROM item WHERE id < ?", (ROWS,)).fetchone()
        assert counted == (ROWS,)
        connection.execute("CREATE TABLE written(since)")


def test_a_quorum_is_lost_and_a_survivor_goes_on(cluster: Cluster) -> None:
    survivor, *gone = cluster.nodes
    index = cluster.leader().status()["commit_index"]
    until(lambda: survivor.status()["applied_index"] >= index, "it to be level")
    number = survivor.status()["node_id"]
    for node in gone:
        node.kill()
    operator = before(
        cluster, survivor, **{
            "--node 2": f"--node {number}", "2=10.0.0.2:4001": f"{number}={survivor.address}",
            "10.0.0.2:4001": survivor.address,
        },
    )  # fmt: skip
    look, rescue = block(LOST, "raftsql status --json")
    assert '"stored_index"' in operator.follows([look])[0].stdout
    operator.follows([rescue])
    done = operator.follows(block(LOST, "systemctl stop raftsql"))
    assert "nothing was changed" in done[2].stdout
    until(survivor.leads, "it to lead alone")
    assert operator.types("raftsql verify --file rescued.db --url 10.0.0.2:4001").returncode == 0
    assert "raftsql verify --file rescued.db" in section(LOST)
    for node in gone:
        before(cluster, node).follows(block(LOST, "mv /var/lib/raftsql/data"))
        node.serves()
    until(lambda: len(voters(survivor)) == 3, "three voters again")
    assert set(voters(survivor)).isdisjoint({1, 2, 3} - {number})
    holds_everything(cluster)
    (again,) = operator.follows(["raftsql verify --url 10.0.0.2:4001"])
    assert "all nodes are equal" in again.stdout


def test_a_node_whose_machine_is_lost_is_replaced(cluster: Cluster) -> None:
    first, second, lost = cluster.nodes
    number = lost.status()["node_id"]
    lost.kill()
    lost.folder.rename(cluster.folder / "the-old-machine")
    operator = before(
        cluster, lost, **{
            "remove 3": f"remove {number}", "10.0.0.1:4001": first.address,
            "10.0.0.2:4001": second.address, "10.0.0.3:4001": lost.address,
        },
    )  # fmt: skip
    operator.follows(block(REPLACING, "raftsql remove 3"))
    until(lambda: len(voters(first)) == 3, "its vote")
    assert number not in voters(first)
    holds_everything(cluster)


def test_a_node_that_was_removed_says_so_and_is_not_ready(cluster: Cluster) -> None:
    first, _, gone = cluster.nodes
    number = gone.status()["node_id"]
    places = {"remove 3": f"remove {number}", "10.0.0.1:4001": first.address}
    remove, *_ = block(REPLACING, "raftsql remove 3")
    before(cluster, first, **places).follows([remove])
    until(lambda: "was removed from the cluster" in gone.says(), "its word")
    status = gone.status()
    assert status["role"] == "removed"
    assert not status["ready"]
