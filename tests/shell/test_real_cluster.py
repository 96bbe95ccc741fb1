"""The shell on real nodes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shell.nodes import READY_S, Nodes
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


def test_control_c_cancels_a_query_that_would_never_end(node: Nodes) -> None:
    terminal = Terminal(node.url).see("raftsql>")
    try:
        endless = "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c)"
        terminal.type(f"{endless} SELECT count(*) FROM c;\r").see("FROM c;")
        reading = time.monotonic() + READY_S
        while node.status(node.addresses[0]).get("reads_waiting") and time.monotonic() < reading:
            pass
        terminal.insist("\x03", "cancelled")
        terminal.enter("SELECT 'still ' || 'alive' AS x;").see("still alive │")
    finally:
        terminal.close()


def test_the_prompt_goes_on_after_the_leader_is_killed(three_nodes: Nodes) -> None:
    leader = three_nodes.until_led()
    terminal = Terminal(three_nodes.url).see("raftsql>").see("term")
    try:
        terminal.enter("CREATE TABLE t(a);").see("done")
        three_nodes.kill(leader)
        terminal.enter("INSERT INTO t VALUES(1), (2);").see("2 rows changed")
        terminal.see("leads, term")
        terminal.enter("SELECT sum(a) AS total FROM t;").see("│     3 │")
        terminal.enter(".status").see("no answer from")
    finally:
        terminal.close()


def test_all_nodes_hold_the_same(three_nodes: Nodes) -> None:
    done = run(three_nodes.url, "-c", "CREATE TABLE t(a)", "-c", ".verify", "-c", ".members")
    assert done.returncode == 0
    assert "all nodes are equal" in done.stderr
    assert done.stdout.count("leader") == 1


def test_a_node_takes_a_snapshot_and_shows_its_counters(three_nodes: Nodes) -> None:
    run(three_nodes.url, "-c", "CREATE TABLE t(a)", "-c", "INSERT INTO t VALUES(1)")
    for number in ("1", "2", "3"):
        done = run(three_nodes.url, "--format", "json", "-c", f".snapshot {number}")
        taken = json.loads(done.stdout)[0]
        assert taken["node"] in three_nodes.addresses
        assert taken["holds all up to"] > 0
    done = run(three_nodes.url, "--format", "json", "-c", ".metrics")
    counters = {each["counter"]: each["value"] for each in json.loads(done.stdout)}
    assert counters["members"] == counters["voters"] == 3
    assert counters["commit_index"] >= counters["applied_index"] > 0
    assert counters["log_entries"] > 0
