"""The way from the console to its own node: what travels is what any client sends, without a wire.

The console is a client like every other: its statements pass the door, the users' rights and the
replica as everybody's do, and its wishes as an administrator pass the ward and the audit log. But
it sits in the node's own process, where there is no port to connect to that could not also be
reached by somebody else, no certificate to check and no password to keep: it greets with a token
that the node makes at that moment.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any, Final, NoReturn

import grpc
import grpc.aio

from raftsql.rpc.client_service import ClientService
from raftsql.rpc.gate import Caller, Denied, Gate
from raftsql.rpc.wards import Ward
from raftsql_driver.address import Address
from raftsql_driver.cluster import Cluster
from raftsql_driver.errors import AuthenticationFailed, Unavailable
from raftsql_driver.flows import State
from raftsql_driver.routes import Routes
from raftsql_driver.stream import Stream
from raftsql_proto.client_pb2 import Frames
from raftsql_proto.frames import PROTOCOL, Hello, Refused, Welcome, decode_server_frames, encode

log = logging.getLogger("raftsql.server")

HOME: Final = "this node"
"""The one node that the console speaks to; it passes on what the leader has to do."""
WAITING_MAX: Final = 4
"""Messages that lie unread between the two sides before whoever sends has to wait."""


class Ended(Exception):
    """The node refused, as gRPC would have said it."""

    def __init__(self, status: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Way:
    """Messages in one direction."""

    def __init__(self) -> None:
        self._messages: deque[Frames] = deque()
        self._changed = asyncio.Event()
        self._closed = False

    async def write(self, message: Frames) -> None:
        while len(self._messages) >= WAITING_MAX and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        if self._closed:
            raise asyncio.InvalidStateError("the stream has ended")
        self._messages.append(message)
        self._changed.set()

    async def read(self) -> Any:
        while not self._messages and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        if not self._messages:
            return grpc.aio.EOF
        message = self._messages.popleft()
        self._changed.set()
        return message

    def close(self) -> None:
        self._closed = True
        self._changed.set()


class Context:
    """What a service is told of a call, and how it ends one: gRPC's context, as far as it is
    asked."""

    def __init__(self, peer: str, token: str, up: _Way | None = None, down: _Way | None = None):
        self._peer = peer
        self._token = token
        self._told = ""
        if up is not None and down is not None:
            self.read, self.write = up.read, down.write

    def peer(self) -> str:
        """Who calls: the place of the browser."""
        return self._peer

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """What the call shows."""
        return (("authorization", f"Bearer {self._token}"),) if self._token else ()

    def details(self) -> str:
        """What the call was ended with."""
        return self._told

    async def abort(self, status: grpc.StatusCode, message: str = "") -> NoReturn:
        """End the call."""
        self._told = message
        raise Ended(status, message)


class Conversation:
    """A stream to the node: the driver's side of it."""

    def __init__(self, service: ClientService, peer: str) -> None:
        """Open it; the greeting is the caller's."""
        self._up, self._down = _Way(), _Way()
        self._status = (grpc.StatusCode.OK, "")
        self.write, self.read = self._up.write, self._down.read
        context = Context(peer, "", self._up, self._down)
        self._task = asyncio.get_running_loop().create_task(self._serve(service, context))

    async def _serve(self, service: ClientService, context: Any) -> None:
        try:
            await service.Connect(None, context)
        except Ended as ended:
            self._status = (ended.status, str(ended))
        except asyncio.CancelledError:
            self._status = (grpc.StatusCode.CANCELLED, "the stream was ended")
        except Exception as error:
            log.exception("a stream of the console's failed")
            self._status = (grpc.StatusCode.UNKNOWN, f"the node failed: {type(error).__name__}")
        finally:
            self._up.close()
            self._down.close()

    async def code(self) -> grpc.StatusCode:
        """How it ended."""
        return self._status[0]

    async def details(self) -> str:
        """Why it ended."""
        return self._status[1]

    def cancel(self) -> None:
        """End it: whatever the node held for it is let go."""
        self._up.close()
        self._down.close()
        self._task.cancel()

    async def close(self) -> None:
        """End it, and wait until it has."""
        self.cancel()
        await asyncio.wait([self._task])


class _AtHome(Routes):
    """Routes that lead nowhere else: the node passes on what is for the leader."""

    __slots__ = ()

    def learned(self, leader: str, members: Any, now: float) -> None:
        """Who leads is the node's business."""

    def not_leader(self, node: str, leader: str, now: float) -> None:
        """It will know one soon."""

    def unreachable(self, node: str, now: float) -> None:
        """There is no other."""


class HomeCluster(Cluster):
    """The cluster as one user sees it through this node."""

    def __init__(self, service: ClientService, gate: Gate, caller: Caller | None) -> None:
        """`caller`: who has shown who they are; None where nobody has to."""
        name = "" if caller is None else caller.name
        address = Address((HOME,), user=name, application_name="raftsql-console", autocommit=True)
        super().__init__(address, asyncio.get_running_loop())
        self.state = State(_AtHome([HOME]), time.monotonic)
        self._service = service
        self._gate = gate
        self._caller = caller

    async def _greet(self, node: str, patience_s: float) -> Stream:
        try:
            user = self._gate.user_of(self._caller)
        except Denied as denied:
            raise AuthenticationFailed(str(denied)) from denied
        token = "" if user is None else self._gate.token_of(user)
        call: Any = Conversation(self._service, "console")
        try:
            await call.write(Frames(batch=encode([Hello(PROTOCOL, "raftsql-console", token)])))
            message = await call.read()
        except asyncio.InvalidStateError:
            message = grpc.aio.EOF
        except BaseException:
            call.cancel()
            raise
        if message is grpc.aio.EOF:
            status, why = await call.code(), await call.details()
            if status in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
                raise AuthenticationFailed(why)
            raise Unavailable(why or "the node does not answer")
        welcome = decode_server_frames(message.batch)[0]
        if not isinstance(welcome, Welcome):
            call.cancel()
            raise Unavailable(welcome.message if isinstance(welcome, Refused) else "not now")
        return Stream(call, call, welcome, node)


class Administration:
    """The calls of an administrator, through the ward that stands before everybody's."""

    def __init__(self, service: Any, gate: Gate) -> None:
        """`service`: the node's AdminService."""
        self._service = service
        self._gate = gate
        self._ward = Ward(gate)

    async def call(self, name: str, request: Any, caller: Caller | None, peer: str) -> Any:
        """Make a call that has one answer; Ended says why it was refused."""
        handler = await self._handler(name, streams=False)
        return await handler.unary_unary(request, self._context(caller, peer))

    async def stream(
        self, name: str, request: Any, caller: Caller | None, peer: str
    ) -> AsyncGenerator[Any, None]:
        """Make a call that has many answers; Ended says why it was refused."""
        handler = await self._handler(name, streams=True)
        async for reply in handler.unary_stream(request, self._context(caller, peer)):
            yield reply

    def _context(self, caller: Caller | None, peer: str) -> Any:
        user = self._gate.user_of(caller)
        return Context(peer, "" if user is None else self._gate.token_of(user))

    async def _handler(self, name: str, *, streams: bool) -> Any:
        serve = getattr(self._service, name)
        make: Any = (
            grpc.unary_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
        )

        async def find(_: object) -> Any:
            return make(serve)

        details: Any = _Details(f"/raftsql.v1.Admin/{name}")
        return await self._ward.intercept_service(find, details)


class _Details:
    """Which call is made, as the ward asks for it."""

    def __init__(self, method: str) -> None:
        self.method = method
