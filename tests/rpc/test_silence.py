"""Who is silent, and from when on that counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from raftsql.raft.leader import Leader
from raftsql.raft.progress import Progress
from raftsql.rpc.silence import LOOKS, Watched, is_silent
from tests.cluster.running import running


@pytest.mark.parametrize(("silent_ms", "expected"), [(1_400, False), (1_600, True)])
async def test_a_peer_is_silent_after_two_election_timeouts(
    tmp_path: Path, silent_ms: int, expected: bool
) -> None:
    async with running(tmp_path / "d") as alone:
        node = alone.runner.node
        assert isinstance(node.role, Leader)
        assert not is_silent(node, 2), "it is no member"
        node.role.progress[2] = Progress(next_index=1, heard_at=node.now - silent_ms)
        assert is_silent(node, 2) is expected
        node.become_follower(node.term + 1)
        assert not is_silent(node, 2), "only a leader hears its peers all the time"


def test_a_node_that_has_slept_looks_again() -> None:
    watched = Watched()
    looks = [True] * (LOOKS - 1) + [False] + [True] * LOOKS
    assert [watched.is_lost(silent=silent) for silent in looks] == [False] * (2 * LOOKS - 1) + [
        True
    ]
