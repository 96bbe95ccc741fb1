"""Three nodes are restarted one after another under load, as an upgrade does: nobody notices."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.operations.load import Load
from tests.operations.nodes import Nodes


@pytest.mark.long
@pytest.mark.parametrize("leader_is", ["last", "first"])
def test_a_rolling_restart_fails_no_request(tmp_path: Path, leader_is: str) -> None:
    with Nodes(tmp_path / "nodes", 3) as nodes:
        with Load(nodes.url) as load:
            load.goes_on(nodes.wait_until)
            # The leader last, as docs/operating.md says, is handed over once; but first works too.
            leader = nodes.leader()
            others = [n for n in (1, 2, 3) if n != leader]
            for number in [*others, leader] if leader_is == "last" else [leader, *others]:
                nodes.stop(number)
                assert nodes.processes[number].returncode == 0
                load.goes_on(nodes.wait_until)
                nodes.start(number)
                nodes.wait_until(lambda n=number: nodes.status(n).get("ready"), "it to be ready")  # type: ignore[misc]
                load.goes_on(nodes.wait_until)
        with nodes.connect() as connection:
            load.is_all_there(connection)
        for number in (1, 2, 3):
            nodes.wait_until_level(number)
        assert nodes.verify()["equal"]
