"""What each call takes, and the interceptor that asks for it before the call is served.

A call that is in no list here takes an administrator: a new one is closed until somebody has
thought about it. `Connect` lets in streams, which say who they are in their first frame.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable
from enum import Enum
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.json_format import MessageToDict

from raftsql.rpc.gate import CALLER, Caller, Denied, Gate
from raftsql.rpc.tokens import PREFIX
from raftsql.sql.access import Role

Context = grpc.aio.ServicerContext[Any, Any]


class Takes(Enum):
    """What it takes to make a call."""

    NOTHING = 0
    ITSELF = 1
    """The service asks, by what comes with the call."""
    USER = 2
    ADMIN = 3
    PEER = 4
    """A node: where there are certificates, the port has asked for one."""


TAKES: Final = {
    "/grpc.health.v1.Health/Check": Takes.NOTHING,
    "/grpc.health.v1.Health/Watch": Takes.NOTHING,
    "/grpc.health.v1.Health/List": Takes.NOTHING,
    "/raftsql.v1.Users/Login": Takes.ITSELF,
    "/raftsql.v1.Users/Change": Takes.ITSELF,
    "/raftsql.v1.Client/Connect": Takes.ITSELF,
    "/raftsql.v1.Client/Execute": Takes.USER,
    "/raftsql.v1.Client/Query": Takes.USER,
    "/raftsql.v1.Admin/Status": Takes.USER,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Takes.USER,
    **{
        f"/raftsql.v1.Peers/{name}": Takes.PEER
        for name in ("Deliver", "Ship", "Join", "Checksum", "Hold", "Fetch", "Introduce")
    },
}
QUIET: Final = frozenset({"/raftsql.v1.Users/List", "/raftsql.v1.Admin/Metrics"})
"""What an administrator asks for often, and which changes nothing."""


def takes(method: str) -> Takes:
    """What a call takes; an administrator, when nobody has said anything else."""
    return TAKES.get(method, Takes.ADMIN)


class Ward(grpc.aio.ServerInterceptor):
    """Stands before every call."""

    def __init__(self, gate: Gate) -> None:
        """One for all ports of a node."""
        self._gate = gate

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        details: grpc.HandlerCallDetails,
    ) -> Any:
        """Find who serves the call, and put the question before them."""
        handler = await continuation(details)
        method = str(details.method)
        needs = takes(method)
        if handler is None or needs in (Takes.NOTHING, Takes.ITSELF, Takes.PEER):
            return handler
        if not self._gate.is_closed and (needs is Takes.USER or method in QUIET):
            return handler
        return _Watched(self._gate, handler, method, needs).handler()


class _Watched:
    """A handler that is asked for only by those who may, and whose use is noted."""

    def __init__(self, gate: Gate, handler: Any, method: str, needs: Takes) -> None:
        self._gate = gate
        self._handler = handler
        self._method = method
        self._needs = needs

    def handler(self) -> Any:
        """The same kind of handler as the one within."""
        inner = self._handler
        make: Any = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[inner.request_streaming, inner.response_streaming]
        serve = self._stream if inner.response_streaming else self._unary
        return make(
            serve,
            request_deserializer=inner.request_deserializer,
            response_serializer=inner.response_serializer,
        )

    async def _unary(self, request: Any, context: Context) -> Any:
        inner = self._handler
        serve = inner.stream_unary if inner.request_streaming else inner.unary_unary
        peer = context.peer()
        caller = await self._admit(request, context, peer)
        try:
            reply = await serve(request, context)
        except BaseException:
            self._note(caller, request, peer, "refused: " + _told(context))
            raise
        self._note(caller, request, peer, "done")
        return reply

    async def _stream(self, request: Any, context: Context) -> AsyncIterator[Any]:
        inner = self._handler
        serve = inner.stream_stream if inner.request_streaming else inner.unary_stream
        # Asked now: gRPC reads freed memory when it is asked after the caller has left.
        peer = context.peer()
        caller = await self._admit(request, context, peer)
        try:
            async for reply in serve(request, context):
                yield reply
        except BaseException:
            self._note(caller, request, peer, "refused: " + _told(context))
            raise
        self._note(caller, request, peer, "done")

    async def _admit(self, request: Any, context: Context, peer: str) -> Caller | None:
        caller = None
        try:
            caller = await self._gate.identify(shown_in(context), peer)
            role = Role.ADMIN if self._needs is Takes.ADMIN else Role.NONE
            self._gate.check_role(caller, role)
        except Denied as denied:
            self._note(caller, request, peer, f"refused: {denied}")
            await context.abort(denied.status, str(denied))
        CALLER.set(caller)
        return caller

    def _note(self, caller: Caller | None, request: Any, peer: str, outcome: str) -> None:
        if self._needs is not Takes.ADMIN or self._method in QUIET:
            return
        asked = MessageToDict(request) if hasattr(request, "DESCRIPTOR") else {}
        name = "" if caller is None else caller.name
        self._gate.audit.note(
            self._method.rpartition("/")[2].lower(),
            user=name,
            peer=peer,
            outcome=outcome,
            asked=asked,
        )


def shown_in(context: Context) -> str:
    """What a call shows: a token, or user:password; empty when it shows nothing."""
    for name, value in context.invocation_metadata() or ():
        if name == "authorization":
            kind, _, shown = str(value).partition(" ")
            if kind.lower() == "bearer":
                token = shown.strip()
                return token if token.startswith(PREFIX) else PREFIX  # Never a password.
            if kind.lower() == "basic":
                return _basic(shown.strip())
    return ""


def _basic(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ":"


def _told(context: Context) -> str:
    try:
        return context.details() or "it was cut off"
    except (AttributeError, NotImplementedError):
        return "it was cut off"
