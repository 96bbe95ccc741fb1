"""A transaction that came through a node which is cut off keeps the others waiting for a moment
only, and not until the leader finds it idle."""

from __future__ import annotations

import time

import pytest

import raftsql
from raftsql.cluster.writer import IDLE_MS_MAX
from tests.faults.network import halves
from tests.faults.networks import network
from tests.faults.nodes import FaultyNodes


@pytest.mark.e2e
@pytest.mark.long
@pytest.mark.timeout(120)
def test_the_writer_is_free_soon_after_its_client_was_cut_off() -> None:
    with network() as net:
        nodes = FaultyNodes(net, 3)
        with nodes:
            leader = nodes.leader()
            follower = leader % 3 + 1
            others = [number for number in (1, 2, 3) if number != follower]
            far = raftsql.connect(f"raftsql://{nodes.addresses[follower - 1]}/", autocommit=True)
            near = raftsql.connect(f"raftsql://{nodes.addresses[leader - 1]}/", autocommit=True)
            near.execute("CREATE TABLE t(a)")
            far._cluster.state.routes.leader = ""  # So it goes through the follower.
            far.execute("BEGIN IMMEDIATE")
            far.execute("INSERT INTO t VALUES (1)")
            assert near.execute("SELECT count(*) FROM t").fetchone() == (0,)
            nodes.cut(halves([follower, *others], 1))
            began = time.monotonic()
            near.execute("INSERT INTO t VALUES (2)", timeout=60)
            assert time.monotonic() - began < IDLE_MS_MAX / 1000 - 5
            nodes.cut(set())
            with pytest.raises(raftsql.Error):
                far.execute("INSERT INTO t VALUES (3)")
            assert near.execute("SELECT a FROM t").fetchall() == [(2,)]
            far.close()
            near.close()
