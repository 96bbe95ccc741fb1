"""What all members say of themselves, asked for while somebody looks.

Each member is asked on a line of its own, once a second, and what it said last stands until it says
something else: one that is gone delays nobody. What is counted per second is the difference of two
answers of one node, so nothing is counted that was not counted anyway.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic, perf_counter
from typing import Any, Final

import grpc
import grpc.aio

from raftsql.cluster.meters import BUCKETS
from raftsql.rpc import status
from raftsql.rpc.channels import Roads
from raftsql.rpc.gate import Gate, credentials_of
from raftsql.server.host import Host
from raftsql_proto import admin_pb2
from raftsql_proto.admin_pb2_grpc import AdminStub

ASK_SECONDS: Final = 1.0
"""How long a member may take; a slower one is shown as it was."""
FRESH_SECONDS: Final = 2.6
"""A member that has not answered for longer is shown as gone."""


@dataclass(slots=True)
class Known:
    """What is known of one member."""

    address: str
    picture: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    """The picture before it, for what is counted."""
    at: float = -1e9
    before_at: float = -1e9
    latency_ms: float | None = None
    channel: grpc.aio.Channel | None = None
    asking: asyncio.Task[None] | None = None

    def heard(self, picture: dict[str, Any], seconds: float | None) -> None:
        """It has answered."""
        self.before, self.before_at = self.picture, self.at
        self.picture, self.at = picture, monotonic()
        self.latency_ms = None if seconds is None else round(seconds * 1000, 2)

    @property
    def fresh(self) -> bool:
        """Whether it has answered lately."""
        return monotonic() - self.at < FRESH_SECONDS


class Gathering:
    """The pictures of all members, as this node gets them."""

    def __init__(self, host: Host) -> None:
        """Nobody was asked yet."""
        self._host = host
        self.known: dict[int, Known] = {}

    def own(self) -> dict[str, Any]:
        """This node's picture of itself, as it tells others."""
        runner = self._host.runner
        if runner is None:
            return {}
        picture = status.picture(runner, self._host.settings.advertise)
        return picture | {name: tell() for name, tell in self._host.admin.more.items()}

    def look(self) -> None:
        """Ask everybody who is not being asked already; returns at once."""
        runner = self._host.runner
        if runner is None:
            return
        members = runner.node.membership.members
        for node in set(self.known) - set(members):
            self._forget(node)
        for node, member in members.items():
            known = self.known.get(node)
            if known is not None and known.address != member.address:
                self._forget(node)
                known = None
            if known is None:
                known = self.known[node] = Known(member.address)
            if node == runner.node.id:
                known.heard(self.own(), None)
            elif known.asking is None or known.asking.done():
                known.asking = asyncio.create_task(
                    _ask(known, self._host.forming.me.roads, self._host.gate)
                )

    async def settle(self, seconds: float) -> None:
        """Give those that are asked a moment."""
        asking = [k.asking for k in self.known.values() if k.asking and not k.asking.done()]
        if asking:
            await asyncio.wait(asking, timeout=seconds)

    def _forget(self, node: int) -> None:
        known = self.known.pop(node)
        if known.asking is not None:
            known.asking.cancel()
        if known.channel is not None:
            asyncio.get_running_loop().create_task(known.channel.close())

    async def rest(self) -> None:
        """Nobody looks any more: hold no connection."""
        for known in self.known.values():
            if known.asking is not None:
                known.asking.cancel()
            if known.channel is not None:
                with suppress(Exception):
                    await known.channel.close()
        self.known.clear()


async def _ask(known: Known, roads: Roads, gate: Gate) -> None:
    if known.channel is None:
        known.channel = roads.to(known.address)
    began = perf_counter()
    try:
        reply = await AdminStub(known.channel).Status(
            admin_pb2.StatusRequest(), metadata=credentials_of(gate), timeout=ASK_SECONDS
        )
        picture = json.loads(reply.json)
    except (grpc.aio.AioRpcError, ValueError):
        return
    known.heard(picture, perf_counter() - began)


def rates(known: list[Known]) -> dict[str, float | None]:
    """What all of them did together each second, between their last two answers."""
    writes = reads = 0.0
    took = [0] * BUCKETS
    heard = False
    for one in known:
        now, before = one.picture.get("statements"), one.before.get("statements")
        seconds = one.at - one.before_at
        same = one.picture.get("pid") == one.before.get("pid")
        if not (one.fresh and same and now and before and 0 < seconds < 60):
            continue
        heard = True
        writes += (now["writes"] - before["writes"]) / seconds
        reads += (now["reads"] - before["reads"]) / seconds
        pairs = zip(now["write_buckets"], before["write_buckets"], strict=False)
        for bits, (count, counted) in enumerate(pairs):
            took[bits] += count - counted
    return {
        "writes": round(writes, 1) if heard else None,
        "reads": round(reads, 1) if heard else None,
        "write_p50_ms": quantile_ms(took, 0.5),
        "write_p99_ms": quantile_ms(took, 0.99),
    }


def quantile_ms(counts: list[int], share: float) -> float | None:
    """Where in doubling buckets of microseconds this share of all lies below."""
    total = sum(counts)
    if total <= 0:
        return None
    wanted, so_far = share * total, 0
    for bits, count in enumerate(counts):
        if count and so_far + count >= wanted:
            low = float(1 << bits) / 2 if bits else 0.0
            within = (wanted - so_far) / count
            return round((low + (float(1 << bits) - low) * within) / 1000, 3)
        so_far += count
    return None
