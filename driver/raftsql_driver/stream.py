"""The one stream to a node that all connections of a process (and event loop) share.

What waits is sent together: the writer takes all of it, and while it writes the next batch
gathers. Answers come together too; the reader gives each to its ticket, with no task in between.
A ticket is a future, or what a waiting thread made to look like one.
"""

from __future__ import annotations

import asyncio
import os
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Protocol

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # What goes wrong is told by exceptions.

import grpc

from raftsql_driver.calls import credentials
from raftsql_driver.errors import AuthenticationFailed, InterfaceError, Unavailable
from raftsql_driver.flows import Lost, next_id
from raftsql_driver.refusals import of_refused
from raftsql_driver.unreachable import hint, plain
from raftsql_proto.client_pb2 import Frames
from raftsql_proto.client_pb2_grpc import ClientStub
from raftsql_proto.frames import (
    PROTOCOL,
    Cancel,
    Examine,
    Hello,
    Leader,
    Page,
    Refused,
    Release,
    Run,
    Welcome,
    Why,
    decode_server_frames,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from raftsql_driver.address import Address

MESSAGE_BYTES_MAX: Final = 1 << 20
"""A message is closed once its bodies are this long; one body alone may be longer."""
REPLY_BYTES_MAX: Final = 256 << 20
"""A page is far shorter; the default of 4 MiB would cut a single large value."""

OPTIONS: Final = [
    ("grpc.max_receive_message_length", REPLY_BYTES_MAX),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 3_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
]

SILENCE_S: Final = 1.5
"""A node that owes answers and says nothing for so long is asked a question that costs it nothing;
after as long again it counts as lost. A stopped process or a cut cable ends no stream by itself."""
IDLE_TURNS_MAX: Final = 2
"""Turns of the loop in which nobody came: then whoever has come goes alone."""
LEAVE_S: Final = 0.01
"""gRPC's thread needs a moment to hand over the end of a cancelled call."""

_next_serial: Final = count(1).__next__


class Ticket(Protocol):
    """Where an answer goes: the part of a future that a stream needs."""

    def done(self) -> bool: ...

    def set_result(self, outcome: Any, /) -> None: ...


class Stream:
    """An open stream. Everything here runs in its event loop."""

    def __init__(self, channel: Any, call: Any, welcome: Welcome, node: str) -> None:
        self.node = node
        self.serial = _next_serial()
        """Tells this stream from others to the same node, before and after it."""
        self.welcome = welcome
        self.closed = ""
        """Why it is closed; empty while it is open."""
        self.on_leader: Callable[[Leader], None] = lambda leader: None
        self.on_close: Callable[[Stream], None] = lambda stream: None
        self._channel = channel
        self._call = call
        self._pending: dict[int, Ticket] = {}
        self._waiting: list[Any] = []
        self._wake = asyncio.Event()
        self._woken = 0
        """Of those answered by the last message, how many may ask again at once."""
        loop = self._loop = asyncio.get_running_loop()
        self._heard_at = 0.0
        self._watch: asyncio.TimerHandle | None = None
        """Runs while answers are owed."""
        self._closing: asyncio.Task[None] | None = None
        self._tasks = [loop.create_task(self._write()), loop.create_task(self._read())]

    def submit(self, frame: Any, ticket: Ticket | None) -> None:
        """Send a frame with the next message; its answer goes to the ticket."""
        if self.closed:
            if ticket is not None and not ticket.done():
                ticket.set_result(Lost(self.closed, sent=False))
            return
        if ticket is not None:
            self._pending[frame.id] = ticket
            if self._watch is None:
                self._heard_at = self._loop.time()
                self._watch = self._loop.call_later(SILENCE_S, self._look)
        elif type(frame) is Cancel:
            self._pending.pop(frame.id, None)
        if not self._waiting:
            self._wake.set()
        self._woken -= 1
        self._waiting.append(frame)

    def _look(self) -> None:
        """Give up on a node that has become silent."""
        self._watch = None
        if self.closed or not self._pending:
            return
        silent_s = self._loop.time() - self._heard_at
        if silent_s >= SILENCE_S * 1.9:
            reason = f"{self.node} has not answered for {silent_s:.1f} s"
            self._closing = self._loop.create_task(self.close(reason))
            return
        self._watch = self._loop.call_later(SILENCE_S, self._look)
        if silent_s >= SILENCE_S * 0.9:
            self.submit(Examine(next_id(), "SELECT 1"), None)

    async def close(self, reason: str = "the connection was closed") -> None:
        """End the stream; who waits for an answer is told that there will be none."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        self._end(reason)
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._channel.close()
        # gRPC ends its threads with the last channel: don't wait for a garbage collection.
        self._call = self._channel = None
        self._tasks.clear()

    async def _write(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                if self._woken > 0:
                    await self._gather()
                while self._waiting:
                    await self._call.write(Frames(batch=encode(self._batch())))
        except (grpc.RpcError, asyncio.InvalidStateError) as error:
            await self._broken(error)

    async def _gather(self) -> None:
        """Let those who were answered together ask together, as long as more of them come.

        Threads wake one after the other, and each would have a message of its own. A turn of the
        loop gives way to those that are ready; none is waited for.
        """
        idle = 0
        while self._woken > 0 and idle < IDLE_TURNS_MAX:
            before = len(self._waiting)
            await asyncio.sleep(0)
            idle = 0 if len(self._waiting) > before else idle + 1
        self._woken = 0

    def _batch(self) -> list[Any]:
        """All that waits, or as much of it as one message may hold."""
        waiting, size_bytes, number = self._waiting, 0, 0
        for number, frame in enumerate(waiting, 1):  # noqa: B007
            if type(frame) is Run:
                size_bytes += len(frame.body)
                if size_bytes >= MESSAGE_BYTES_MAX:
                    break
        self._waiting = waiting[number:]
        return waiting[:number]

    async def _read(self) -> None:
        pending, read = self._pending, self._call.read
        try:
            while True:
                message = await read()
                if message is grpc.aio.EOF:
                    await self._broken(None)
                    return
                self._heard_at = self._loop.time()
                batch = decode_server_frames(message.batch)
                self._woken = len(batch)
                for frame in batch:
                    if isinstance(frame, Leader):
                        self.on_leader(frame)
                        continue
                    assert not isinstance(frame, Welcome), "a stream is welcomed once"
                    ticket = pending.pop(frame.id, None)
                    if ticket is not None and not ticket.done():
                        ticket.set_result(frame)
                    elif type(frame) is Page and frame.cursor:
                        # Whoever asked has given up: the node need not keep the rest for them.
                        self.submit(Release(frame.cursor), None)
        except (grpc.RpcError, asyncio.InvalidStateError, ValueError) as error:
            await self._broken(error)
        except asyncio.CancelledError:
            if not self.closed:  # The program's event loop is about to end.
                await self._leave_with_loop()
            raise

    async def _leave_with_loop(self) -> None:
        """Let gRPC finish in this loop: what it still had to say would go to a closed one."""
        self._end("the event loop has ended")
        await self._channel.close()
        await asyncio.sleep(LEAVE_S)

    async def _broken(self, error: Exception | None) -> None:
        if not self.closed:
            self._end(f"{self.node}: {await _reason(self._call, error)}")
            await self._channel.close()

    def _end(self, reason: str) -> None:
        if self.closed:
            return
        self.closed = reason
        if self._watch is not None:
            self._watch.cancel()
        unsent = {getattr(frame, "id", 0) for frame in self._waiting}
        pending, self._pending = self._pending, {}
        self._waiting = []
        self.on_close(self)
        for number, ticket in pending.items():
            if not ticket.done():
                ticket.set_result(Lost(reason, sent=number not in unsent))
        self._call.cancel()
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()


async def _reason(call: Any, error: Exception | None) -> str:
    """What gRPC knows of a stream's end, in few words."""
    if isinstance(error, grpc.aio.AioRpcError):
        details, code = error.details() or "", error.code()
    elif error is not None and not isinstance(error, asyncio.InvalidStateError):
        return f"the answer could not be read: {error}"
    else:
        details, code = await call.details() or "", await call.code()
    return plain(details) or f"the node ended the stream ({code.name})"


async def open_stream(
    node: str, address: Address, patience_s: float = 60.0, token: str = ""
) -> Stream:
    """Say hello to a node and be welcomed, by a token that an earlier welcome gave, or else by the
    password. Raises Unavailable when it can't be reached."""
    seconds = min(patience_s, address.connect_timeout)
    channel = _channel(node, address)
    call = ClientStub(channel).Connect()
    try:
        async with asyncio.timeout(seconds):
            welcome = await _shake_hands(call, node, address, token)
    except TimeoutError:
        await _give_up(channel, call)
        raise Unavailable(f"{node}: no answer to the greeting within {seconds:g} s") from None
    except BaseException:
        await _give_up(channel, call)
        raise
    return Stream(channel, call, welcome, node)


async def _give_up(channel: Any, call: Any) -> None:
    call.cancel()
    await channel.close()


def _channel(node: str, address: Address) -> Any:
    if not address.tls:
        return grpc.aio.insecure_channel(node, options=OPTIONS)
    return grpc.aio.secure_channel(node, credentials(address), options=OPTIONS)


async def _shake_hands(call: Any, node: str, address: Address, token: str) -> Welcome:
    password = f"{address.user}:{address.password}" if address.user else ""
    hello = Hello(PROTOCOL, address.application_name or "raftsql-python", token or password)
    try:
        await call.write(Frames(batch=encode([hello])))
        message = await call.read()
    except (grpc.RpcError, asyncio.InvalidStateError) as error:
        raise await _unwelcome(call, node, address, error) from error
    if message is grpc.aio.EOF:
        raise await _unwelcome(call, node, address, None)
    try:
        first = decode_server_frames(message.batch)[0]
    except (ValueError, IndexError) as error:
        raise InterfaceError(f"{node} speaks another protocol: {error}") from error
    if type(first) is Refused:
        if first.why == Why.BAD_REQUEST:
            raise InterfaceError(f"{node}: {first.message}")
        raise of_refused(first)
    if type(first) is not Welcome:
        raise InterfaceError(f"{node} did not answer the greeting with a welcome")
    if first.protocol != PROTOCOL:
        newer = "driver" if first.protocol > PROTOCOL else "server"
        raise InterfaceError(
            f"{node} speaks protocol {first.protocol} (raftsql {first.version}), this driver "
            f"speaks {PROTOCOL}: upgrade the {newer}"
        )
    return first


async def _unwelcome(call: Any, node: str, address: Address, error: Exception | None) -> Exception:
    said = await _reason(call, error)
    meant = hint(said, tls=address.tls)
    reason = f"{node}: {said}" + (f" ({meant})" if meant else "")
    code = error.code() if isinstance(error, grpc.aio.AioRpcError) else await call.code()
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return AuthenticationFailed(reason)
    if code in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT):
        return InterfaceError(reason)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return InterfaceError(f"{node} speaks gRPC, but is no raftsql node: {reason}")
    return Unavailable(reason)
