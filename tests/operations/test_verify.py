"""`raftsql verify` names what differs, where; with real processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raftsql.server.ending import TO_BE_REPLACED
from tests.operations.nodes import Nodes, changed, damage_table

pytestmark = pytest.mark.timeout(100)


def load(connection: Any) -> None:
    connection.execute("CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER)")
    connection.execute("CREATE TABLE other(id INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO account VALUES (?, ?)", [(n, 100) for n in range(500)])


def test_a_row_changed_behind_the_clusters_back_is_named_with_its_table_and_node(
    tmp_path: Path,
) -> None:
    with Nodes(tmp_path / "nodes", 3) as nodes:
        load(nodes.connect())
        odd = nodes.follower()
        nodes.wait_until_level(odd)
        nodes.stop(odd)
        changed(nodes.data(odd), "UPDATE account SET balance = 101 WHERE id = 77")
        nodes.start(odd)
        nodes.wait_until_level(odd)
        done = nodes.run("verify")
        assert done.code == 1, done.err
        assert f"table account differs on node {odd}" in done.out
        assert "other" not in done.out
        assert "DIFFER" in done.out
        report = nodes.verify()
        assert not report["equal"]
        assert report["majority"]
        assert report["differences"] == [{"table": "account", "nodes": [odd]}]
        told = nodes.status(nodes.leader())["verified"]
        assert not told["equal"]
        assert told["differences"] == report["differences"]


def test_a_node_that_differs_is_replaced_by_the_documented_commands(tmp_path: Path) -> None:
    with Nodes(tmp_path / "nodes", 3) as nodes:
        load(nodes.connect())
        odd = nodes.follower()
        nodes.wait_until_level(odd)
        nodes.stop(odd)
        changed(nodes.data(odd), "DELETE FROM account WHERE id < 10")
        nodes.start(odd)
        nodes.wait_until_level(odd)
        (difference,) = nodes.verify()["differences"]
        assert nodes.run("remove", str(difference["nodes"][0])).code == 0
        nodes.stop(odd)
        anew = nodes.grow()
        nodes.wait_until(
            lambda: len([m for m in nodes.status(anew).get("members", []) if m["voter"]]) == 3,
            "the new node to get its vote",
        )
        nodes.wait_until_level(anew)
        report = nodes.verify()
        assert report["equal"]
        assert report["complete"]


def test_a_node_that_does_not_answer_is_named_and_the_others_compared(tmp_path: Path) -> None:
    with Nodes(tmp_path / "nodes", 3) as nodes:
        load(nodes.connect())
        gone = nodes.follower()
        nodes.kill(gone)
        done = nodes.run("verify")
        assert done.code == 3
        assert "could not be asked" in done.out
        report = nodes.verify()
        assert report["equal"]
        assert not report["complete"]
        problems = {node["node_id"]: node["problem"] for node in report["nodes"]}
        assert [node for node, problem in problems.items() if problem] == [gone]


def test_a_damaged_page_is_told_and_the_node_stops(tmp_path: Path) -> None:
    with Nodes(tmp_path / "nodes", 3) as nodes:
        load(nodes.connect())
        odd = nodes.follower()
        nodes.wait_until_level(odd)
        nodes.stop(odd)
        damage_table(nodes.data(odd), "account")
        nodes.start(odd)
        nodes.wait_until_level(odd)
        report = nodes.verify()
        told = {node["node_id"]: node["problem"] for node in report["nodes"]}
        assert "database.db, offset " in told[odd]
        assert report["damaged"] == [odd]
        assert not report["equal"]
        assert not report["complete"]
        assert report["differences"] == []
        assert nodes.processes[odd].wait(30) == TO_BE_REPLACED


def test_a_leader_that_finds_its_own_page_damaged_says_so_before_it_stops(tmp_path: Path) -> None:
    with Nodes(tmp_path / "nodes", 1) as nodes:
        load(nodes.connect())
        nodes.stop(1)
        damage_table(nodes.data(1), "account")
        nodes.start(1)
        nodes.leader()
        done = nodes.run("verify")
        assert done.code == 1
        assert "node 1 is DAMAGED" in done.out
        assert nodes.processes[1].wait(30) == TO_BE_REPLACED


def test_a_cluster_of_one_is_equal_to_itself_and_to_its_backup(tmp_path: Path) -> None:
    with Nodes(tmp_path / "nodes", 1) as nodes:
        load(nodes.connect())
        backup = tmp_path / "b.db.gz"
        assert nodes.run("backup", backup, "--gzip").code == 0
        done = nodes.run("verify", "--json", "--file", backup)
        assert done.code == 0, done.err
        assert json.loads(done.out)["tables"]["account"]["rows"] == 500
