"""What an administrator does from the page: the calls that the command line makes, through the same
ward, noted in the same audit log."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.responses import Response

from raftsql.server.console.guarding import Answer, Asked
from raftsql.server.console.inside import Ended
from raftsql.server.console.problems import Problem, busy
from raftsql.server.console.streaming import BrokenOff, Flow
from raftsql_proto import admin_pb2

UNDER_WAY_MAX: Final = 4
"""Wishes of administrators that a node works on at once."""
PIECE_BYTES: Final = 128 << 10


class Transfer(msgspec.Struct):
    """Who is to lead; 0: whoever is most level."""

    to: int = 0


class Add(msgspec.Struct):
    """A member that gets its vote, or loses it; 0: one that is none yet."""

    node_id: int = 0
    learner: bool = False


class Remove(msgspec.Struct):
    """A member that has to go."""

    node_id: int


async def transfer(asked: Asked) -> Response:
    """Hand the lead to another node."""
    request = admin_pb2.TransferRequest(node=_number(asked.body.to))
    reply = await _call(asked, "Transfer", request)
    text = f"node {reply.leader} leads" if reply.leader else "the lead was given away"
    asked.console.watch.happen("transfer", f"the lead was handed over: {text}")
    return Answer({"text": text, "leader": reply.leader or None})


async def add(asked: Asked) -> Response:
    """Give a member its vote. A node that is none asks for its place itself."""
    given = asked.body
    if not given.node_id:
        where = asked.console.host.settings.advertise
        raise Problem(
            409, "conflict",
            "a node asks for its place itself: start it with "
            f"`raftsql serve --join {where}` on its machine, and it appears here",
        )  # fmt: skip
    request = admin_pb2.AddMemberRequest(node=_number(given.node_id), learner=given.learner)
    reply = await _call(asked, "AddMember", request)
    has = "has no vote" if given.learner else "has a vote"
    text = f"node {given.node_id} {has} now"
    return Answer({"text": text, "members": json.loads(reply.json)})


async def remove(asked: Asked) -> Response:
    """Take a node out of the cluster for good."""
    request = admin_pb2.RemoveMemberRequest(node=_number(asked.body.node_id))
    reply = await _call(asked, "RemoveMember", request)
    text = f"node {asked.body.node_id} was removed; its number is not used again"
    return Answer({"text": text, "members": json.loads(reply.json)})


async def snapshot(asked: Asked) -> Response:
    """Make this node's database durable, and drop the log that it replaces."""
    reply = await _call(asked, "Compact", admin_pb2.CompactRequest())
    text = f"the database is durable up to entry {reply.durable_upto}; the log begins after entry "
    asked.console.watch.happen("snapshot", f"asked for: {text}{reply.dropped_upto}")
    return Answer(
        {
            "text": f"{text}{reply.dropped_upto}",
            "durable_upto": reply.durable_upto,
            "dropped_upto": reply.dropped_upto,
        }
    )


async def verify(asked: Asked) -> Response:
    """Compare what all nodes hold."""
    reply = await _call(asked, "Verify", admin_pb2.VerifyRequest())
    report = json.loads(reply.json)
    if not report["equal"]:
        text = "the nodes DIFFER"
    elif not report["complete"]:
        text = "those that answered are equal; the others could not be asked"
    else:
        text = "all nodes are equal"
    told = {name: report[name] for name in ("equal", "complete", "differences", "nodes")}
    return Answer({"text": f"at entry {report['index']}: {text}", **told})


async def backup(asked: Asked) -> Response:
    """The whole database as a file, as this node has it."""
    parts = asked.console.administration.stream(
        "Backup", admin_pb2.BackupRequest(), asked.session.caller, asked.peer
    )
    try:
        first = await _first_bytes(parts)
    except BaseException:
        await parts.aclose()
        raise
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    headers = {
        "content-disposition": f'attachment; filename="raftsql-{now}.db"',
        "content-length": str(first.size_bytes),
    }
    return Flow(
        _file(first, parts),
        "application/vnd.sqlite3",
        headers,
        until=asked.session.ended,
        done=parts.aclose,
    )


async def _first_bytes(parts: AsyncGenerator[Any, None]) -> Any:
    """The first part that is of the file: what goes wrong before it can still be told."""
    async for part in parts:
        if part.data:
            return part
    raise Problem(500, "failed", "the backup broke off before its beginning")


async def _file(first: Any, parts: AsyncGenerator[Any, None]) -> AsyncGenerator[bytes, None]:
    for piece in _pieces(first.data):
        yield piece
    try:
        async for part in parts:
            for piece in _pieces(part.data):
                yield piece
    except Ended as ended:
        raise BrokenOff from ended


def _pieces(data: bytes) -> list[bytes]:
    """Short enough for a slow line to take each in time."""
    return [data[start : start + PIECE_BYTES] for start in range(0, len(data), PIECE_BYTES)]


async def _call(asked: Asked, name: str, request: Any) -> Any:
    console = asked.console
    if console.actions >= UNDER_WAY_MAX:
        raise busy("other wishes are being worked on: wait for them")
    console.actions += 1
    try:
        return await console.administration.call(name, request, asked.session.caller, asked.peer)
    finally:
        console.actions -= 1


def _number(node: int) -> int:
    if not 0 <= node < 1 << 31:
        raise Problem(400, "bad_request", "a node's number is a small whole number")
    return node
