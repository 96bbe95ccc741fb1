"""How nodes open ports and connections: every gRPC option, in one place, with its reason."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import grpc
import grpc.aio

from raftsql.rpc.tls import Certificates

MESSAGE_BYTES_MAX = 72 << 20
"""The largest message: an entry may be as large as the core lets wait uncommitted (64 MiB), and
some room. What a client may send is bounded by its service, far below."""

REACH_SECONDS = 1.0
"""How long a bare connection attempt may take."""

PORT_MAX = 65_535

Options = Sequence[tuple[str, Any]]

_COMMON: Options = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.http2.max_pings_without_data", 0),
)

SERVER_OPTIONS: Options = (
    *_COMMON,
    # By default a second process may bind the same port, and takes half the connections.
    ("grpc.so_reuseport", 0),
    # A machine that vanished is noticed after 10 + 3 s; a dead process at once, by its kernel.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Peers and drivers ping more often than the default bound allows; it would cut them off.
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.max_ping_strikes", 0),
)

PEER_OPTIONS: Options = (
    *_COMMON,
    # Each channel is a connection of its own: bulk does not queue before heartbeats, and no
    # channel inherits the backoff of another one to the same address.
    ("grpc.use_local_subchannel_pool", 1),
    # The default grows to 120 s.
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.keepalive_time_ms", 2_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # A proxy of the surroundings is for the web, not for the nodes of a cluster.
    ("grpc.enable_http_proxy", 0),
)


def server(
    options: Options = (), *, ward: grpc.aio.ServerInterceptor | None = None
) -> grpc.aio.Server:
    """A server without services and ports yet; `options` come after the common ones, and `ward`
    stands before every call."""
    wards = [] if ward is None else [ward]
    return grpc.aio.server(interceptors=wards, options=[*SERVER_OPTIONS, *options])


def listen(
    to: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None = None
) -> int:
    """Bind host:port and return the port; OSError if it is taken or not of this machine."""
    try:
        if credentials is None:
            return to.add_insecure_port(address)
        return to.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise OSError(f"can't listen on {address}: the port is taken or not here") from error


@dataclass(frozen=True, slots=True)
class Roads:
    """How a node reaches others, of which it knows the address that they advertise."""

    certificates: Certificates | None = None
    """This node's own, and the authority of its peers'; None: nothing is encrypted."""
    offset: int = 0
    """Added to the port that a node advertises to clients: peers are served there."""

    def place(self, address: str) -> str:
        """Where the node at an advertised address listens to its peers."""
        if not self.offset:
            return address
        host, _, port = address.rpartition(":")
        return f"{host}:{int(port) + self.offset}"

    def to(self, address: str, options: Options = ()) -> grpc.aio.Channel:
        """A connection of its own to another node."""
        every, place = [*PEER_OPTIONS, *options], self.place(address)
        if self.certificates is None:
            return grpc.aio.insecure_channel(place, options=every)
        # Read now: a connection that is opened after a rotation uses what is new.
        return grpc.aio.secure_channel(place, self.certificates.to_call(), options=every)


PLAIN: Final = Roads()
"""One port, and nothing encrypted."""


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of host:port; the host may be an IPv6 address in brackets."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > PORT_MAX:
        raise ValueError(f"{address!r} is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


class Reach(Enum):
    """What a connection attempt says about an address."""

    OPEN = 1
    REFUSED = 2
    """The machine is there and nobody listens: the process is gone."""
    UNKNOWN = 3
    """No answer, no way, no such name: proves nothing about the process."""


async def reach(address: str) -> Reach:
    """Try a bare connection: gRPC does not tell a refusal from other failures."""
    try:
        async with asyncio.timeout(REACH_SECONDS):
            host, port = host_and_port(address)
            loop = asyncio.get_running_loop()
            places = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers = {await _knock(family, place) for family, _, _, _, place in places}
    except (OSError, TimeoutError, ValueError):
        return Reach.UNKNOWN
    if Reach.OPEN in answers:
        return Reach.OPEN
    # A name may stand for several addresses; the process is gone if none of them has it.
    return Reach.REFUSED if answers - {None} == {Reach.REFUSED} else Reach.UNKNOWN


async def _knock(family: int, place: Any) -> Reach | None:
    """What one address says; None when this machine has no such addresses itself."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as knocking:
            knocking.setblocking(False)
            await asyncio.get_running_loop().sock_connect(knocking, place)
    except ConnectionRefusedError:
        return Reach.REFUSED
    except OSError as error:
        return None if error.errno in _NO_SUCH_FAMILY else Reach.UNKNOWN
    return Reach.OPEN


_NO_SUCH_FAMILY = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
