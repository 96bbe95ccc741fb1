"""A disk that fills under a node: it stops with a clear word, the others go on, and it returns.

Once with a small file system in memory, where one may be mounted; and once with a limit on the size
of the node's files, which the kernel answers in the same places.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.operations.nodes import Nodes

DISK_BYTES = 192 << 20
"""Room for ROWS_MAX rows in the database, its WAL and the journal, once the disk is free again."""
ROW_BYTES = 20_000
ROWS_MAX = 2_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "nodes" / "node3"
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "raftsql-test", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can't be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def filled(nodes: Nodes, connection: Any, *words: str) -> int:
    """Write until node 3 gives up, with one of these words; how many rows were acknowledged."""
    number, victim = 0, nodes.processes[3]
    while " CRITICAL " not in nodes.log(3):
        connection.execute("INSERT INTO item VALUES (?, ?)", (number, b"x" * ROW_BYTES))
        number += 1
        assert number < ROWS_MAX, f"the disk never filled:\n{nodes.log(3)[-2000:]}"
    assert victim.wait(30) == 1
    said = nodes.log(3).strip().splitlines()[-1]
    assert said.startswith("raftsql serve: ")
    assert any(word in said for word in words), said
    return number


def goes_on(connection: Any, number: int) -> None:
    """The others serve, and what was acknowledged is there."""
    for more in range(20):
        connection.execute("INSERT INTO item VALUES (?, ?)", (number + more, b"y"))
    assert connection.execute("SELECT count(*) FROM item").fetchone() == (number + 20,)


def returns(nodes: Nodes) -> None:
    """The same command line brings it back, and it holds the same as the others."""
    nodes.start(3)
    nodes.wait_until(lambda: nodes.status(3).get("ready"), "the node to be ready again")
    nodes.wait_until_level(3)
    report = nodes.verify()
    assert report["equal"]
    assert report["complete"]


def test_a_node_whose_disk_fills_stops_in_words_and_returns_when_there_is_room(
    small_disk: Path,
) -> None:
    with Nodes(small_disk.parent, 3) as nodes, nodes.connect() as connection:
        connection.execute("CREATE TABLE item(number INTEGER PRIMARY KEY, content)")
        filler = small_disk / "data-of-somebody-else"
        room = os.statvfs(small_disk)
        filler.write_bytes(bytes(room.f_bavail * room.f_frsize - (1 << 20)))
        number = filled(nodes, connection, f"The disk of {small_disk} is full")
        assert "make room, and start this node again" in nodes.log(3)
        goes_on(connection, number)
        filler.unlink()
        returns(nodes)


@pytest.mark.parametrize("leads", [False, True], ids=["follower", "leader"])
def test_a_node_whose_files_may_not_grow_stops_in_words_and_returns(
    tmp_path: Path, leads: bool
) -> None:
    with Nodes(tmp_path / "nodes", 3) as nodes, nodes.connect() as connection:
        if leads != (nodes.leader() == 3):
            assert nodes.run("transfer", *(["3"] if leads else [])).code == 0
        connection.execute("CREATE TABLE item(number INTEGER PRIMARY KEY, content)")
        limit = (2 << 20, resource.RLIM_INFINITY)
        resource.prlimit(nodes.processes[3].pid, resource.RLIMIT_FSIZE, limit)
        # SQLite calls that an I/O error; the journal's error names it.
        number = filled(nodes, connection, "disk I/O error", "is full")
        goes_on(connection, number)
        returns(nodes)
