"""Who belongs to a cluster, and how that changes: with real processes, from the command line."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

import raftsql as client
from raftsql.storage.datadir import DataDir, Identity
from raftsql.storage.files import RealFiles
from raftsql_proto.client_pb2 import STALE, QueryRequest
from raftsql_proto.client_pb2_grpc import ClientStub
from tests.server.processes import Cluster, Node, free_port, raftsql, until

pytestmark = pytest.mark.e2e


def rows(url: str, sql: str, **options: Any) -> list[tuple[Any, ...]]:
    with client.connect(url, autocommit=True, **options) as connection:
        return list(connection.execute(sql).fetchall())


def write(url: str, *texts: str) -> None:
    with client.connect(url, autocommit=True, timeout=20) as connection:
        for text in texts:
            connection.execute(text)


def members(node: Node) -> dict[int, dict[str, Any]]:
    return {member["node_id"]: member for member in node.status().get("members", [])}


def operate(name: str, *arguments: str, url: str) -> tuple[int, str]:
    done = raftsql(name, *arguments, "--url", url)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_nodes_join_and_any_of_them_takes_any_request(cluster: Cluster) -> None:
    nodes = cluster.of(3)
    write(nodes[0].url, "CREATE TABLE t (x)")
    for number, node in enumerate(nodes):
        write(node.url, f"INSERT INTO t VALUES ({number})")
        assert len(rows(node.url, "SELECT x FROM t")) == number + 1
    code, said = operate("members", url=nodes[2].url)
    assert code == 0
    assert all(node.address in said for node in nodes)


def test_three_equal_command_lines_form_one_cluster_and_restart_it(cluster: Cluster) -> None:
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(3)]
    flags = ["--bootstrap-expect", "3", "--join", ",".join(addresses)]
    nodes = [cluster.node(*flags, address=address) for address in addresses]
    for node in (nodes[2], nodes[0]):
        node.start()
    nodes[0].wait_for(lambda s: "2 are here" in str(s.get("waits_for")), "two that wait")
    nodes[1].start()
    for node in nodes:
        node.serves()
    nodes[0].wait_for(lambda s: sum(m["voter"] for m in s["members"]) == 3, "three voters")
    assert len({node.status()["cluster"] for node in nodes}) == 1
    write(nodes[1].url, "CREATE TABLE t (x)")
    for node in nodes:
        node.kill()
    for node in nodes:
        node.start()
    for node in nodes:
        node.serves()
    assert rows(nodes[2].url, "SELECT count(*) FROM t") == [(0,)]


@pytest.mark.long
def test_a_removed_node_is_told_and_never_let_in_again(cluster: Cluster) -> None:
    first, second, third = cluster.of(3)
    gone = third.status()["node_id"]
    code, said = operate("remove", str(gone), url=second.url)
    assert code == 0, said
    third.wait_for(lambda s: s["role"] == "removed", "the news")
    assert "was removed from the cluster" in third.says()
    write(first.url, "CREATE TABLE t (x)")
    with grpc.insecure_channel(third.address) as channel, pytest.raises(grpc.RpcError) as error:
        list(ClientStub(channel).Query(QueryRequest(sql="SELECT 1", consistency=STALE)))
    assert "removed" in error.value.details()
    third.kill()
    third.start()
    third.wait_for(lambda s: s["role"] in ("removed", "follower", "learner"), "a start")
    third.kill()
    code, said = operate("remove", "77", url=first.url)
    assert code == 1
    assert "77" in said
    # A fresh disk does not help it to its old id.
    again = cluster.node("--join", first.address, "--node-id", str(gone), name="again").start()
    assert again.ended() == 1
    assert "removed" in again.says()


def test_a_removed_leader_hands_over(cluster: Cluster) -> None:
    cluster.of(3)
    leader = cluster.leader()
    number = leader.status()["node_id"]
    other = next(node for node in cluster.nodes if node is not leader)
    code, said = operate("remove", str(number), url=other.url)
    assert code == 0, said
    leader.wait_for(lambda s: s["role"] == "removed", "the news")
    other.wait_for(lambda s: s["leader"] not in (None, number), "another leader")
    write(other.url, "CREATE TABLE t (x)")


def test_a_wiped_disk_is_refused_under_its_old_id(cluster: Cluster) -> None:
    first, _, third = cluster.of(3)
    number = third.status()["node_id"]
    third.kill()
    wiped = cluster.node(
        "--join", first.address, "--node-id", str(number), address=third.address, name="wiped"
    ).start()
    assert wiped.ended() == 1
    assert "another data directory" in wiped.says()
    assert "Traceback" not in wiped.says()
    # Without an id of its own it gets a new one, and the old one can be removed.
    wiped.flags = ["--join", first.address]
    wiped.start().serves()
    assert wiped.status()["node_id"] not in (1, 2, number)
    assert operate("remove", str(number), url=first.url)[0] == 0


def test_a_node_of_another_cluster_is_refused(cluster: Cluster) -> None:
    first = cluster.founder()
    stranger = cluster.node("--join", first.address)
    datadir = DataDir.create(
        stranger.folder, RealFiles(), Identity(cluster=12345, node=2, unique="elsewhere")
    )
    datadir.close()
    stranger.start()
    stranger.wait_for(lambda s: s["role"] == "learner", "a start")
    time.sleep(0)
    assert list(members(first)) == [1]
    with pytest.raises(client.Error):
        client.connect(stranger.url, timeout=1).execute("SELECT 1")


def test_a_node_comes_back_under_another_address(cluster: Cluster) -> None:
    first, second, third = cluster.of(3)
    write(first.url, "CREATE TABLE t (x)")
    third.kill()
    third.address = f"127.0.0.1:{free_port()}"
    third.start().serves()
    number = third.status()["node_id"]
    first.wait_for(
        lambda s: any(
            m["node_id"] == number and m["address"] == third.address for m in s["members"]
        ),
        "the new address",
    )
    second.kill()
    write(first.url, "INSERT INTO t VALUES (1)")
    assert rows(third.url, "SELECT x FROM t") == [(1,)]


def test_all_nodes_come_back_under_other_addresses(cluster: Cluster) -> None:
    """Each finds the others by the addresses it is told to join."""
    nodes = cluster.of(3)
    write(nodes[0].url, "CREATE TABLE t (x)")
    for node in nodes:
        node.kill()
    for node in nodes:
        node.address = f"127.0.0.1:{free_port()}"
    for node in nodes:
        node.flags = ["--join", ",".join(other.address for other in nodes)]
        node.start()
    for node in nodes:
        node.serves()
    write(cluster.leader().url, "INSERT INTO t VALUES (1)")


def test_leadership_is_handed_to_whom_the_operator_names(cluster: Cluster) -> None:
    nodes = cluster.of(3)
    leader = cluster.leader()
    target = next(node for node in nodes if node is not leader)
    number = target.status()["node_id"]
    code, said = operate("transfer", str(number), url=leader.url)
    assert (code, said.strip()) == (0, f"node {number} leads")
    assert target.leads()
    code, said = operate("transfer", "99", url=leader.url)
    assert code == 1
    assert "99" in said
    code, said = operate("transfer", "--json", url=leader.url)
    assert code == 0
    assert json.loads(said)["leader"] != number


def test_a_learner_stays_one_until_it_is_given_a_vote(cluster: Cluster) -> None:
    first = cluster.founder()
    learner = cluster.node("--join", first.address, "--learner").start().serves()
    learner.wait_for(lambda s: s["role"] == "learner", "its role")
    write(learner.url, "CREATE TABLE t (x)")
    assert rows(learner.url, "SELECT count(*) FROM t") == [(0,)]
    assert operate("add", "2", url=first.url)[0] == 0
    learner.wait_for(lambda s: s["role"] == "follower", "its vote")
    assert operate("add", "2", "--learner", url=first.url)[0] == 0
    learner.wait_for(lambda s: s["role"] == "learner", "its vote taken away")
    code, said = operate("add", "9", url=first.url)
    assert code == 1
    assert "--join" in said


def test_status_answers_within_its_time_without_a_quorum(cluster: Cluster) -> None:
    nodes = cluster.of(3)
    for node in nodes[1:]:
        node.kill()
    started = time.monotonic()
    done = raftsql("status", "--json", "--url", nodes[0].url)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 5
    found = json.loads(done.stdout)
    assert found["role"] in ("leader", "follower", "candidate")
    assert {"term", "node_id", "applied_index", "leader", "members"} <= found.keys()
    nodes[0].wait_for(lambda s: s["role"] != "leader", "its resignation")
    with pytest.raises(client.Error):
        client.connect(nodes[0].url, autocommit=True, timeout=1).execute("CREATE TABLE t (x)")
    code, said = operate("remove", "2", url=nodes[0].url)
    assert code == 1
    assert "no leader is known" in said


@pytest.mark.parametrize("paused", [False, True])
def test_a_leader_that_has_just_been_lost_is_removed_by_one_command_to_a_follower(
    cluster: Cluster, paused: bool
) -> None:
    """During the election that its loss begins, at a node that still believes in it."""
    nodes = cluster.of(3)
    lost = cluster.leader()
    number = lost.status()["node_id"]
    asked = next(node for node in nodes if node is not lost)
    if paused:
        lost.pause()
    else:
        lost.kill()
    code, said = operate("remove", str(number), url=asked.url)
    assert code == 0, said
    assert number not in members(asked)


def test_stale_reads_go_on_without_a_quorum_and_tell_their_age(cluster: Cluster) -> None:
    nodes = cluster.of(3)
    write(nodes[0].url, "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)")
    alone = nodes[2]
    until(lambda: rows(alone.url, "SELECT x FROM t") == [(1,)], "the row")
    for node in nodes[:2]:
        node.kill()
    assert rows(alone.url, "SELECT x FROM t", consistency="stale") == [(1,)]
    with pytest.raises(client.Error):
        rows(alone.url, "SELECT x FROM t", timeout=1)


class Load:
    """A program that writes and reads without pause, and must never see an error."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.count = 0
        self.errors: list[BaseException] = []
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._singles),
            threading.Thread(target=self._transactions),
        ]
        for thread in self._threads:
            thread.start()

    def _singles(self) -> None:
        self._work(self._single, autocommit=True)

    def _transactions(self) -> None:
        self._work(self._transaction, autocommit=False)

    def _work(self, once: Any, *, autocommit: bool) -> None:
        with client.connect(self.url, autocommit=autocommit, timeout=20) as connection:
            while not self._over.is_set():
                try:
                    once(connection)
                    self.count += 1
                except BaseException as error:
                    self.errors.append(error)
                    if not autocommit:
                        connection.rollback()

    def _single(self, connection: Any) -> None:
        connection.execute("INSERT INTO t VALUES (1)")
        connection.execute("SELECT count(*) FROM t").fetchall()

    def _transaction(self, connection: Any) -> None:
        connection.execute("INSERT INTO t VALUES (2)")
        connection.execute("UPDATE t SET x = x WHERE x = 3")
        connection.commit()

    def after(self, more: int) -> None:
        """Wait until so much more was done."""
        goal = self.count + more
        until(lambda: self.count >= goal or self.errors, "progress")

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.long
def test_a_graceful_stop_of_each_leader_fails_no_request(cluster: Cluster) -> None:
    nodes = cluster.of(3)
    write(nodes[0].url, "CREATE TABLE t (x)")
    load = Load(cluster.url)
    try:
        for _ in range(3):
            load.after(20)
            leader = cluster.leader()
            assert leader.stop() == 0
            load.after(20)
            leader.start().serves()
    finally:
        load.end()
    assert load.errors == []
    ones = rows(cluster.url, "SELECT count(*) FROM t")[0][0]
    assert ones == load.count


def test_writes_survive_kill_9_of_the_leader_exactly_once(cluster: Cluster) -> None:
    nodes = cluster.of(3)
    write(nodes[0].url, "CREATE TABLE n (v)", "INSERT INTO n VALUES (0)")
    done, errors, over = [0], [], threading.Event()

    def count_up() -> None:
        with client.connect(cluster.url, autocommit=True, timeout=20) as connection:
            while not over.is_set():
                try:
                    connection.execute("UPDATE n SET v = v + 1")
                    done[0] += 1
                except client.Error as error:
                    errors.append(error)

    threads = [threading.Thread(target=count_up) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            goal = done[0] + 30
            until(lambda: done[0] >= goal, "progress")  # noqa: B023
            leader = cluster.leader()
            leader.kill()
            goal = done[0] + 30
            until(lambda: done[0] >= goal, "progress")  # noqa: B023
            leader.start().serves()
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert rows(cluster.url, "SELECT v FROM n") == [(done[0],)]


def test_a_paused_leader_is_replaced_and_steps_back(cluster: Cluster) -> None:
    nodes = cluster.of(3)
    write(nodes[0].url, "CREATE TABLE t (x)")
    leader = cluster.leader()
    leader.pause()
    others = [node for node in nodes if node is not leader]
    others[0].wait_for(
        lambda s: s["leader"] and s["leader_address"] != leader.address, "another leader"
    )
    write(others[0].url, "INSERT INTO t VALUES (1)")
    leader.resume()
    leader.wait_for(lambda s: s["role"] == "follower", "its new role")
    assert rows(leader.url, "SELECT x FROM t") == [(1,)]


def test_a_node_that_was_away_too_long_gets_a_snapshot(cluster: Cluster) -> None:
    nodes = cluster.of(3, "--log-entries-max", "50", "--log-tail-entries", "10")
    away = next(node for node in nodes if node is not cluster.leader())
    away.kill()
    here = [node for node in nodes if node is not away]
    with client.connect(here[0].url, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (x INTEGER PRIMARY KEY, y)")
        for number in range(200):
            connection.execute("INSERT INTO t VALUES (?, randomblob(1000))", (number,))
    for node in here:
        node.wait_for(lambda s: s["first_index"] > 100, "a shorter log")
    expected = rows(here[0].url, "SELECT * FROM t")
    away.start().serves()
    away.wait_for(lambda s: s["first_index"] > 100, "the snapshot")
    assert rows(away.url, "SELECT * FROM t") == expected
    assert "installed a snapshot" in away.says()
    write(away.url, "INSERT INTO t VALUES (1000, 'after')")
    away.kill()
    away.start().serves()
    assert len(rows(away.url, "SELECT * FROM t")) == 201


@pytest.mark.long
def test_a_lost_quorum_is_recovered_by_hand(cluster: Cluster, tmp_path: Path) -> None:
    nodes = cluster.of(3)
    write(nodes[0].url, "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)")
    survivor = nodes[1]
    until(lambda: rows(survivor.url, "SELECT x FROM t") == [(1,)], "the row")
    number = survivor.status()["node_id"]
    wanted = ["--data-dir", str(survivor.folder), "--members", f"{number}={survivor.address}"]
    busy = raftsql("recover", *wanted, "--yes")
    assert busy.returncode == 1
    assert "used by another process" in busy.stderr
    for node in nodes:
        node.kill()
    asked = raftsql("recover", *wanted)
    assert asked.returncode == 0
    assert "nothing was changed" in asked.stdout
    assert "lost" in asked.stdout
    stranger = raftsql("recover", *wanted[:2], "--members", f"9={survivor.address}", "--yes")
    assert stranger.returncode == 1
    nowhere = raftsql("recover", "--data-dir", str(tmp_path / "none"), *wanted[2:])
    assert nowhere.returncode == 1
    assert "not a raftsql data directory" in nowhere.stderr
    done = raftsql("recover", *wanted, "--yes")
    assert done.returncode == 0, done.stderr
    survivor.start().serves()
    write(survivor.url, "INSERT INTO t VALUES (2)")
    assert rows(survivor.url, "SELECT x FROM t") == [(1,), (2,)]
    # The others come back after all: they are told that they do not belong any more.
    nodes[2].start()
    nodes[2].wait_for(lambda s: s["role"] == "removed", "the news")
    fresh = cluster.node("--join", survivor.address).start().serves()
    assert rows(fresh.url, "SELECT x FROM t") == [(1,), (2,)]
