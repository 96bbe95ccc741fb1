"""The first user: made through any node where that is safe, else where the answer says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import raftsql as driver
from tests.server.processes import Cluster, Node, until

pytestmark = [pytest.mark.e2e, pytest.mark.long]

WORD = "root's own word"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.end()


def add_root(place: str) -> tuple[int, str]:
    """The command that makes the first user, at a node; its exit code and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "raftsql.server", "user", "add", "root", "--role", "admin",
         "--url", place],
        input=f"{WORD}\n", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def may_come_in(node: Node, *, as_root: bool) -> bool:
    login = f"root:{WORD.replace(' ', '%20')}@" if as_root else ""
    try:
        with driver.connect(f"raftsql://{login}{node.address}/", connect_timeout=10) as connection:
            # Connections of one program share a stream, and it may be from before.
            connection.execute("SELECT 1", consistency="stale").fetchall()
    except (driver.AuthenticationFailed, driver.ProgrammingError):
        return False
    return True


def is_closed_to_strangers(nodes: list[Node]) -> None:
    for node in nodes:
        # As soon as it has applied that there are users.
        until(lambda it=node: not may_come_in(it, as_root=False), "it to be closed")  # type: ignore[misc]
        assert may_come_in(node, as_root=True)


def test_the_first_user_can_be_made_through_a_follower(cluster: Cluster) -> None:
    nodes = cluster.of(3)
    follower = next(node for node in nodes if node is not cluster.leader())
    assert may_come_in(follower, as_root=False)
    assert add_root(follower.address) == (0, "")
    is_closed_to_strangers(nodes)


def test_where_nobody_comes_in_before_a_follower_names_the_leaders_machine(
    cluster: Cluster,
) -> None:
    """The follower's word for it, that somebody is there on its own machine, is nobody's proof."""
    # A status takes a user there, so the nodes are watched by what they log.
    first = cluster.node("--auth", "on", "--node-id", "1").start()
    until(lambda: "is leader" in first.says(), "a leader")
    second = cluster.node("--auth", "on", "--join", first.address).start()
    until(lambda: "n2 is now a voter" in second.says(), "a second voter")
    code, said = add_root(second.address)
    assert code == 1
    assert f"the first user is made on the leader's own machine, {first.address}" in said
    assert not may_come_in(first, as_root=False)
    assert add_root(first.address) == (0, "")
    is_closed_to_strangers([first, second])


def test_users_without_certificates_beyond_loopback_are_warned_of(cluster: Cluster) -> None:
    plain, local = cluster.node("--insecure"), cluster.node()
    port = plain.address.rpartition(":")[2]
    plain.flags += ["--listen", f"0.0.0.0:{port}", "--advertise", plain.address]
    for node in (plain, local):
        node.start().serves()
        assert add_root(node.address) == (0, "")
        is_closed_to_strangers([node])
    warning = "this cluster has users, and its nodes have no certificates"
    until(lambda: warning in plain.says(), "the warning")
    assert f"whoever reaches 0.0.0.0:{port}" in plain.says()
    assert plain.says().count(warning) == 1
    assert warning not in local.says()
