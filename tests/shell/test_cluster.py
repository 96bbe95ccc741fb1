"""What nodes say of themselves, asked by the shell's own client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from raftsql_driver.address import parse
from raftsql_shell.cluster import Nodes
from raftsql_shell.commands.members import rows_of, sums_of
from raftsql_shell.errors import CommandError
from tests.shell.fake import ShellServer


@pytest.fixture
def nodes(three: ShellServer) -> Iterator[Nodes]:
    nodes = Nodes(parse(three.url))
    yield nodes
    nodes.close()


def test_all_members_are_found_from_one_of_them(three: ShellServer) -> None:
    nodes = Nodes(parse(three.nodes[1].address))
    assert {each.picture["node_id"] for each in nodes.pictures()} == {1, 2, 3}
    nodes.close()


def test_a_node_with_two_names_is_seen_once(server: ShellServer) -> None:
    nodes = Nodes(parse(f"localhost:{server.nodes[0].port}"))
    assert [each.picture["node_id"] for each in nodes.pictures()] == [1]
    nodes.close()


def test_a_silent_node_is_shown_as_one(three: ShellServer, nodes: Nodes) -> None:
    nodes.pictures()
    three.kill(3)
    rows = rows_of(nodes.pictures())
    assert [row[0] for row in rows] == [1, 2, 3]
    assert [row[5] for row in rows] == [2, 1, None]
    assert rows[2][2] == f"(no answer from {three.nodes[2].address})"
    three.revive(3)


def test_why_a_node_could_not_be_verified_is_told_in_few_words() -> None:
    problem = (
        "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: "
        "Failed to connect to remote host: Connection refused"
    )
    nodes = [
        {"node_id": 1, "address": "a:1", "sum": None, "problem": problem},
        {"node_id": 2, "address": "b:2", "sum": "c0ffee", "problem": ""},
    ]
    assert sums_of({"nodes": nodes}) == [
        (1, "a:1", None, "Connection refused"),
        (2, "b:2", "c0ffee", None),
    ]


def test_the_leader_is_the_one_of_the_highest_term(three: ShellServer, nodes: Nodes) -> None:
    three.leader = 2
    assert nodes.leader()["node_id"] == 2


def test_another_node_is_asked_when_the_first_is_silent(three: ShellServer, nodes: Nodes) -> None:
    three.kill(1)
    assert nodes.transfer(3) == 3
    three.revive(1)


def test_a_refusal_is_not_asked_again_elsewhere(nodes: Nodes) -> None:
    with pytest.raises(CommandError, match="it is not a member"):
        nodes.add(9, learner=False)
