"""Takes in snapshots that a leader ships, one at a time.

The disk is touched in one thread of its own, in order, so that the loop never waits for it and a
stream that is cut off can't get in the way of the one that goes on in its place. What was received
stays when a stream breaks. Answers to what should not come:

    another cluster, a removed node, another SQLite     refused, in the words of the greeting
    a snapshot that is of no use here                   refused, in the words of the node
    another snapshot than the one under way             refused, unless it is of a newer leader
    the same again from the same leader                 takes the place of the older stream
    a chunk that is here already                        how much is here; nothing is written
    a chunk after a gap, or a damaged one               the stream ends; the next one resumes
    a whole that does not match its digest              refused, and what was received is dropped
    a disk that can't take it                           refused, and what was received is dropped
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from raftsql.raft.messages import NodeId, Position, SnapshotMeta
from raftsql.rpc.peers import Unwelcome
from raftsql.storage.errors import ChunkRefused, CorruptSnapshot
from raftsql.storage.snapshots import Receiving, Snapshots
from raftsql_proto import peers_pb2 as wire

log = logging.getLogger("raftsql.rpc")

T = TypeVar("T")
Context = grpc.aio.ServicerContext[Any, Any]
Doorkeeper = Callable[[wire.PeerHello | None], Unwelcome | None]


class SnapshotEvents(Protocol):
    """Whom the receiver asks and tells, in the loop."""

    def snapshot_unwanted(self, meta: SnapshotMeta, term: int) -> str:
        """Why a snapshot is of no use here (older than what is applied, an old leader's); or ""."""

    def snapshot_received(self, meta: SnapshotMeta, term: int, source: NodeId) -> None:
        """A snapshot is in the folder, whole and verified."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    meta: SnapshotMeta
    size: int
    digest: bytes


@dataclass(frozen=True, slots=True, eq=False)
class _Visit:
    """The stream that is being listened to."""

    source: NodeId
    term: int
    task: asyncio.Task[Any]


class _Refusal(Exception):
    """The sender is told this, and should not go on."""


class SnapshotReceiver:
    """The incoming half of Ship."""

    def __init__(self, unwelcome: Doorkeeper, snapshots: Snapshots, on: SnapshotEvents) -> None:
        """`unwelcome` is the peer service's check of a greeting."""
        self._unwelcome = unwelcome
        self._on = on
        self._desk = _Desk(snapshots)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="receive")
        self._visit: _Visit | None = None

    async def ship(self, _: object, context: Context) -> None:
        """A sender's stream, from its greeting to its end."""
        try:
            await self._receive(context)
        except _Refusal as refusal:
            log.warning("a snapshot is refused: %s", refusal)
            await context.write(wire.SnapshotAnswer(refused=str(refusal)))

    async def close(self) -> None:
        """Stop; what was received is kept for the next start."""
        if self._visit is not None:
            self._visit.task.cancel()
        self._thread.submit(self._desk.pause)
        await asyncio.to_thread(self._thread.shutdown)

    async def _receive(self, context: Context) -> None:
        first = _part(await context.read())
        source, head = self._admit(first)
        wanted = _Wanted(
            SnapshotMeta(Position(head.last_index, head.last_term), head.membership),
            head.size_bytes,
            head.digest,
        )
        if why := self._on.snapshot_unwanted(wanted.meta, head.term):
            raise _Refusal(why)
        visit = self._enter(source, head.term)
        try:
            whole = await self._take_all(context, wanted)
        finally:
            if self._visit is visit:
                self._visit = None
        if whole:
            self._on.snapshot_received(wanted.meta, head.term, source)
            await context.write(wire.SnapshotAnswer(received_bytes=wanted.size, complete=True))

    def _admit(self, first: wire.SnapshotPart | None) -> tuple[NodeId, wire.SnapshotHead]:
        """Who sends, and what; or a refusal."""
        hello = first.hello if first is not None and first.HasField("hello") else None
        refusal = self._unwelcome(hello)
        if refusal is not None:
            raise _Refusal(refusal.reason)
        if first is None or not first.HasField("head"):
            raise _Refusal("the stream does not say what snapshot it brings")
        return first.hello.node, first.head

    def _enter(self, source: NodeId, term: int) -> _Visit:
        """Be the stream that is listened to, in place of an older one of the same leader."""
        current = self._visit
        if current is not None:
            if (term, source) != (current.term, current.source) and term <= current.term:
                raise _Refusal(f"a snapshot from node {current.source} is being received")
            current.task.cancel()
        task = asyncio.current_task()
        assert task is not None, "a handler runs in a task"
        self._visit = _Visit(source, term, task)
        return self._visit

    async def _take_all(self, context: Context, wanted: _Wanted) -> bool:
        """Take chunks until the snapshot is whole, or the stream ends."""
        try:
            received = await self._in_thread(lambda: self._desk.begin(wanted))
            while received < wanted.size:
                await context.write(wire.SnapshotAnswer(received_bytes=received))
                part = _part(await context.read())
                if part is None:
                    return False
                received = await self._take(context, part, received)
            await self._in_thread(self._desk.finish)
            return True
        except (OSError, CorruptSnapshot) as error:
            raise _Refusal(f"the snapshot can't be taken: {error}") from error
        finally:
            with contextlib.suppress(RuntimeError):  # After `close` it has paused already.
                self._thread.submit(self._desk.pause)

    async def _take(self, context: Context, part: wire.SnapshotPart, received: int) -> int:
        if part.offset > received:
            await context.abort(
                grpc.StatusCode.OUT_OF_RANGE,
                f"a chunk at {part.offset} has come, where {received} bytes are here",
            )
        try:
            return await self._in_thread(
                lambda: self._desk.write(part.offset, part.data, part.crc32c)
            )
        except ChunkRefused as error:
            log.warning("a snapshot's stream is ended, to be sent again from there: %s", error)
            return await context.abort(grpc.StatusCode.DATA_LOSS, str(error))

    async def _in_thread(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)


class _Desk:
    """The snapshot under way, as the one thread that touches it sees it."""

    def __init__(self, snapshots: Snapshots) -> None:
        """Nothing is under way."""
        self._snapshots = snapshots
        self._wanted: _Wanted | None = None
        self._receiving: Receiving | None = None

    def begin(self, wanted: _Wanted) -> int:
        """Start, or go on; how much is here. Going on in one process reads nothing again."""
        if self._receiving is None or wanted != self._wanted:
            self._drop()
            self._receiving = self._snapshots.begin(wanted.meta, wanted.size, wanted.digest)
            self._wanted = wanted
        return self._receiving.received_bytes

    def write(self, offset: int, data: bytes, crc: int) -> int:
        """Take a chunk; how much is here then."""
        try:
            return self._open().write(offset, data, crc)
        except OSError:
            self._drop()
            raise

    def finish(self) -> None:
        """Verify the whole and make it a snapshot of the folder."""
        receiving, self._receiving = self._open(), None
        try:
            receiving.finish()
        except OSError:
            receiving.abandon()
            raise

    def pause(self) -> None:
        """Keep what is here for another stream, even after a restart."""
        if self._receiving is not None:
            try:
                self._receiving.note()
            except OSError:
                self._drop()

    def _open(self) -> Receiving:
        if self._receiving is None:
            raise OSError("the disk failed, and what was received is dropped")
        return self._receiving

    def _drop(self) -> None:
        if self._receiving is not None:
            self._receiving.abandon()
            self._receiving = None


def _part(data: Any) -> wire.SnapshotPart | None:
    """The next message, or None when the stream has ended or makes no sense."""
    if not isinstance(data, bytes):
        return None
    try:
        return wire.SnapshotPart.FromString(data)
    except DecodeError:
        return None
