"""A statement that nobody waits for any more burns nothing, through whichever node it was asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import pytest

import raftsql
from raftsql_proto import client_pb2, frames
from raftsql_proto.client_pb2_grpc import ClientStub
from tests.operations.nodes import Nodes

SECONDS_MAX = 20.0
"""Less than the statement takes until its fuel is gone."""
ENDLESS = (
    "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    " SELECT max(i) FROM n"
)


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Nodes]:
    with Nodes(tmp_path / "nodes", 3) as nodes:
        yield nodes


class Client:
    """A client that speaks frames with one node."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)
        self._saying: SimpleQueue[Any] = SimpleQueue()
        self.say(frames.Hello(frames.PROTOCOL, "a test"))
        messages = iter(self._saying.get, None)
        self._call = ClientStub(self._channel).Connect(messages, timeout=3 * SECONDS_MAX)

    def say(self, *batch: Any) -> None:
        self._saying.put(client_pb2.Frames(batch=frames.encode(list(batch))))

    def answer(self, number: int) -> Any:
        """The answer to a request; whatever else comes is passed over."""
        for message in self._call:
            for frame in frames.decode_server_frames(message.batch):
                if getattr(frame, "id", 0) == number:
                    return frame
        raise AssertionError("the stream ended")

    def close(self) -> None:
        self._saying.put(None)
        self._call.cancel()
        self._channel.close()


def cpu_seconds(nodes: Nodes, number: int) -> float:
    """The processor time a node has used."""
    stat = Path(f"/proc/{nodes.processes[number].pid}/stat").read_text()
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def run(number: int, sql: str, begin: int = frames.Begin.NO) -> frames.Run:
    body = frames.encode(frames.Statement(sql))
    return frames.Run(number, frames.Work.EXECUTE, body, transaction=1, begin=begin)


@pytest.mark.parametrize("end", ["cancelled", "gone"])
def test_a_long_statement_passed_on_to_the_leader_stops_there(three: Nodes, end: str) -> None:
    leader = three.leader()
    with raftsql.connect(f"raftsql://{three.addresses[leader - 1]}", autocommit=True) as writer:
        writer.execute("CREATE TABLE t(a)")
        follower = Client(three.addresses[leader % 3])
        follower.say(run(1, "INSERT INTO t VALUES (1)", frames.Begin.IMMEDIATE))
        assert isinstance(follower.answer(1), frames.Result)
        burnt = cpu_seconds(three, leader)
        follower.say(run(2, ENDLESS))
        three.wait_until(lambda: cpu_seconds(three, leader) > burnt + 0.3, "the leader to work")
        if end == "cancelled":
            follower.say(frames.Cancel(2))
            # On a busy machine the lead may be lost before, which ends the statement just as well.
            ended = (frames.Why.CANCELLED, frames.Why.TRANSACTION_GONE)
            assert follower.answer(2).why in ended
        else:
            follower.close()
        writer.execute("INSERT INTO t VALUES (2)", timeout=SECONDS_MAX)
        assert writer.execute("SELECT a FROM t").fetchall() == [(2,)]
        follower.close()
