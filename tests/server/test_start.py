"""How a node starts, starts again, and what it says when it can't."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

import raftsql as client
from tests.server.processes import Cluster, free_port, raftsql

pytestmark = pytest.mark.e2e


def test_a_single_node_serves_and_survives_kill_9_with_the_same_command_line(
    cluster: Cluster,
) -> None:
    node = cluster.founder()
    with client.connect(node.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (1)")
    node.kill()
    node.start().serves()
    with client.connect(node.url, autocommit=True) as connection:
        assert connection.execute("SELECT x FROM t").fetchall() == [(1,)]
        connection.execute("INSERT INTO t VALUES (2)")
    assert node.stop() == 0
    node.start().serves()
    with client.connect(node.url) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_kill_9_while_it_starts_for_the_first_time_leaves_a_node_that_starts(
    cluster: Cluster,
) -> None:
    """Wherever it was killed between its first file and its first entry."""
    node = cluster.node()
    for _ in range(6):
        node.start()
        while not (node.folder / "identity").exists():
            assert node.process is not None
            assert node.process.poll() is None, node.says()
        node.kill()
    node.start().serves()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--listen", "nonsense"], "'nonsense' is not host:port"),
        (["--port", "1"], "unrecognized arguments: --port"),
        (["--election-ms", "-5"], "-5 is too little; write 1 or more"),
        (["--lease-ms", "100"], "lease_ms must be more than two heartbeats"),
        (["--mode", "loose"], "write pinned or strict"),
        (["--listen", "0.0.0.0:4999"], "--insecure"),
        (["--bootstrap-expect", "3"], "--join"),
        (["--config", "/nowhere/at/all.toml"], "can't be read"),
    ],
)
def test_a_bad_flag_is_named(flags: list[str], said: str) -> None:
    done = raftsql("serve", *flags)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = raftsql("serve", "--data-dir", str(tmp_path / "d"), "--listen", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert "taken" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "d").exists(), "nothing was begun"


def test_a_directory_in_use_is_named(cluster: Cluster) -> None:
    node = cluster.founder()
    done = raftsql("serve", "--data-dir", str(node.folder), "--listen", f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "used by another process" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_directory_of_another_node_is_named(cluster: Cluster) -> None:
    node = cluster.founder()
    node.kill()
    done = raftsql(
        "serve", "--data-dir", str(node.folder), "--listen", node.address, "--node-id", "7"
    )
    assert done.returncode == 1
    assert "belongs to node 1, not to node 7" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_directory_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = raftsql("serve", "--data-dir", str(tmp_path), "--listen", f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "not empty" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name != "lock"] == ["thesis.txt"]


def test_a_directory_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = raftsql(
        "serve", "--data-dir", str(tmp_path / "file" / "d"),
        "--listen", f"127.0.0.1:{free_port()}",
    )  # fmt: skip
    assert done.returncode == 1
    assert "file" in done.stderr
    assert "Traceback" not in done.stderr


def test_whom_a_joining_node_waits_for_is_said(cluster: Cluster) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    node = cluster.node("--join", nobody).start()
    status = node.wait_for(lambda s: nobody in s["waits_for"], "what it waits for")
    assert status["node_id"] is None
    assert status["members"] == []
    assert nobody in node.says()
    done = raftsql("status", "--json", "--url", node.url)
    assert done.returncode == 0
    assert nobody in json.loads(done.stdout)["waits_for"]
    with pytest.raises(client.Error, match="belongs to no cluster yet"):
        client.connect(node.url, timeout=5).execute("SELECT 1")
    assert node.stop() == 0


def test_an_operators_command_to_nobody_says_so() -> None:
    done = raftsql("status", "--url", f"127.0.0.1:{free_port()}")
    assert done.returncode == 3
    assert "is a node running there?" in done.stderr


def test_settings_come_from_file_environment_and_flags(cluster: Cluster, tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text("priority = 3\nnode_id = 9\n")
    node = cluster.founder("--config", str(config), "--node-id", "4")
    (member,) = node.status()["members"]
    assert (member["node_id"], member["priority"]) == (4, 3)
