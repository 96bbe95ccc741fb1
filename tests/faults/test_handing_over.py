"""A lead that is handed to a node which can't take it costs an election timeout, and no more."""

from __future__ import annotations

import signal
import time

import pytest

import raftsql
from benchmarks.nodes import Nodes
from raftsql.rpc.admin_service import TRANSFER_SECONDS_MAX
from raftsql.server.operate import NotDone, call
from raftsql_proto import admin_pb2


@pytest.mark.e2e
@pytest.mark.long
@pytest.mark.timeout(120)
def test_a_target_that_sleeps_does_not_keep_writes_waiting() -> None:
    with Nodes(3) as nodes, raftsql.connect(nodes.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE t(a)")
        leader = nodes.leader()
        target = leader % 3 + 1
        nodes.processes[target].send_signal(signal.SIGSTOP)
        request, address = admin_pb2.TransferRequest(node=target), nodes.addresses[leader - 1]
        began = time.monotonic()
        try:
            with pytest.raises(NotDone, match="did not take over"):
                call(address, lambda stub: stub.Transfer, request, 2 * TRANSFER_SECONDS_MAX)
            assert time.monotonic() - began < TRANSFER_SECONDS_MAX - 1
            connection.execute("INSERT INTO t VALUES (1)")
        finally:
            nodes.processes[target].send_signal(signal.SIGCONT)
