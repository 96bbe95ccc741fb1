"""Single calls to a node, for tools that hold no stream: encrypted and signed as the URL says.

A password is exchanged for a token with the first call, so that a tool that asks every second
costs the nodes no more than one check of it.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import grpc

from raftsql_driver.address import Address
from raftsql_driver.errors import InterfaceError
from raftsql_proto.users_pb2 import LoginRequest
from raftsql_proto.users_pb2_grpc import UsersStub

LOGIN_S: Final = 10.0
_DECIDED: Final = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED)
"""What a login is answered with that another attempt would not make better."""

Options = Sequence[tuple[str, Any]]


def channel(node: str, address: Address, options: Options = ()) -> grpc.Channel:
    """A blocking channel to a node."""
    plain = (
        grpc.secure_channel(node, credentials(address), options=options)
        if address.tls
        else grpc.insecure_channel(node, options=options)
    )
    if not address.user:
        return plain
    return grpc.intercept_channel(plain, _Signer(address, UsersStub(plain)))


def credentials(address: Address) -> grpc.ChannelCredentials:
    """How to encrypt, and whom to believe. Raises InterfaceError where a file can't be read."""
    return grpc.ssl_channel_credentials(
        root_certificates=_content(address.sslrootcert),
        private_key=_content(address.sslkey),
        certificate_chain=_content(address.sslcert),
    )


def _content(path: str) -> bytes | None:
    if not path:
        return None
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InterfaceError(f"{path}: {error.strerror}") from error


class _Signer(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Lets every call say who calls."""

    def __init__(self, address: Address, users: UsersStub) -> None:
        self._address = address
        self._users = users
        self._shown = ""
        self._until = 0.0

    def _authorization(self) -> str:
        if self._shown and time.monotonic() < self._until:
            return self._shown
        request = LoginRequest(user=self._address.user, password=self._address.password)
        try:
            reply = self._users.Login(request, timeout=LOGIN_S)
        except grpc.RpcError as error:
            if error.code() in _DECIDED:
                raise
            # Perhaps there are no users (yet), or nobody answers: let the call itself say.
            both = f"{self._address.user}:{self._address.password}"
            return "Basic " + base64.b64encode(both.encode()).decode()
        self._shown = f"Bearer {reply.token}"
        self._until = time.monotonic() + reply.seconds * 0.9
        return self._shown

    def _signed(self, details: Any) -> Any:
        own = (("authorization", self._authorization()),)
        return _Details(details, (*(details.metadata or ()), *own))

    def intercept_unary_unary(
        self, continuation: Callable[..., Any], details: Any, request: Any
    ) -> Any:
        return continuation(self._signed(details), request)

    def intercept_unary_stream(
        self, continuation: Callable[..., Any], details: Any, request: Any
    ) -> Any:
        return continuation(self._signed(details), request)

    def intercept_stream_stream(
        self, continuation: Callable[..., Any], details: Any, requests: Any
    ) -> Any:
        return continuation(self._signed(details), requests)


class _Details(grpc.ClientCallDetails):
    """A call's details, with other metadata."""

    def __init__(self, given: Any, metadata: tuple[tuple[str, str], ...]) -> None:
        self.method = given.method
        self.timeout = given.timeout
        self.metadata = metadata
        self.credentials = given.credentials
        self.wait_for_ready = given.wait_for_ready
        self.compression = given.compression
