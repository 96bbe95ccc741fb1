"""The driver's fake cluster with the admin service beside it, so that no test needs real nodes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any

import grpc

from raftsql_proto import admin_pb2, frames
from raftsql_proto.admin_pb2_grpc import AdminServicer, add_AdminServicer_to_server
from raftsql_proto.client_pb2_grpc import add_ClientServicer_to_server
from tests.driver import fake

VERDICTS = {
    "random()": frames.Verdict(0, "write", "pinned", "random", 0, 6),
    "ATTACH": frames.Verdict(0, "refused", "refused", "ATTACH is refused: one file only", 0, 6),
}


METRICS = """\
# HELP raftsql_build_info what runs here
# TYPE raftsql_build_info gauge
raftsql_build_info{version="1"} 1.0
# HELP raftsql_raft_term the term that the node is in
# TYPE raftsql_raft_term gauge
raftsql_raft_term 3.0
# HELP raftsql_statement_seconds from a request to its answer
# TYPE raftsql_statement_seconds histogram
raftsql_statement_seconds_bucket{kind="read",le="0.001"} 90.0
raftsql_statement_seconds_bucket{kind="read",le="0.002"} 100.0
raftsql_statement_seconds_bucket{kind="read",le="+Inf"} 100.0
raftsql_statement_seconds_count{kind="read"} 100.0
raftsql_statement_seconds_sum{kind="read"} 0.06
raftsql_statement_seconds_bucket{kind="write",le="0.001"} 0.0
raftsql_statement_seconds_bucket{kind="write",le="+Inf"} 0.0
raftsql_statement_seconds_count{kind="write"} 0.0
raftsql_statement_seconds_sum{kind="write"} 0.0
# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 1.25
# HELP python_gc_collections_total Number of times this generation was collected
# TYPE python_gc_collections_total counter
python_gc_collections_total{generation="0"} 42.0
"""


class Admin(AdminServicer):
    """What one fake node says of itself; the changes that it is asked for are remembered."""

    def __init__(self, server: ShellServer, number: int) -> None:
        self._server = server
        self._number = number

    def members(self) -> list[dict[str, Any]]:
        return [
            {
                "node_id": node.number,
                "address": f"node{node.number}" if self._server.named else node.address,
                "voter": node.number not in self._server.learners,
                "leader": node.number == self._server.leader,
                "match": 40 + node.number,
                "heard_ms_ago": 0 if node.number == self._server.leader else 7,
            }
            for node in self._server.nodes
            if node.number not in self._server.removed
        ]

    async def Status(self, _: Any, context: Any) -> Any:
        server = self._server
        leads = self._number == server.leader
        picture = {
            "node_id": self._number,
            "role": "leader" if leads else "follower",
            "term": server.term,
            "leader": server.leader or None,
            "leader_address": server.leader_address or None,
            "applied_index": 40 + server.moved + self._number,
            "commit_index": 43 + server.moved,
            "members": self.members(),
        }
        return admin_pb2.StatusReply(json=json.dumps(picture))

    async def AddMember(self, request: Any, context: Any) -> Any:
        if request.node > len(self._server.nodes):
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "it is not a member")
        self._server.learners.discard(request.node)
        if request.learner:
            self._server.learners.add(request.node)
        return admin_pb2.MembersReply(json=json.dumps(self.members()))

    async def RemoveMember(self, request: Any, context: Any) -> Any:
        self._server.removed.add(request.node)
        return admin_pb2.MembersReply(json=json.dumps(self.members()))

    async def Transfer(self, request: Any, context: Any) -> Any:
        self._server.leader = request.node or 2
        self._server.term += 1
        return admin_pb2.TransferReply(leader=self._server.leader)

    async def Verify(self, _: Any, context: Any) -> Any:
        equal = not self._server.learners
        found = {
            "index": 43,
            "equal": equal,
            "complete": True,
            "nodes": [
                {"node_id": each["node_id"], "address": each["address"], "sum": "c0ffee"}
                for each in self.members()
            ],
            "differences": [] if equal else [{"table": "t", "nodes": [1]}],
        }
        return admin_pb2.VerifyReply(equal=equal, json=json.dumps(found))

    async def Backup(self, _: Any, context: Any) -> Any:
        digest = hashlib.blake2b(b"a copy", digest_size=32).digest()
        if self._server.damage:
            digest = b"another"
        yield admin_pb2.BackupPart(copied_percent=50)
        yield admin_pb2.BackupPart(data=b"a c", size_bytes=6)
        yield admin_pb2.BackupPart(data=b"opy", size_bytes=6, digest=digest, index=43)

    async def Restore(self, parts: Any, context: Any) -> Any:
        data = b""
        async for part in parts:
            data += part.data
            if part.last and hashlib.blake2b(data, digest_size=32).digest() != part.digest:
                yield admin_pb2.RestoreProgress(problems=["it arrived damaged"])
                return
        yield admin_pb2.RestoreProgress(doing="looking at it")
        if data != b"a copy":
            yield admin_pb2.RestoreProgress(problems=["it is no SQLite file", "it is too short"])
            return
        self._server.restored = True
        yield admin_pb2.RestoreProgress(index=44)

    async def Metrics(self, _: Any, context: Any) -> Any:
        return admin_pb2.MetricsReply(text=METRICS)

    async def Compact(self, _: Any, context: Any) -> Any:
        return admin_pb2.CompactReply(dropped_upto=17, durable_upto=40 + self._number)


class ShellConnection(fake.Connection):
    """A stream whose examiner has something to say."""

    async def answer(self, frame: Any) -> None:
        server = self.server
        assert isinstance(server, ShellServer), "it is served by one"
        server.arrived.append(frame)
        server.arrival.set()
        await super().answer(frame)

    async def carry_out(self, frame: Any) -> Any:
        if isinstance(frame, frames.Examine):
            for text, like in VERDICTS.items():
                place = frame.sql.find(text)
                if place >= 0:
                    return frames.Verdict(
                        frame.id, like.kind, like.verdict, like.detail, place, like.length
                    )
        return await super().carry_out(frame)


class ShellServer(fake.FakeServer):
    """A fake cluster that can be operated."""

    def __init__(self, nodes: int = 1) -> None:
        super().__init__(nodes)
        self.term = 3
        self.moved = 0
        """Entries that came since the start."""
        self.named = False
        """Hide the ports, which differ from run to run."""
        self.learners: set[int] = set()
        self.damage = False
        self.restored = False
        self.removed: set[int] = set()
        self.arrived: list[Any] = []
        """Frames of clients, as soon as they come."""
        self.arrival = asyncio.Event()

    async def _serve(self, node: fake.Node, port: int) -> None:
        node.grpc = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        add_ClientServicer_to_server(node, node.grpc)
        add_AdminServicer_to_server(Admin(self, node.number), node.grpc)
        node.port = node.grpc.add_insecure_port(f"127.0.0.1:{port}")
        await node.grpc.start()

    def wait_for_sql(self, text: str) -> None:
        """Wait until a client has sent a statement with this text in it."""
        self._wait(lambda frame: isinstance(frame, frames.Run) and text.encode() in frame.body)

    def wait_for_cancel(self) -> None:
        """Wait until a client has said that it gives up."""
        self._wait(lambda frame: isinstance(frame, frames.Cancel))

    def _wait(self, wanted: Callable[[Any], bool]) -> None:
        async def wait() -> None:
            async with asyncio.timeout(15):
                while not any(map(wanted, self.arrived)):
                    self.arrival.clear()
                    await self.arrival.wait()

        self.call(wait())
