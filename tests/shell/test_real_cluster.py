"""The shell on real nodes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from raftsql_driver.address import parse
from raftsql_shell import cluster
from tests.shell.nodes import Nodes
from tests.shell.terminal import Terminal
from tests.shell.test_scripting import run

pytestmark = pytest.mark.e2e


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Nodes]:
    nodes = Nodes(1, tmp_path)
    try:
        nodes.until_led()
        yield nodes
    finally:
        nodes.stop()


@pytest.fixture
def three_nodes(tmp_path: Path) -> Iterator[Nodes]:
    nodes = Nodes(3, tmp_path)
    try:
        nodes.until_led()
        yield nodes
    finally:
        nodes.stop()


def test_a_dump_and_a_backup_make_the_same_database_again(node: Nodes, tmp_path: Path) -> None:
    script = (
        "CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT, c BLOB);\n"
        "INSERT INTO t(b, c) VALUES ('it''s', x'00ff'), (NULL, NULL), ('a' || char(0), 1.5);\n"
        "CREATE INDEX i ON t(b);\n"
        "CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET c = 1 WHERE a = new.a; END;\n"
    )
    assert run(node.url, given=script).returncode == 0
    before = run(node.url, "-c", ".dump").stdout
    assert run(node.url, "-c", f".backup {tmp_path}/copy.db").returncode == 0
    (tmp_path / "dump.sql").write_text(before)
    dropped = run(node.url, "-c", "DROP TABLE t", "-f", str(tmp_path / "dump.sql"))
    assert (dropped.returncode, dropped.stderr) == (0, "")
    assert run(node.url, "-c", ".dump").stdout == before
    run(node.url, "-c", "DROP TABLE t")
    restored = run(node.url, "-c", f".restore {tmp_path}/copy.db --yes")
    assert restored.returncode == 0
    assert run(node.url, "-c", ".dump").stdout == before


def test_a_node_outlives_clients_that_leave_in_the_middle_of_a_copy(node: Nodes) -> None:
    (address,) = node.addresses
    run(node.url, "-c", "CREATE TABLE t(a)")
    for _ in range(20):
        nodes = cluster.Nodes(parse(node.url))
        assert next(nodes.backup(address)) is not None
        nodes.close()
    assert run(node.url, "-c", ".tables").stdout == "table\nt\n"
    assert node.processes[address].poll() is None


def test_a_file_is_loaded_and_written_again(node: Nodes, tmp_path: Path) -> None:
    content = "id,name\n" + "".join(f"{k},name {k}\n" for k in range(20_000))
    (tmp_path / "t.csv").write_text(content)
    done = run(
        *(node.url, "-c", f".import {tmp_path}/t.csv t"),
        *("-c", f".import {tmp_path}/t.csv u --atomic", "-c", "SELECT * FROM t ORDER BY id"),
    )
    assert (done.returncode, done.stdout) == (0, content)
    counted = run(node.url, "--no-headers", "-c", "SELECT count(*) FROM u")
    assert counted.stdout == "20000\n"


def test_the_verdict_on_a_statement_is_the_clusters(node: Nodes) -> None:
    done = run(node.url, "-c", ".check INSERT INTO t VALUES(random())")
    assert done.stdout.startswith("pinned")
    done = run(node.url, "-c", ".check ATTACH 'x' AS y")
    assert done.stdout.startswith("refused")
    assert "^^^^^^" in done.stdout


ENDLESS = "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c;"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="nobody tells processor times")
def test_control_c_ends_an_endless_query_on_the_server_too(node: Nodes) -> None:
    (address,) = node.addresses
    terminal = Terminal(node.url).prompted()
    try:
        terminal.type(ENDLESS).see("FROM c;").type("\r")
        node.until_busy(address)
        terminal.insist("\x03", "cancelled")
        node.until_idle(address)
        terminal.enter("SELECT 'still ' || 'alive' AS x;").see("still alive │")
    finally:
        terminal.close()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="nobody tells processor times")
def test_control_c_inside_of_a_transaction_rolls_it_back(node: Nodes) -> None:
    (address,) = node.addresses
    terminal = Terminal(node.url).prompted()
    try:
        terminal.enter("CREATE TABLE t(a);").see("done")
        terminal.enter("BEGIN; INSERT INTO t VALUES(1);").see("raftsql*>")
        terminal.prompted().type(ENDLESS).see("FROM c;").type("\r")
        node.until_busy(address)
        terminal.insist("\x03", "the transaction was rolled back")
        terminal.enter("SELECT count(*) AS left_over FROM t;").see("│         0 │")
        terminal.enter("INSERT INTO t VALUES(2);").see("1 row changed")
    finally:
        terminal.close()


def test_the_prompt_goes_on_after_its_node_the_leader_is_killed(three_nodes: Nodes) -> None:
    leader = three_nodes.until_led()
    others = [address for address in three_nodes.addresses if address != leader]
    terminal = Terminal(f"raftsql://{','.join([leader, *others])}/").prompted()
    try:
        terminal.see(f"{leader} │ leads")
        terminal.enter("CREATE TABLE t(a);").see("done").prompted()
        three_nodes.kill(leader)
        terminal.see(f"{leader} does not answer; now at node").see("leads, term")
        terminal.enter("INSERT INTO t VALUES(1), (2);").see("2 rows changed")
        terminal.enter("SELECT sum(a) AS total FROM t;").see("│     3 │")
        terminal.enter(".status").see("no answer from")
    finally:
        terminal.close()


def test_a_statement_that_is_typed_at_once_finds_the_new_leader(three_nodes: Nodes) -> None:
    leader = three_nodes.until_led()
    terminal = Terminal(three_nodes.url).prompted()
    try:
        terminal.enter("CREATE TABLE t(a);").see("done").prompted()
        terminal.type("INSERT INTO t VALUES(1), (2);")
        three_nodes.kill(leader)
        terminal.type("\r").see("2 rows changed")
        terminal.enter("SELECT count(*) AS counted FROM t;").see("│       2 │")
    finally:
        terminal.close()


def test_all_nodes_hold_the_same(three_nodes: Nodes) -> None:
    done = run(three_nodes.url, "-c", "CREATE TABLE t(a)", "-c", ".verify", "-c", ".members")
    assert done.returncode == 0
    assert "all nodes are equal" in done.stderr
    assert done.stdout.count("leader") == 1


def test_a_node_takes_a_snapshot_and_shows_its_metrics(three_nodes: Nodes) -> None:
    run(three_nodes.url, "-c", "CREATE TABLE t(a)", "-c", "INSERT INTO t VALUES(1)")
    for number in ("1", "2", "3"):
        done = run(three_nodes.url, "--format", "json", "-c", f".snapshot {number}")
        taken = json.loads(done.stdout)[0]
        assert taken["node"] in three_nodes.addresses
        assert taken["holds all up to"] > 0
    done = run(three_nodes.url, "--format", "json", "-c", ".metrics")
    counted = {each["metric"]: each["value"] for each in json.loads(done.stdout)}
    assert counted["raft_members kind=voter"] == 3
    assert counted["raft_commit_index"] >= counted["raft_applied_index"] > 0
    assert counted["journal_sync_seconds"] > 0
