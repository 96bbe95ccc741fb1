"""What a node says of itself, with and without a place in a cluster."""

from __future__ import annotations

import json
from pathlib import Path

from raftsql.rpc import status
from tests.cluster.running import running

PROMISED = {"role", "term", "node_id", "applied_index", "leader", "members"}


async def test_a_running_node_tells_what_scripts_rely_on(tmp_path: Path) -> None:
    async with running(tmp_path / "d") as node:
        await node.write("CREATE TABLE t (x)")
        found = json.loads(status.as_json(status.picture(node.runner, "n1:1")))
        assert found.keys() >= PROMISED
        assert (found["role"], found["node_id"], found["leader"]) == ("leader", 1, 1)
        assert found["applied_index"] == node.runner.node.log.last.index
        (member,) = found["members"]
        assert (member["address"], member["voter"], member["leader"]) == ("n1:1", True, True)
        assert found["failure"] is None


def test_a_node_without_a_place_says_what_it_waits_for() -> None:
    found = json.loads(status.as_json(status.unformed("n1:1", "waits for an answer")))
    assert found.keys() >= PROMISED
    assert found["members"] == []
    assert found["waits_for"] == "waits for an answer"
