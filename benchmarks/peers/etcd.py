"""etcd: what consensus costs when there is no SQL. Single puts and gets over gRPC."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from itertools import count, cycle

from benchmarks.crowd import crowd
from benchmarks.nodes import free_ports
from benchmarks.peers.fleet import Fleet, NotThere
from benchmarks.results import Measured
from benchmarks.wire import Failed, Grpc
from benchmarks.work import FILLED_ROWS, MIXED_READS, NAME, RANGE_FROM, READ_ID, Work

PUT = b"/etcdserverpb.KV/Put\0"
RANGE = b"/etcdserverpb.KV/Range\0"
VALUE_BYTES_MAX = 16_000
"""A request is one HTTP/2 frame, and a frame holds 16 KiB: larger values are declined here."""
STATUS = b"/etcdserverpb.Maintenance/Status\0"


class Etcd:
    """Calls made by hand; `addresses` begin with the leader."""

    by = "etcd"

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = list(addresses)

    def run(self, work: Work, *, clients: int, seconds: float) -> Measured | None:
        """Keys are as long as a row's number, and new for each put."""
        requests = self._requests(work)
        if work.size_bytes > VALUE_BYTES_MAX:
            return None
        if requests is None or (work.at == "follower" and len(self.addresses) < 2):
            return None
        address = self.addresses[-1 if work.at == "follower" else 0]
        return crowd(lambda: Grpc(address), requests, clients=clients, seconds=seconds)

    def _requests(self, work: Work) -> Callable[[], Sequence[bytes]] | None:
        value = work.name.encode()
        numbers = count(FILLED_ROWS + 1)
        if work.kind == "insert":
            return lambda: (put(next(numbers), value),)
        if work.level not in ("linearizable", "stale") or work.kind not in (
            "read", "range", "mixed",
        ):  # fmt: skip
            return None
        local = work.level == "stale"
        if work.kind == "range":
            some = ranged(RANGE_FROM + 1, RANGE_FROM + work.rows + 1, local=local)
            return lambda: (some,)
        one = ranged(READ_ID, local=local)
        if work.kind == "read":
            return lambda: (one,)
        turns = cycle(range(MIXED_READS + 1))
        return lambda: (one if next(turns) else put(next(numbers), value),)

    def fill(self) -> None:
        """Put the first keys."""
        numbers = count(1)
        wire = Grpc(self.addresses[0])
        for number in numbers:
            if number > RANGE_FROM + 1000:
                break
            wire.send(put(number, NAME.encode()))
            wire.wait()
        wire.socket.close()


def put(number: int, value: bytes) -> bytes:
    """A PutRequest."""
    return PUT + _bytes(1, b"foo%08d" % number) + _bytes(2, value)


def ranged(first: int, end: int = 0, *, local: bool) -> bytes:
    """A RangeRequest for one key, or for those before the end."""
    request = RANGE + _bytes(1, b"foo%08d" % first)
    if end:
        request += _bytes(2, b"foo%08d" % end)
    return request + (b"\x38\x01" if local else b"")


def _bytes(field: int, value: bytes) -> bytes:
    size, length = len(value), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([field << 3 | 2]) + length + bytes([size]) + value


class EtcdServers(Fleet):
    """Nodes on loopback, with their defaults."""

    def __init__(self, nodes: int) -> None:
        found = shutil.which("etcd")
        if found is None:
            raise NotThere("etcd (Debian's etcd-server)")
        super().__init__()
        self._program, self._nodes = found, nodes

    def begin(self) -> None:
        """Start them, and ask each who leads."""
        ports = free_ports(2 * self._nodes)
        clients = [f"127.0.0.1:{port}" for port in ports[: self._nodes]]
        peers = [f"http://127.0.0.1:{port}" for port in ports[self._nodes :]]
        cluster = ",".join(f"n{k}={peer}" for k, peer in enumerate(peers))
        for k in range(self._nodes):
            self.spawn(
                self._program, "--name", f"n{k}", "--data-dir", str(self.folder / f"node{k}"),
                "--listen-client-urls", f"http://{clients[k]}",
                "--advertise-client-urls", f"http://{clients[k]}",
                "--listen-peer-urls", peers[k], "--initial-advertise-peer-urls", peers[k],
                "--initial-cluster", cluster, "--logger", "zap", "--log-level", "error",
            )  # fmt: skip
        self.until(lambda: all(_identity(one)[1] for one in clients), "etcd")
        leader = _identity(clients[0])[1]
        first = next(one for one in clients if _identity(one)[0] == leader)
        self.clients = [Etcd([first, *(one for one in clients if one != first)])]


def _identity(address: str) -> tuple[int, int]:
    """A member's own number and its leader's, from its Status; zeros while it isn't there."""
    try:
        wire = Identified(address)
        wire.send(STATUS)
        wire.wait()
    except (OSError, Failed):
        return 0, 0
    wire.socket.close()
    fields = _varints(wire.message)
    header = fields.get(1)
    own = _varints(header).get(2) if isinstance(header, bytes) else 0
    leader = fields.get(4)
    return (own if isinstance(own, int) else 0), (leader if isinstance(leader, int) else 0)


class Identified(Grpc):
    """A connection that keeps the answer."""

    __slots__ = ("message",)

    def feed(self, received: bytes) -> bool:
        """Remember the first message: an answer to Status is one frame."""
        buffer, at = self._buffer + received, 0
        while len(buffer) >= at + 9:
            length = int.from_bytes(buffer[at : at + 3], "big")
            if buffer[at + 3] == 0 and length and len(buffer) >= at + 9 + length:
                self.message = buffer[at + 14 : at + 9 + length]
            at += 9 + length
        return super().feed(received)


def _varints(message: bytes) -> dict[int, int | bytes]:
    """The fields of a protobuf message, as far as they are numbers or bytes."""
    found: dict[int, int | bytes] = {}
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = number()
        value = number()
        if key & 7 == 2:
            found[key >> 3] = message[at : at + value]
            at += value
        else:
            found[key >> 3] = value
    return found
