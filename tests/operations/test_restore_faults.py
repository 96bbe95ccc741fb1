"""Restores that meet dead, late and restarted nodes; with real processes."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.operations.nodes import Nodes

pytestmark = pytest.mark.timeout(110)


def made(path: Path, rows: int, mark: str) -> Path:
    """A file of about `rows` kilobytes that says which one it is."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE big(id INTEGER PRIMARY KEY, filling BLOB)")
        connection.execute("CREATE TABLE mark(text)")
        connection.execute("INSERT INTO mark VALUES (?)", (mark,))
        chance = random.Random(mark)
        connection.executemany(
            "INSERT INTO big(filling) VALUES (?)", ((chance.randbytes(1000),) for _ in range(rows))
        )
        connection.commit()
    return path


def restoring(nodes: Nodes, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "raftsql.server", "restore", str(path), "--yes", "--json"]
    return subprocess.Popen(
        [*command, "--url", nodes.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, json.loads(out) if out else {}, err


def mark(nodes: Nodes) -> Any:
    return nodes.connect().execute("SELECT text FROM mark").fetchone()[0]


def equal(nodes: Nodes) -> bool:
    report = nodes.verify()
    return bool(report["equal"] and report["complete"])


@pytest.mark.long
def test_a_follower_killed_while_it_takes_the_file_in_follows_when_it_is_back(
    tmp_path: Path,
) -> None:
    path = made(tmp_path / "f.db", 4000, "new")
    # So slow that the file takes two seconds to each follower.
    with Nodes(tmp_path / "nodes", 3, "--ship-bytes-per-second", "4000000") as nodes:
        nodes.connect().execute("CREATE TABLE old(a)")
        odd = nodes.follower()
        process = restoring(nodes, path)
        nodes.wait_until(
            lambda: bool(list(nodes.data(odd).glob("restores/*.part"))), "the file to be on its way"
        )
        nodes.kill(odd)
        code, told, err = ended(process)
        assert code == 0, err
        assert told["absent"] == [odd]
        assert mark(nodes) == "new"
        nodes.start(odd)
        nodes.wait_until_level(odd)
        assert equal(nodes)


def test_a_follower_that_was_down_all_the_while_follows(tmp_path: Path) -> None:
    path = made(tmp_path / "f.db", 500, "new")
    with Nodes(tmp_path / "nodes", 3) as nodes:
        connection = nodes.connect()
        connection.execute("CREATE TABLE old(a)")
        odd = nodes.follower()
        nodes.kill(odd)
        code, told, err = ended(restoring(nodes, path))
        assert code == 0, err
        assert told["absent"] == [odd]
        connection.execute("INSERT INTO mark VALUES ('and a write after it')")
        nodes.start(odd)
        nodes.wait_until_level(odd)
        assert equal(nodes)


def test_a_follower_that_finds_the_file_nowhere_takes_a_snapshot_instead(tmp_path: Path) -> None:
    path = made(tmp_path / "f.db", 500, "new")
    with Nodes(tmp_path / "nodes", 3) as nodes:
        connection = nodes.connect()
        connection.execute("CREATE TABLE old(a)")
        odd = nodes.follower()
        nodes.kill(odd)
        assert ended(restoring(nodes, path))[0] == 0
        connection.execute("INSERT INTO mark VALUES ('and a write after it')")
        for number in {1, 2, 3} - {odd}:
            (held,) = nodes.data(number).glob("restores/*.db")
            held.unlink()
        nodes.start(odd)
        nodes.wait_until_level(odd)
        assert "takes the place of a restore" in nodes.log(odd)
        assert equal(nodes)


def test_a_node_that_joins_later_gets_through_the_restore_in_the_log(tmp_path: Path) -> None:
    path = made(tmp_path / "f.db", 500, "new")
    with Nodes(tmp_path / "nodes", 1) as nodes:
        nodes.connect().execute("CREATE TABLE old(a)")
        assert ended(restoring(nodes, path))[0] == 0
        nodes.kill(1)
        nodes.start(1)
        late = nodes.grow()
        nodes.wait_until(lambda: nodes.status(late).get("applied_index", 0) > 0, "it to join")
        nodes.wait_until_level(late)
        assert "restored a file" in nodes.log(late)
        report = nodes.verify()
        assert len(report["nodes"]) == 2
        assert report["equal"]
        assert report["complete"]


def test_without_a_majority_to_hold_the_file_nothing_is_restored(tmp_path: Path) -> None:
    path = made(tmp_path / "f.db", 10, "new")
    with Nodes(tmp_path / "nodes", 3) as nodes:
        connection = nodes.connect()
        connection.execute("CREATE TABLE mark(text)")
        connection.execute("INSERT INTO mark VALUES ('old')")
        leader = nodes.leader()
        others = {1, 2, 3} - {leader}
        for number in others:
            nodes.kill(number)
        code, _, err = ended(restoring(nodes, path))
        assert code != 0
        assert "restored" in err or "leader" in err
        for number in others:
            nodes.start(number)
            nodes.wait_until_level(number)
        assert mark(nodes) == "old"
        assert equal(nodes)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nodes_killed_at_any_moment_of_restores_converge_on_one_of_the_files(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    files = {name: made(tmp_path / f"{name}.db", 1500, name) for name in ("one", "two")}
    with Nodes(tmp_path / "nodes", 3) as nodes:
        code, _, err = ended(restoring(nodes, files["one"]))
        assert code == 0, err
        process = restoring(nodes, files["two"])
        nodes.wait_until(
            lambda: (
                any(list(nodes.data(n).glob("restores/incoming.part")) for n in (1, 2, 3))
                or process.poll() is not None
            ),
            "the restore to begin",
        )
        victims = chance.sample([1, 2, 3], chance.choice([1, 2, 3]))
        for victim in victims:
            time.sleep(chance.random() * 0.15)
            nodes.kill(victim)
        for victim in victims:
            nodes.start(victim)
        code, _, _ = ended(process)
        nodes.leader()
        for number in (1, 2, 3):
            nodes.wait_until_level(number)
        assert mark(nodes) in (("two",) if code == 0 else ("one", "two"))
        assert equal(nodes)


def test_a_backup_whose_client_goes_leaves_nothing_behind(tmp_path: Path) -> None:
    path = made(tmp_path / "f.db", 20000, "new")
    with Nodes(tmp_path / "nodes", 1) as nodes:
        assert ended(restoring(nodes, path))[0] == 0
        command = [
            sys.executable,
            "-m",
            "raftsql.server",
            "backup",
            str(tmp_path / "b.db"),
            "--url",
            nodes.url,
        ]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        nodes.wait_until(
            lambda: bool(list(nodes.data(1).glob("backup-*.copy"))) or process.poll() is not None,
            "the copy to begin",
        )
        process.terminate()
        process.communicate(timeout=15)
        nodes.wait_until(lambda: not list(nodes.data(1).glob("backup-*")), "the copy to be removed")
        left = sorted(p.name for p in tmp_path.iterdir())
        assert left == ["f.db", "nodes"], "something of the backup was left"
        # And the moment it held was let go: the WAL can be emptied.
        assert nodes.run("backup", tmp_path / "c.db").code == 0
