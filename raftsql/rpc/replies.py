"""The way back to a client: answers that wait together leave in one message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec

from raftsql.database.readers import Page, Rest
from raftsql.rpc.tally import DONE, FAILED, REFUSED, Outcome
from raftsql.sql.commands import Why
from raftsql_proto import client_pb2, frames

MESSAGE_BYTES_MAX = 2 << 20
"""Answers beyond this wait for the next message, so that no message is too large to receive."""
WAITING_BYTES_USUAL = 8 << 20
"""While more than this waits unread, nothing more is taken from the client."""
WAITING_BYTES_MAX = 64 << 20
"""A client that lets more answers than this wait unread is cut off."""
FAILED_TAG = 1
"""The second byte of a packed answer that is an error: cheaper to look at than to unpack."""


class Writable(Protocol):
    """The server's side of a stream."""

    async def write(self, message: client_pb2.Frames) -> None:
        """Send a message; returns when the transport has taken it."""


class Outbox:
    """Frames on their way to one client."""

    def __init__(self, leaving: Callable[[], None] = lambda: None) -> None:
        """Empty. `leaving` is called when a message is about to."""
        self._leaving = leaving
        self._frames: list[frames.ServerFrame] = []
        self._sizes: list[int] = []
        self._bytes = 0
        """Of all that the transport has not taken yet."""
        self._ready = asyncio.Event()
        self._read = asyncio.Event()
        self._finished = False
        self.overflowed = asyncio.Event()
        """The client lets too much wait; what waits is dropped, and it has to be cut off."""

    def put(self, frame: frames.ServerFrame, size: int = 64) -> None:
        """Let a frame go with the next message."""
        if self.overflowed.is_set():
            return
        self._frames.append(frame)
        self._sizes.append(size)
        self._bytes += size
        self._ready.set()
        if self._bytes > WAITING_BYTES_MAX:
            self.overflowed.set()
            self._frames, self._sizes = [], []

    def finish(self) -> None:
        """Send no more after the message that is leaving now."""
        self._finished = True
        self._ready.set()

    async def room(self) -> None:
        """Wait until the client has read so much that it may ask for more."""
        while self._bytes > WAITING_BYTES_USUAL:
            self._read.clear()
            await self._read.wait()

    async def next(self) -> frames.ServerFrame:
        """The next frame, for those who ask one thing at a time."""
        while not self._frames:
            self._ready.clear()
            await self._ready.wait()
        self._leaving()
        self._bytes -= self._sizes.pop(0)
        return self._frames.pop(0)

    async def drain_to(self, stream: Writable) -> None:
        """Send what waits, whenever something waits, until `finish`."""
        while not self._finished:
            await self._ready.wait()
            self._ready.clear()
            self._leaving()
            waiting, self._frames = self._frames, []
            sizes, self._sizes = self._sizes, []
            for batch, size in _parted(waiting, sizes):
                if self._finished:
                    return
                await stream.write(client_pb2.Frames(batch=frames.encode(batch)))
                self._bytes -= size
            self._read.set()


Batch = tuple[list[frames.ServerFrame], int]


def _parted(waiting: list[frames.ServerFrame], sizes: list[int]) -> list[Batch]:
    """Cut frames into messages of a size that the other side will take."""
    total = sum(sizes)
    if total <= MESSAGE_BYTES_MAX:
        return [(waiting, total)] if waiting else []
    batches: list[Batch] = []
    batch: list[frames.ServerFrame] = []
    size = 0
    for frame, length in zip(waiting, sizes, strict=True):
        if batch and size + length > MESSAGE_BYTES_MAX:
            batches.append((batch, size))
            batch, size = [], 0
        batch.append(frame)
        size += length
    return [*batches, (batch, size)]


class Holder(Protocol):
    """Keeps what a client has open."""

    outbox: Outbox

    def keep(self, rest: Rest) -> int:
        """Keep the rest of a result; its number."""

    def done(self, request: int, outcome: Outcome) -> None:
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
        holder.done(self._request, FAILED if answer[1] == FAILED_TAG else DONE)
        holder.outbox.put(frames.Result(self._request, msgspec.Raw(answer), index), len(answer))

    def page(self, page: Page, index: int, age_ms: int) -> None:
        """Rows travel as they were packed; what is left of the result is kept here."""
        holder = self._holder
        holder.done(self._request, DONE)
        cursor = 0 if page.more is None else holder.keep(page.more)
        holder.outbox.put(
            frames.Page(self._request, page.columns, msgspec.Raw(page.rows), cursor, index, age_ms),
            len(page.rows),
        )

    def refused(self, why: Why, message: str) -> None:
        """With where the leader is, so that the client can go there."""
        holder = self._holder
        holder.done(self._request, REFUSED)
        leader = holder.leader_address()
        holder.outbox.put(frames.Refused(self._request, why, message, leader))
