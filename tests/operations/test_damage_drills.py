"""A page, a record of the journal, a chunk of a snapshot go bad under a cluster that is in use.

Each time: it is found and named, no wrong answer was given meanwhile, and the commands that
docs/operating.md prints bring the node back from what the others hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

import raftsql as driver
from raftsql.database.environment import Role, open_connection
from raftsql.server.ending import TO_BE_REPLACED
from tests.operations.documented import documented, voters
from tests.operations.nodes import FAST
from tests.operations.page import Operator, block
from tests.operations.spoiler import Spoiler
from tests.operations.watch import ROWS, Watch, body
from tests.server.processes import Cluster, Node, free_port, raftsql, until

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(180)]

DAMAGED_NODE = "A damaged node"
VICTIMS_ROW = 1_234


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with documented(tmp_path) as made:
        yield made


def follower(cluster: Cluster) -> Node:
    leader = cluster.leader()
    return next(node for node in cluster.nodes if node is not leader)


def wait_until(done: Callable[[], bool], what: str) -> None:
    until(done, what)


def level(node: Node, other: Node) -> Callable[[], bool]:
    """Whether a node has applied all that another one has committed by now."""
    index = other.status()["commit_index"]
    return lambda: node.status().get("applied_index", 0) >= index


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def places_of(path: Path, text: bytes) -> list[int]:
    """Where the text stands in a file."""
    content, found = path.read_bytes(), []
    at = content.find(text)
    while at >= 0:
        found.append(at)
        at = content.find(text, at + 1)
    return found


def damage_row(node: Node, number: int) -> int:
    """Change one digit of a row wherever the node's files of the database hold it: how often."""
    database, flipped = node.folder / "database.db", 0
    for path in (database, database.with_name("database.db-wal")):
        if path.exists():
            for at in places_of(path, body(number).encode()):
                flip(path, at + 100)
                flipped += 1
    return flipped


def emptied_wal(node: Node) -> None:
    """What is in the WAL of a stopped node would be applied anew where it is damaged."""
    with closing(open_connection(node.folder / "database.db", Role.SERVICE)) as connection:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


class Drill:
    """A cluster under watch, and the one of its nodes that comes to harm."""

    def __init__(self, cluster: Cluster, victim: Node) -> None:
        self.victim = victim
        self.number = victim.status()["node_id"]
        self.others = [node for node in cluster.nodes if node is not victim]
        self._operator = Operator(
            cluster.folder,
            {
                "remove 3": f"remove {self.number}",
                "10.0.0.3:4001": victim.address,
                "10.0.0.1:4001": self.others[0].address,
                "/var/lib/raftsql/data": str(victim.folder),
            },
            self._systemctl,
        )

    def _systemctl(self, verb: str) -> None:
        if verb == "start":
            self.victim.start()
        else:
            assert verb == "stop"
            self.victim.stop()

    def has_stopped(self, *words: str) -> None:
        """It has ended itself, and its last words name what is wrong and the way out."""
        assert self.victim.ended() == TO_BE_REPLACED
        said = self.victim.says().rpartition("raftsql serve: ")[2].strip().splitlines()
        for word in words:
            assert word in said[0]
        commands = [line.strip() for line in said[1:] if line.startswith("    ")]
        assert commands[0] in [
            f"raftsql remove {self.number} --url {node.address}" for node in self.others
        ]
        assert commands[1] == f"mv {self.victim.folder} {self.victim.folder}.damaged"
        assert DAMAGED_NODE in said[1]

    def is_repaired(self) -> None:
        """The page's commands bring the node back; all hold the same."""
        self._operator.follows(block(DAMAGED_NODE, "raftsql remove 3"))
        look, compare = block(DAMAGED_NODE, "raftsql status --json")

        def ready() -> bool:
            done = self._operator.types(look)
            return done.returncode == 0 and bool(json.loads(done.stdout)["ready"])

        until(ready, "the page's status to say that it is ready")
        until(lambda: len(voters(self.others[0])) == 3, "its vote")
        assert self.victim.status()["node_id"] != self.number
        (compared,) = self._operator.follows([compare])
        assert "all nodes are equal" in compared.stdout
        assert self.victim.folder.with_name(self.victim.folder.name + ".damaged").is_dir()


@pytest.mark.parametrize("leads", [False, True], ids=["follower", "leader"])
def test_a_page_that_goes_bad_under_a_running_node(cluster: Cluster, leads: bool) -> None:
    victim = cluster.leader() if leads else follower(cluster)
    drill = Drill(cluster, victim)
    with Watch([node.address for node in cluster.nodes]) as watch:
        watch.goes_on(wait_until)
        # Into the file too, and not in the WAL alone.
        assert raftsql("compact", "--url", victim.address).returncode == 0
        assert damage_row(victim, VICTIMS_ROW) >= 2
        drill.has_stopped(
            "the database is damaged", str(victim.folder / "database.db"), "offset ",
            "does not match its checksum",
        )  # fmt: skip
        drill.is_repaired()
        watch.goes_on(wait_until)
    assert watch.wrong == []


def test_a_page_that_went_bad_on_a_stopped_node_is_found_by_verify(cluster: Cluster) -> None:
    """A page that nobody reads is found by the command that reads them all."""
    victim = follower(cluster)
    drill = Drill(cluster, victim)
    with Watch([node.address for node in cluster.nodes]) as watch:
        until(level(victim, cluster.leader()), "it to be level")
    victim.stop()
    emptied_wal(victim)
    assert damage_row(victim, VICTIMS_ROW) == 1
    victim.start().serves()
    until(level(victim, cluster.leader()), "it to be level")
    done = raftsql("verify", "--url", drill.others[0].address)
    assert done.returncode == 1, done.stderr
    assert f"node {drill.number} is DAMAGED" in done.stdout
    assert str(victim.folder / "database.db") in done.stdout
    drill.has_stopped("the database is damaged", str(victim.folder / "database.db"), "offset ")
    drill.is_repaired()
    assert watch.wrong == []


def test_a_record_of_a_stopped_nodes_journal(cluster: Cluster) -> None:
    victim = follower(cluster)
    drill = Drill(cluster, victim)
    with Watch([node.address for node in cluster.nodes]) as watch:
        watch.goes_on(wait_until)
        victim.kill()
        segment = max((victim.folder / "journal").glob("*.segment"))
        at = places_of(segment, body(VICTIMS_ROW).encode())[0] + 100
        flip(segment, at)
        victim.start()
        drill.has_stopped("the journal is damaged", str(segment), "offset ")
        found = int(victim.says().rpartition("offset ")[2].partition(":")[0])
        assert found <= at
        drill.is_repaired()
        watch.goes_on(wait_until)
    assert watch.wrong == []


def test_a_record_of_the_leaders_journal_that_a_slow_follower_needs(cluster: Cluster) -> None:
    """It is not sent as it is: the leader stops, and the next one has it whole."""
    slow = follower(cluster)
    slow.kill()
    victim = cluster.leader()
    drill = Drill(cluster, victim)
    with Watch([victim.address]) as watch:
        watch.goes_on(wait_until)
    # What was written last is in memory; after a restart it is read from the journal.
    (third,) = [node for node in cluster.nodes if node not in (slow, victim)]
    victim.stop()
    victim.start()
    hand_over = ("transfer", str(drill.number), "--url", third.address)
    until(lambda: raftsql(*hand_over).returncode == 0, "it to lead again")
    segment = min((victim.folder / "journal").glob("*.segment"))
    flip(segment, places_of(segment, body(VICTIMS_ROW).encode())[0] + 100)
    slow.start()
    drill.has_stopped("the journal is damaged", str(segment), "offset ")
    slow.serves()
    drill.is_repaired()
    assert watch.wrong == []
    with driver.connect(slow.url, timeout=30) as connection:
        assert connection.execute("SELECT count(*) FROM item").fetchall() == [(ROWS,)]


def test_chunks_of_a_snapshot_that_are_spoilt_on_their_way(cluster: Cluster) -> None:
    """What arrives damaged is not kept, and comes again; the new node holds what the others do."""
    leader, port = cluster.leader(), free_port()
    with (
        Watch([node.address for node in cluster.nodes]) as watch,
        Spoiler(port, body(VICTIMS_ROW)[:64].encode(), times=2) as spoiler,
    ):
        watch.goes_on(wait_until)
        for node in cluster.nodes:
            assert raftsql("compact", "--url", node.address).returncode == 0
        until(lambda: leader.status()["first_index"] > 20, "the rows to be in no log")
        fourth = cluster.node(
            *FAST, "--join", leader.address, "--advertise", spoiler.address,
            address=f"127.0.0.1:{port}",
        )  # fmt: skip
        fourth.start().wait_for(lambda status: status["ready"], "it to be ready")
        until(lambda: len(voters(leader)) == 4, "its vote")
        watch.goes_on(wait_until)
        done = raftsql("verify", "--url", leader.address)
        assert done.returncode == 0, done.stdout
        assert "all nodes are equal" in done.stdout
    assert watch.wrong == []
    assert spoiler.times == 0
    assert fourth.says().count("was damaged on its way") == 2
