"""The way back to a client: answers that wait together leave in one message."""

from __future__ import annotations

import asyncio
from typing import Protocol

import msgspec

from raftsql.database.readers import Page, Rest
from raftsql.sql.commands import Why
from raftsql_proto import client_pb2, frames

MESSAGE_BYTES_MAX = 2 << 20
"""Answers beyond this wait for the next message, so that no message is too large to receive."""
WAITING_BYTES_MAX = 64 << 20
"""A client that lets more answers than this wait unread is cut off."""


class Writable(Protocol):
    """The server's side of a stream."""

    async def write(self, message: client_pb2.Frames) -> None:
        """Send a message; returns when the transport has taken it."""


class Outbox:
    """Frames on their way to one client."""

    def __init__(self) -> None:
        """Empty."""
        self._frames: list[frames.ServerFrame] = []
        self._bytes = 0
        self._ready = asyncio.Event()
        self.overflowed = False

    def put(self, frame: frames.ServerFrame, size: int = 64) -> None:
        """Let a frame go with the next message."""
        self._frames.append(frame)
        self._bytes += size
        if self._bytes > WAITING_BYTES_MAX:
            self.overflowed = True
        self._ready.set()

    async def next(self) -> frames.ServerFrame:
        """The next frame, for those who ask one thing at a time."""
        while not self._frames:
            self._ready.clear()
            await self._ready.wait()
        return self._frames.pop(0)

    async def drain_to(self, stream: Writable) -> None:
        """Send what waits, whenever something waits, until the client is cut off."""
        while not self.overflowed:
            await self._ready.wait()
            self._ready.clear()
            waiting, self._frames, self._bytes = self._frames, [], 0
            for batch in _parted(waiting):
                await stream.write(client_pb2.Frames(batch=frames.encode(batch)))


def _parted(waiting: list[frames.ServerFrame]) -> list[list[frames.ServerFrame]]:
    """Cut frames into messages of a size that the other side will take."""
    if not any(isinstance(frame, frames.Page) for frame in waiting):
        return [waiting]
    batches: list[list[frames.ServerFrame]] = [[]]
    size = 0
    for frame in waiting:
        length = len(bytes(frame.rows)) if isinstance(frame, frames.Page) else 64
        if batches[-1] and size + length > MESSAGE_BYTES_MAX:
            batches.append([])
            size = 0
        batches[-1].append(frame)
        size += length
    return batches


class Holder(Protocol):
    """Keeps what a client has open."""

    outbox: Outbox

    def keep(self, rest: Rest) -> int:
        """Keep the rest of a result; its number."""

    def done(self, request: int) -> None:
        """The request is answered."""

    def leader_address(self) -> str:
        """Where the leader is, if known."""


class StreamReply:
    """The answer to one request of a stream."""

    __slots__ = ("_holder", "_request")

    def __init__(self, holder: Holder, request: int) -> None:
        """`request` is the client's number for it."""
        self._holder = holder
        self._request = request

    def result(self, answer: bytes, index: int) -> None:
        """A packed answer travels as it is."""
        holder = self._holder
        holder.done(self._request)
        holder.outbox.put(frames.Result(self._request, msgspec.Raw(answer), index), len(answer))

    def page(self, page: Page, index: int, age_ms: int) -> None:
        """Rows travel as they were packed; what is left of the result is kept here."""
        holder = self._holder
        holder.done(self._request)
        cursor = 0 if page.more is None else holder.keep(page.more)
        holder.outbox.put(
            frames.Page(self._request, page.columns, msgspec.Raw(page.rows), cursor, index, age_ms),
            len(page.rows),
        )

    def refused(self, why: Why, message: str) -> None:
        """With where the leader is, so that the client can go there."""
        holder = self._holder
        holder.done(self._request)
        leader = holder.leader_address()
        holder.outbox.put(frames.Refused(self._request, why, message, leader))
