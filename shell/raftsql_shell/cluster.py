"""What nodes say of themselves, and what operators ask of them: a client of the admin service.

The one module of the shell that speaks gRPC by itself: the driver is for SQL.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import grpc

from raftsql_proto import admin_pb2
from raftsql_proto.admin_pb2_grpc import AdminStub
from raftsql_shell.errors import CommandError

if TYPE_CHECKING:
    from raftsql_driver.address import Address

ASK_SECONDS: Final = 15.0
STATUS_SECONDS: Final = 2.0
VERIFY_SECONDS: Final = 605.0
"""A little more than the server's own bound."""
SNAPSHOT_SECONDS: Final = 600.0
"""A gigabyte that changed since the last one may have to be written."""
_OPTIONS: Final = (("grpc.enable_http_proxy", 0), ("grpc.max_reconnect_backoff_ms", 1000))
_SILENT: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


@dataclass(slots=True)
class Seen:
    """A node, as it was found a moment ago."""

    address: str
    picture: dict[str, Any] = field(default_factory=dict)
    """What it says of itself; empty when it gave no answer."""
    problem: str = ""
    late: bool = False
    """It gave no answer in time, which is not to say that it is gone."""
    latency_s: float = 0.0


class Nodes:
    """The nodes of a cluster; channels to them are kept."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._channels: dict[str, grpc.Channel] = {}
        self._known = list(address.nodes)

    def status(self, node: str, *, timeout: float = STATUS_SECONDS) -> Seen:
        """One node's picture of itself."""
        return self._all([node], timeout)[0]

    def metrics(self, node: str) -> str:
        """What a node counts, as Prometheus' text."""
        return str(self._one(node, lambda stub: stub.Metrics, admin_pb2.MetricsRequest()).text)

    def pictures(self) -> list[Seen]:
        """All nodes of the cluster, asked at the same time: members, and who was named."""
        seen = {each.address: each for each in self._all(self._known, STATUS_SECONDS)}
        others = [
            member["address"]
            for each in list(seen.values())
            for member in each.picture.get("members", ())
            if member["address"] not in seen
        ]
        seen |= {each.address: each for each in self._all(list(dict.fromkeys(others)))}
        self._known = list(seen)
        return _once_each(seen.values())

    def ask(
        self,
        call: Callable[[AdminStub], Callable[..., Any]],
        request: Any,
        *,
        seconds: float = ASK_SECONDS,
    ) -> Any:
        """Ask any node for something that one of them can do."""
        problem = "no node is known"
        for node in self._known:
            try:
                return call(AdminStub(self._channel(node)))(request, timeout=seconds)
            except grpc.RpcError as error:
                problem = _problem(error, node)
                if error.code() not in _SILENT:
                    raise CommandError(problem) from error
        raise CommandError(problem)

    def transfer(self, node: int) -> int:
        """Hand leadership to a node, 0 for whoever is most level; who has it now."""
        reply = self.ask(lambda stub: stub.Transfer, admin_pb2.TransferRequest(node=node))
        return int(reply.leader)

    def add(self, node: int, *, learner: bool) -> list[dict[str, Any]]:
        """Give a node its vote, or take it away; the members."""
        request = admin_pb2.AddMemberRequest(node=node, learner=learner)
        return _members(self.ask(lambda stub: stub.AddMember, request))

    def remove(self, node: int) -> list[dict[str, Any]]:
        """Remove a node for good; the members."""
        request = admin_pb2.RemoveMemberRequest(node=node)
        return _members(self.ask(lambda stub: stub.RemoveMember, request))

    def snapshot(self, node: str) -> tuple[int, int]:
        """Make a node's database durable, and drop the log that it replaces; both up to where."""
        request = admin_pb2.CompactRequest()
        reply = self._one(node, lambda stub: stub.Compact, request, seconds=SNAPSHOT_SECONDS)
        return int(reply.durable_upto), int(reply.dropped_upto)

    def verify(self) -> dict[str, Any]:
        """Compare all nodes' rows; what was found."""
        request = admin_pb2.VerifyRequest()
        reply = self.ask(lambda stub: stub.Verify, request, seconds=VERIFY_SECONDS)
        found: dict[str, Any] = json.loads(reply.json)
        return found

    def backup(self, node: str) -> Iterator[Any]:
        """The parts of a copy of a node's database."""
        return self._stream(node, lambda stub: stub.Backup(admin_pb2.BackupRequest()))

    def restore(self, node: str, parts: Iterator[bytes]) -> Iterator[Any]:
        """Put a file in the place of the database; what the leader says meanwhile."""

        def requests() -> Iterator[admin_pb2.RestorePart]:
            digest = hashlib.blake2b(digest_size=32)
            for part in parts:
                digest.update(part)
                yield admin_pb2.RestorePart(data=part)
            yield admin_pb2.RestorePart(digest=digest.digest(), last=True)

        return self._stream(node, lambda stub: stub.Restore(requests()))

    def _one(
        self,
        node: str,
        call: Callable[[AdminStub], Callable[..., Any]],
        request: Any,
        *,
        seconds: float = ASK_SECONDS,
    ) -> Any:
        """Ask this node, and no other."""
        try:
            return call(AdminStub(self._channel(node)))(request, timeout=seconds)
        except grpc.RpcError as error:
            raise CommandError(_problem(error, node)) from error

    def _stream(self, node: str, call: Callable[[AdminStub], Iterator[Any]]) -> Iterator[Any]:
        try:
            yield from call(AdminStub(self._channel(node)))
        except grpc.RpcError as error:
            raise CommandError(_problem(error, node)) from error

    def leader(self) -> dict[str, Any]:
        """The leader's picture of itself; where there is none, that of any node that answers."""
        answering = [each.picture for each in self.pictures() if each.picture]
        if not answering:
            raise CommandError("no node answers")
        leading = [picture for picture in answering if picture.get("role") == "leader"]
        return max(leading, key=lambda picture: picture["term"], default=answering[0])

    def close(self) -> None:
        """Close all channels."""
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()

    def _all(self, nodes: list[str], timeout: float = STATUS_SECONDS) -> list[Seen]:
        calls = [self._begin(node, timeout) for node in nodes]
        return [_ended(*call) for call in calls]

    def _begin(self, node: str, timeout: float) -> tuple[Seen, Any, list[float]]:
        seen, ended = Seen(node), [time.perf_counter()]
        stub = AdminStub(self._channel(node))
        future = stub.Status.future(admin_pb2.StatusRequest(), timeout=timeout)
        future.add_done_callback(lambda _: ended.append(time.perf_counter()))
        return seen, future, ended

    def _channel(self, node: str) -> grpc.Channel:
        channel = self._channels.get(node)
        if channel is None:
            channel = self._channels[node] = _channel(node, self._address)
        return channel


def _once_each(seen: Iterable[Seen]) -> list[Seen]:
    """A node that was named one way and is a member by another name was asked twice."""
    found: dict[object, Seen] = {}
    for each in seen:
        found[each.picture.get("node_id") or each.address] = each
    return list(found.values())


def _channel(node: str, address: Address) -> grpc.Channel:
    from raftsql_driver.calls import channel

    return channel(node, address, _OPTIONS)


def _ended(seen: Seen, future: Any, times: list[float]) -> Seen:
    try:
        seen.picture = json.loads(future.result().json)
    except grpc.RpcError as error:
        seen.problem = _problem(error, seen.address)
        seen.late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    seen.latency_s = (times[1] if len(times) > 1 else time.perf_counter()) - times[0]
    return seen


def _members(reply: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(reply.json)
    return found


def _problem(error: grpc.RpcError, node: str) -> str:
    code = error.code()
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return "not offered by this server yet"
    if code in _SILENT:
        return f"no answer from {node}"
    return str(error.details() or code.name)
